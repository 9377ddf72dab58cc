"""Dataset `csv-images`: images that a CSV file lists, one a row, each with its class.

A row names an image and its class, and may name the split that it belongs to:

    image,class,split
    photos/rex.jpg,dog,train
    photos/tom.png,cat,test

What is wrong with the file is told with the line that it is on.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

import ftrun

FTRUN_API = "2.0"

SPLITS = ("train", "val", "test")
FRACTION = 0.1  # of val and of test, where neither a column nor an option says


class Row(NamedTuple):
    """What a row says, checked."""

    line: int  # in the CSV file, from 1
    image: Path
    label: str
    split: str | None  # None where there is no column for it


class CsvImagesDataset(ftrun.Dataset):
    """Images and their classes as a CSV file lists them, split by a column or by fractions."""

    name: Literal["csv-images"]
    input_kind = "image"
    path: Path = Field(description="The CSV file, in UTF-8; its first line names the columns.")
    root: Path | None = Field(
        None, description="Folder that the images' paths start from; the CSV file's own if not given."
    )
    image_column: str = Field("image", min_length=1, description="Column with the path of the image.")
    class_column: str = Field("class", min_length=1, description="Column with the name of the class.")
    split_column: str | None = Field(
        None, min_length=1, description="Column with train, val or test; split by fractions if not given."
    )
    delimiter: str = Field(",", min_length=1, max_length=1, description="What stands between two columns.")
    classes: tuple[Annotated[str, Field(min_length=1)], ...] | None = Field(
        None, description="All classes, in the order of the net's outputs; those of the file, sorted, if not given."
    )
    # None, not 0.1: a run records all options, so that "given" cannot be told from "default" when it is resumed.
    val: float | None = Field(None, gt=0, lt=1, description="Part of each class for val; a tenth if not given.")
    test: float | None = Field(None, ge=0, lt=1, description="Part of each class for test; a tenth if not given.")
    seed: int = Field(0, ge=0, lt=2**32, description="What the split by fractions is drawn from.")

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        columns = [self.image_column, self.class_column, self.split_column]
        if len(set(columns)) < len(columns):
            raise ValueError("image_column, class_column and split_column have to be three different columns")
        if self.split_column is not None and not (self.val is None and self.test is None):
            raise ValueError("val and test are fractions for files without a split column: leave them or it out")
        if sum(self._fractions()) >= 1:
            raise ValueError("val and test leave nothing for train: together they have to be less than 1")
        if self.classes is not None and len(set(self.classes)) < max(2, len(self.classes)):
            raise ValueError("classes have to be two or more different names")
        return self

    def build(self) -> ftrun.Splits:
        """Train, val and test. A sample: image uint8 [3, H, W] (RGB, any size), class int64 [].

        Reads the CSV file and looks whether the images are there, but opens none of them.
        Raises DataError, with the file and the line, where something is missing or wrong.
        """
        rows = list(self._rows())
        if not rows:
            raise ftrun.DataError(f"{self.path} has no rows beneath its header.")
        names = self._names(rows)
        chosen = self._by_fractions(rows, names) if self.split_column is None else self._by_column(rows)
        splits = {split: CsvSplit(self.path, chosen[split], names) for split in SPLITS if chosen[split]}
        return ftrun.Splits(**splits, targets={"label": ftrun.Classes(names=names)})

    def _fractions(self) -> tuple[float, float]:
        """Of val and of test."""
        return (FRACTION if self.val is None else self.val, FRACTION if self.test is None else self.test)

    def _rows(self) -> Iterator[Row]:
        """The file's rows, in its order."""
        root = self.path.parent if self.root is None else self.root
        seen: dict[Path, int] = {}
        for line, cells in self._cells():
            image = root / cells[self.image_column]
            if image in seen:
                raise self._error(line, f"{image} is listed already on line {seen[image]}. Leave one of the two out.")
            seen[image] = line
            if not image.is_file():
                start = "root" if self.root is not None else "the CSV file's folder (the option root names another)"
                raise self._error(line, f"there is no file {image}. Paths start from {start}.")
            split = None if self.split_column is None else cells[self.split_column]
            if split is not None and split not in SPLITS:
                hint = ftrun.did_you_mean(split, SPLITS)
                raise self._error(line, f"{split!r} is no split: it has to be train, val or test.{hint}")
            yield Row(line, image, cells[self.class_column], split)

    def _cells(self) -> Iterator[tuple[int, dict[str, str]]]:
        """The wanted columns of each row, none of them empty, with the row's line."""
        wanted = [column for column in (self.image_column, self.class_column, self.split_column) if column]
        line = 1
        try:
            with self.path.open(newline="", encoding="utf-8-sig") as file:
                reader = csv.reader(file, delimiter=self.delimiter, strict=True)
                header = next(reader, [])
                for column in wanted:
                    if column not in header:
                        found = ", ".join(map(repr, header)) or "none"
                        hint = ftrun.did_you_mean(column, header)
                        raise self._error(1, f"there is no column {column!r}.{hint} The columns are: {found}.")
                    if header.count(column) > 1:
                        raise self._error(1, f"there are {header.count(column)} columns {column!r}.")
                line = reader.line_num + 1  # where the next row starts: a quoted cell may go over several lines
                for values in reader:
                    if not any(value.strip() for value in values):
                        raise self._error(line, "the row is empty. Take the line out.")
                    if len(values) != len(header):
                        raise self._error(
                            line,
                            f"the row has {len(values)} cells, but the header has {len(header)}. A cell that holds "
                            f"{self.delimiter!r} has to stand in double quotes.",
                        )
                    cells = dict(zip(header, values, strict=True))
                    for column in wanted:
                        if not cells[column].strip():
                            raise self._error(line, f"column {column!r} is empty.")
                    yield line, {column: cells[column] for column in wanted}
                    line = reader.line_num + 1
        except csv.Error as error:
            raise self._error(line, f"this is no CSV row: {error}.") from None
        except UnicodeDecodeError as error:
            raise self._error(line, f"or somewhat below: this is not UTF-8 ({error.reason}).") from None
        except OSError as error:
            raise ftrun.DataError(f"{self.path} cannot be read: {error.strerror}.") from None

    def _error(self, line: int, what: str) -> ftrun.DataError:
        return ftrun.DataError(f"{self.path}, line {line}: {what}")

    def _names(self, rows: Sequence[Row]) -> tuple[str, ...]:
        """One order of the classes for all splits; a label is a position in it."""
        if self.classes is None:
            names = tuple(sorted({row.label for row in rows}))
            if len(names) < 2:
                raise ftrun.DataError(f"{self.path} has one class alone, {names[0]!r}: there is nothing to tell apart.")
            return names
        for row in rows:
            if row.label not in self.classes:
                hint = ftrun.did_you_mean(row.label, self.classes)
                raise self._error(row.line, f"{row.label!r} is not in the option classes.{hint}")
        return self.classes

    def _by_column(self, rows: Sequence[Row]) -> dict[str, list[Row]]:
        chosen = {split: [row for row in rows if row.split == split] for split in SPLITS}
        if not chosen["train"]:
            raise ftrun.DataError(f"{self.path} has no row whose {self.split_column!r} is train.")
        return chosen

    def _by_fractions(self, rows: Sequence[Row], names: Sequence[str]) -> dict[str, list[Row]]:
        """Cut class by class, so that each split has each class in the same proportion; rows keep their order."""
        import torch

        generator = torch.Generator().manual_seed(self.seed)
        val, test = self._fractions()
        split_of: dict[int, str] = {}
        for name in names:
            lines = [row.line for row in rows if row.label == name]
            drawn = torch.randperm(len(lines), generator=generator).tolist()
            first, second = round(val * len(lines)), round((val + test) * len(lines))
            for place, index in enumerate(drawn):
                split_of[lines[index]] = "val" if place < first else "test" if place < second else "train"
        chosen = {split: [row for row in rows if split_of[row.line] == split] for split in SPLITS}
        for split, fraction in zip(SPLITS, (1 - val - test, val, test), strict=True):
            if fraction and not chosen[split]:
                raise ftrun.DataError(
                    f"{self.path} has too few rows of each class for {split}, which gets {fraction:.2g} of each. "
                    "Add rows, change the options val and test, or name a split_column."
                )
        return chosen


