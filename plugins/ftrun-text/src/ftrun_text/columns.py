"""What a spec says of target columns; and what collects a column's cells, row by row, in little memory."""

import json
import math
from abc import ABC, abstractmethod
from array import array
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from unicodedata import normalize

from pydantic import BaseModel, ConfigDict, Field

import ftrun

if TYPE_CHECKING:
    from torch import Tensor

Kind: TypeAlias = Literal["classes", "labels", "values"]

_LARGEST = 1e150  # what the core takes
_YES_OR_NO = {"0": 0.0, "1": 1.0, "false": 0.0, "true": 1.0}
_NAMES_LISTED = 10
_FEW = 1000  # classes: as many as that are never taken for something else


class TargetColumns(BaseModel):
    """Where a target's values are."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    kind: Kind = Field(description="classes: one name; labels: any number of names; values: real numbers.")
    column: str | None = Field(None, description="The column, if the target has another name than it.")
    columns: tuple[str, ...] | None = Field(
        None, min_length=1, description="Several columns: labels, each 0 or 1, or values, each a number."
    )
    separator: str = Field(";", min_length=1, description="What stands between the labels in one column.")
    empty: Literal["none", "missing"] = Field(
        "none",
        description="What an empty cell means where one column has all labels: that none holds, or is not known.",
    )

    @property
    def mistake(self) -> str | None:
        """What does not go together."""
        if self.columns is None:
            return None
        if self.kind == "classes":
            return "classes are in one column; columns is for several labels or values"
        if self.column is not None:
            return "give column or columns, not both"
        return "columns names one twice" if len(set(self.columns)) < len(self.columns) else None

    def names(self, target: str) -> tuple[str, ...]:
        """The columns of the target of that name."""
        return self.columns or (self.column or target,)

    def collector(self, target: str, missing: Collection[str]) -> "Collector":
        """What collects its values; missing: cells that mean that there is none."""
        if self.kind == "classes":
            return Classes(target, self.names(target), missing)
        if self.kind == "labels" and self.columns is None:
            return SeparatedLabels(target, self.names(target), missing, self.separator, self.empty == "missing")
        return Numbers(target, self.names(target), missing, labels=self.kind == "labels")


class Collector(ABC):
    """Takes a target's cells, a row at a time, and gives its values in the end.

    columns: whose cells it takes, in that order
    """

    def __init__(self, target: str, columns: Sequence[str], missing: Collection[str]) -> None:
        self.target = target
        self.columns = tuple(columns)
        self.missing = frozenset(missing)

    def is_missing(self, cell: Any) -> bool:
        """Whether that means that there is no value."""
        return cell is None or (isinstance(cell, str) and cell.strip() in self.missing)

    @abstractmethod
    def add(self, cells: Sequence[Any]) -> None:
        """Take a row's cells. Raises ValueError, which says what is wrong, for such that do not fit."""

    @abstractmethod
    def finish(self, in_train: "Tensor") -> "tuple[ftrun.Target, Tensor, Tensor]":
        """The target, its values [N, ...], and bool [N]: rows with names that no training row has.

        in_train: bool [N], the rows to learn from: their names are the target's. Where a value is missing it is -1 or
            NaN. Raises DataError where all are.
        """

    @property
    def strata(self) -> "Tensor | None":
        """int64 [N]: what rows are to be split in proportion to; None where they have no classes."""
        return None

    def none_at_all(self, column: str) -> ftrun.DataError:
        """The error for a column that holds nothing for training."""
        return ftrun.DataError(f"target {self.target!r}: every training row's {column!r} is missing.")


