"""What datasets of rows in files have in common; public, for plugins whose rows name something else than texts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

import ftrun
from ftrun_tables.columns import Kind, TargetColumns
from ftrun_tables.lines import check_encoding

if TYPE_CHECKING:
    from ftrun_tables.files import RowFile
    from ftrun_tables.indexed import Read

TEST_FRACTION = 0.1


class Table(ftrun.Dataset):
    """Rows of one file, or of a file for each split: an input in one column, targets in others.

    A subclass says in `open_file` how its files are read, and calls `rows`.
    """

    path: Path | None = Field(None, description="One file that holds all rows.")
    train: Path | None = Field(None, description="A file with the training rows, in place of path.")
    val: Path | None = Field(None, description="A file with the validation rows, beside train.")
    test: Path | None = Field(None, description="A file with the test rows, beside train.")
    target: str | None = Field(None, description="A column with one class a row; the target's name is then label.")
    targets: dict[str, Kind | TargetColumns] | None = Field(
        None, min_length=1, description="Targets in place of target: each column's kind, or where its values are."
    )
    split: str | None = Field(None, description="A column of path that says of each row: train, val or test.")
    test_fraction: float | None = Field(
        None, ge=0, lt=1, description="Part of path that is set aside for test, stratified; a tenth if not given."
    )
    split_seed: int = Field(
        0, description="Another one sets other rows aside; the run's own seed changes nothing here."
    )
    missing: tuple[str, ...] = Field(("",), description="What stands in a target's column where there is no value.")
    encoding: Annotated[str, AfterValidator(check_encoding)] = Field(
        "utf-8", description="How the files are encoded, as Python calls it: utf-8, cp1252, latin-1, utf-16."
    )

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        files = [each for each in (self.train, self.val, self.test) if each is not None]
        if self.path is not None and (self.val or self.test):
            raise ValueError("val and test go with train; path holds all rows")
        if (self.path is None) == (not files):
            raise ValueError("give path, or train and maybe val and test")
        if files and (self.split is not None or self.test_fraction is not None):
            raise ValueError("split and test_fraction go with path; train has files for splits")
        if self.split is not None and self.test_fraction is not None:
            raise ValueError("give split or test_fraction, not both")
        if (self.target is None) == (self.targets is None):
            raise ValueError("give target, the column with the class, or targets")
        for name, each in self._targets().items():
            if each.mistake:
                raise ValueError(f"targets.{name}: {each.mistake}")
        return self

    @property
    def target_kinds(self) -> dict[str, str]:
        """Of the columns that hold targets."""
        return {name: each.kind for name, each in self._targets().items()}

    def open_file(self, path: Path) -> "RowFile":
        """A file of the dataset. Raises DataError where it cannot be read."""
        raise NotImplementedError

    def at(self, path: Path) -> Self:
        """The rows of another file, all of them."""
        return self.changed(path=path, train=None, val=None, test=None, split=None, test_fraction=None)

    def rows(self, column: str, *, empty: Any = "error", whole: bool = False) -> "Read":
        """Return the splits, whose inputs are what is in `column`, the targets, and notes for `ftrun.Splits`.

        Raises DataError with file and line.

        empty: what to do about rows with nothing there: `error`, `keep` or `skip`
        whole: whether they are to be evaluated on: nothing is cut, and train may be missing
        """
        from ftrun_tables.indexed import Wanted, read

        paths = {"train": self.path or self.train, "val": self.val, "test": self.test}
        files = {split: self.open_file(path.absolute()) for split, path in paths.items() if path}
        if not (self.path or self.train or whole):
            raise ftrun.SpecError("has no train, so there is nothing to learn from. Name a file with training rows.")
        one_file = self.path is not None and self.split is None
        fraction = TEST_FRACTION if self.test_fraction is None else self.test_fraction
        splits, targets, notes = read(
            files,
            Wanted(
                column=column,
                targets={name: each.collector(name, self.missing) for name, each in self._targets().items()},
                split=self.split,
                empty=empty,
                test_fraction=fraction if one_file and not whole else 0.0,
                whole=whole,
                seed=self.split_seed,
            ),
        )
        return ({"all": splits["train"]} if one_file and whole else splits), targets, notes

    def _targets(self) -> dict[str, TargetColumns]:
        if self.target is not None:
            return {"label": TargetColumns(kind="classes", column=self.target)}
        given = self.targets or {}
        return {name: TargetColumns(kind=each) if isinstance(each, str) else each for name, each in given.items()}


class JsonlTable(Table):
    """The same from files with a JSON object a line; a column is a key."""

    def open_file(self, path: Path) -> "RowFile":
        """Return a file of JSON Lines."""
        from ftrun_tables.files import JsonLines

        return JsonLines(path, self.encoding)


class CsvTable(Table):
    """The same from CSV files."""

    delimiter: str = Field(",", min_length=1, max_length=1, description='What stands between fields; tabs are "\\t".')
    quote: Annotated[str, Field(min_length=1, max_length=1)] | None = Field(
        '"', description="What fields are quoted with; null if a quote means nothing."
    )

    @model_validator(mode="after")
    def _signs_fit(self) -> Self:
        if self.delimiter in "\r\n" or self.quote in ("\r", "\n", self.delimiter):
            raise ValueError("delimiter and quote are two different characters, and no line breaks")
        return self

    def open_file(self, path: Path) -> "RowFile":
        from ftrun_tables.files import CsvFile

        return CsvFile(path, self.encoding, self.delimiter, self.quote)