class CsvSplit:
    """Images that are read when they are asked for, by worker processes too."""

    def __init__(self, path: Path, rows: Sequence[Row], names: Sequence[str]) -> None:
        import torch

        self.path = path
        self.images = [row.image for row in rows]
        self.lines = [row.line for row in rows]
        self.columns = {"label": torch.tensor([names.index(row.label) for row in rows])}  # int64 [N]

    @property
    def fingerprint(self) -> str | None:
        """Another one whenever an image is, so that ftrun may keep what it has decoded."""
        return ftrun.files_fingerprint(self.images, self.path.parent)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int, /) -> ftrun.Sample:
        """The image, uint8 [3, H, W], turned as its EXIF data says, and {"label": int64 []}."""
        import numpy as np
        import torch
        from PIL import Image, ImageOps

        try:
            with Image.open(self.images[index]) as image:
                pixels = np.array(ImageOps.exif_transpose(image).convert("RGB"))  # uint8 [H, W, 3]
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise ftrun.DataError(
                f"{self.path}, line {self.lines[index]}: {self.images[index]} cannot be read: {error}"
            ) from None
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous(), {"label": self.columns["label"][index]}


@ftrun.hookimpl
def ftrun_datasets() -> list[type[ftrun.Dataset]]:
    return [CsvImagesDataset]