class Classes(Collector):
    """One name a row."""

    def __init__(self, target: str, columns: Sequence[str], missing: Collection[str]) -> None:
        super().__init__(target, columns, missing)
        self._codes = array("q")
        self._names = _Names()

    def add(self, cells: Sequence[Any]) -> None:
        cell = cells[0]
        if self.is_missing(cell):
            self._codes.append(-1)
        else:
            self._codes.append(self._names.code(cell))

    @property
    def strata(self) -> "Tensor":
        return _tensor(self._codes, "int64")

    def finish(self, in_train: "Tensor") -> "tuple[ftrun.Target, Tensor, Tensor]":
        codes = _tensor(self._codes, "int64")
        known = codes >= 0
        names, positions = self._names.sorted(codes[in_train & known])
        rows = int(in_train.sum())
        if not names:
            raise self.none_at_all(self.columns[0])
        if len(names) > max(_FEW, rows // 2):
            raise ftrun.DataError(
                f"target {self.target!r}: {len(names):,} classes in {rows:,} training rows are nearly one each. Is "
                f"{self.columns[0]!r} the right column? Numbers to be predicted are of the kind values."
            )
        values = codes.clone()
        values[known] = positions[codes[known]]
        return ftrun.Classes(names=names), values, values == -2


class SeparatedLabels(Collector):
    """Any number of names a row, in one cell: separated, or a list."""

    def __init__(
        self, target: str, columns: Sequence[str], missing: Collection[str], separator: str, empty_is_missing: bool
    ) -> None:
        super().__init__(target, columns, missing)
        self._separator = separator
        self._empty_is_missing = empty_is_missing
        self._codes = array("q")
        self._counts = array("q")  # of each row; -1 where it is missing
        self._names = _Names()

    def add(self, cells: Sequence[Any]) -> None:
        cell = cells[0]
        empty = cell == [] or (isinstance(cell, str) and not cell.strip())
        if self._empty_is_missing if empty else self.is_missing(cell):
            self._counts.append(-1)
            return
        found = cell.split(self._separator) if isinstance(cell, str) else cell
        if not isinstance(found, list):
            raise ValueError(f"has {_shown(cell)} in {self.columns[0]!r}, where a list of labels is expected.")
        codes = {self._names.code(each) for each in found if not isinstance(each, str) or each.strip()}
        self._codes.extend(sorted(codes))
        self._counts.append(len(codes))

    def finish(self, in_train: "Tensor") -> "tuple[ftrun.Target, Tensor, Tensor]":
        import torch

        counts, codes = _tensor(self._counts, "int64"), _tensor(self._codes, "int64")
        rows = torch.arange(len(counts)).repeat_interleave(counts.clamp(min=0))
        names, positions = self._names.sorted(codes[in_train[rows]])
        if not names:
            raise self.none_at_all(self.columns[0])
        places = positions[codes]
        unknown = torch.zeros(len(counts), dtype=torch.bool)
        unknown[rows[places < 0]] = True
        values = torch.zeros(len(counts), len(names))
        values[rows[places >= 0], places[places >= 0]] = 1
        values[counts < 0] = float("nan")
        return ftrun.Labels(names=names), values, unknown


class Numbers(Collector):
    """A number in each column: values, or labels as 0 and 1."""

    def __init__(self, target: str, columns: Sequence[str], missing: Collection[str], *, labels: bool) -> None:
        super().__init__(target, columns, missing)
        self._labels = labels
        self._values = array("f" if labels else "d")

    def add(self, cells: Sequence[Any]) -> None:
        for column, cell in zip(self.columns, cells, strict=True):
            if self.is_missing(cell):
                self._values.append(math.nan)
            else:
                self._values.append(self._yes_or_no(column, cell) if self._labels else _number(column, cell))

    def _yes_or_no(self, column: str, cell: Any) -> float:
        said = _YES_OR_NO.get(str(cell).strip().lower())
        if said is None:
            raise ValueError(f"has {_shown(cell)} in {column!r}, where a label is 0 or 1.")
        return said

    def finish(self, in_train: "Tensor") -> "tuple[ftrun.Target, Tensor, Tensor]":
        import torch

        values = _tensor(self._values, "float32" if self._labels else "float64").reshape(-1, len(self.columns))
        for place, column in enumerate(self.columns):
            if values[in_train, place].isnan().all():
                raise self.none_at_all(column)
        target = ftrun.Labels if self._labels else ftrun.Values
        return target(names=self.columns), values, torch.zeros(len(values), dtype=torch.bool)


class _Names:
    """Numbers for names, in the order in which they are met."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}  # of a cell as it stands there
        self._of_name: dict[str, int] = {}

    def code(self, cell: Any) -> int:
        """The number of a cell's name. Raises ValueError for what is no name."""
        if not isinstance(cell, str):
            cell = _name(cell)
        code = self._codes.get(cell)
        if code is None:
            name = normalize("NFC", cell.strip())
            if not name or not encodable(name):
                raise ValueError(f"has {_shown(cell)} where a name is expected.")
            code = self._codes[cell] = self._of_name.setdefault(name, len(self._of_name))
        return code

    def sorted(self, codes: "Tensor") -> "tuple[tuple[str, ...], Tensor]":
        """The names of those numbers, sorted; and int64 [numbers], where in it each number is: -2 where it is not."""
        import torch

        every = list(self._of_name)
        used = codes.unique().tolist()
        names = tuple(sorted(every[code] for code in used))
        positions = torch.full((len(every),), -2)
        for place, name in enumerate(names):
            positions[self._of_name[name]] = place
        return names, positions


def _name(cell: Any) -> str:
    if isinstance(cell, bool | int | float):
        return json.dumps(cell)
    raise ValueError(f"has {_shown(cell)} where a name is expected.")


def _number(column: str, cell: Any) -> float:
    """A finite number from a cell."""
    try:
        if isinstance(cell, str) and "_" in cell:  # Python takes 1_000
            raise ValueError
        number = float(cell) if isinstance(cell, str | int | float) and not isinstance(cell, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not abs(number) <= _LARGEST:
        raise ValueError(f"has {_shown(cell)} in {column!r}, which is no number.")
    return number


def encodable(text: str) -> bool:
    """Whether it is text, without half of a surrogate pair, as JSON can have it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(cell: Any) -> str:
    text = ascii(cell) if isinstance(cell, str) and not cell.isprintable() else repr(cell)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _tensor(values: array, kind: str) -> "Tensor":  # type: ignore[type-arg]
    import torch

    dtype = getattr(torch, kind)
    return torch.frombuffer(values, dtype=dtype) if len(values) else torch.empty(0, dtype=dtype)
