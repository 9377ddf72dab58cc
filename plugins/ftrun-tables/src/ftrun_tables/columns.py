"""What a spec says of target columns; and what collects a column's cells, row by row, in little memory."""

import math
import re
from abc import ABC, abstractmethod
from array import array
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

import ftrun
from ftrun_tables.names import Names, cleaned, means_nothing, shown

if TYPE_CHECKING:
    from torch import Tensor

Kind: TypeAlias = Literal["classes", "labels", "values"]

_LARGEST = 1e150  # what the core takes
_YES_OR_NO = {"0": 0.0, "1": 1.0, "false": 0.0, "true": 1.0, "0.0": 0.0, "1.0": 1.0}  # the last two: pandas
_SEPARATOR = ";"  # of labels, where none is set
_GROUPED = re.compile(r"[+-]?\d[\d.,' \u00a0\u2009\u202f]*")


class TargetColumns(BaseModel):
    """Where a target's values are."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)

    kind: Kind = Field(description="classes: one name; labels: any number of names; values: real numbers.")
    column: str | None = Field(None, description="The column, if the target has another name than it.")
    columns: tuple[str, ...] | None = Field(
        None, min_length=1, description="Several columns: labels, each 0 or 1, or values, each a number."
    )
    separator: str | None = Field(
        None, min_length=1, description='What stands between the labels in one column; ";" if not given.'
    )
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
        self.missing = frozenset(map(cleaned, missing))
        self.notes: list[str] = []
        """What a user has to know of the cells, once they are finished: a sentence each."""

    def is_missing(self, cell: Any) -> bool:
        """Whether that means that there is no value."""
        return cell is None or (isinstance(cell, str) and cleaned(cell) in self.missing)

    @abstractmethod
    def add(self, cells: Sequence[Any]) -> None:
        """Take a row's cells. Raises ValueError, which says what is wrong, for such that do not fit."""

    def check(self) -> None:  # noqa: B027  (most have nothing to check)
        """Raise DataError where the cells as a whole cannot be what they were taken for; before rows are split."""

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

    @property
    def members(self) -> "tuple[Tensor, Tensor]":
        """Rows and the number of a name that they have, int64 [M] each; a row may be in it more than once."""
        import torch

        return torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64)

    def none_at_all(self, column: str) -> ftrun.DataError:
        """The error for a column that holds nothing for training."""
        return ftrun.DataError(f"target {self.target!r}: every training row's {column!r} is missing.")


class Classes(Collector):
    """One name a row."""

    def __init__(self, target: str, columns: Sequence[str], missing: Collection[str]) -> None:
        super().__init__(target, columns, missing)
        self._codes = array("q")
        self._names = Names(target)

    def add(self, cells: Sequence[Any]) -> None:
        cell = cells[0]
        if self.is_missing(cell):
            self._codes.append(-1)
        else:
            self._codes.append(self._names.code(cell))

    def check(self) -> None:
        self._names.check_many(self.columns[0], int((self.strata >= 0).sum()))

    @property
    def strata(self) -> "Tensor":
        return self._names.merged(_tensor(self._codes, "int64"))

    @property
    def members(self) -> "tuple[Tensor, Tensor]":
        codes = self.strata
        rows = (codes >= 0).nonzero().flatten()
        return rows, codes[rows]

    def finish(self, in_train: "Tensor") -> "tuple[ftrun.Target, Tensor, Tensor]":
        codes = _tensor(self._codes, "int64")
        known = codes >= 0
        names, positions = self._names.sorted(codes[in_train & known])
        if not names:
            raise self.none_at_all(self.columns[0])
        values = codes.clone()
        values[known] = positions[codes[known]]
        counts = values[in_train & known].bincount(minlength=len(names)).tolist()
        self.notes = self._names.notes(names, counts, self.missing)
        return ftrun.Classes(names=names), values, values == -2


class SeparatedLabels(Collector):
    """Any number of names a row, in one cell: separated, or a list."""

    def __init__(
        self,
        target: str,
        columns: Sequence[str],
        missing: Collection[str],
        separator: str | None,
        empty_is_missing: bool,
    ) -> None:
        super().__init__(target, columns, missing)
        self._separator = separator or _SEPARATOR
        self._by_default = separator is None
        self._empty_is_missing = empty_is_missing
        self._codes = array("q")
        self._counts = array("q")  # of each row; -1 where it is missing
        self._names = Names(target)
        self._met = {"text": False, "separator": False}

    def add(self, cells: Sequence[Any]) -> None:
        cell = cells[0]
        empty = cell == [] or (isinstance(cell, str) and not cleaned(cell))
        if self._empty_is_missing if empty else self.is_missing(cell):
            self._counts.append(-1)
            return
        labels = cell
        if isinstance(cell, str):
            labels = cell.split(self._separator)
            self._met["text"] = True
            self._met["separator"] |= len(labels) > 1
        if not isinstance(labels, list):
            raise ValueError(f"has {shown(cell)} in {self.columns[0]!r}, where a list of labels is expected.")
        codes = {self._names.code(each) for each in labels if not isinstance(each, str) or cleaned(each)}
        self._codes.extend(sorted(codes))
        self._counts.append(len(codes))

    def check(self) -> None:
        if self._met["text"] and (several := self._names.several_in_one(self._separator)):
            message = f"target {self.target!r}: {several[0]} in {self.columns[0]!r} {several[1]}"
            if self._by_default and not self._met["separator"]:
                raise ftrun.DataError(message)
            self.notes.append(message)
        self._names.check_many(self.columns[0], max(len(self._counts), len(self._codes)))

    @property
    def members(self) -> "tuple[Tensor, Tensor]":
        return self._rows, self._names.merged(_tensor(self._codes, "int64"))

    @property
    def _rows(self) -> "Tensor":
        """The row of each label, int64 [M]."""
        import torch

        counts = _tensor(self._counts, "int64")
        return torch.arange(len(counts)).repeat_interleave(counts.clamp(min=0))

    def finish(self, in_train: "Tensor") -> "tuple[ftrun.Target, Tensor, Tensor]":
        import torch

        counts, codes, rows = _tensor(self._counts, "int64"), _tensor(self._codes, "int64"), self._rows
        names, positions = self._names.sorted(codes[in_train[rows]])
        if not names:
            raise self.none_at_all(self.columns[0])
        places = positions[codes]
        unknown = torch.zeros(len(counts), dtype=torch.bool)
        unknown[rows[places < 0]] = True
        values = torch.zeros(len(counts), len(names))
        values[rows[places >= 0], places[places >= 0]] = 1
        values[counts < 0] = float("nan")
        self.notes += self._names.notes(names, values[in_train].nansum(0).long().tolist(), self.missing)
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
        said = _YES_OR_NO.get(cleaned(str(cell)).lower())
        if said is None:
            raise ValueError(f"has {shown(cell)} in {column!r}, where a label is 0 or 1.{_hint(cell)}")
        return said

    def finish(self, in_train: "Tensor") -> "tuple[ftrun.Target, Tensor, Tensor]":
        import torch

        values = _tensor(self._values, "float32" if self._labels else "float64").reshape(-1, len(self.columns))
        for place, column in enumerate(self.columns):
            if values[in_train, place].isnan().all():
                raise self.none_at_all(column)
        target = ftrun.Labels if self._labels else ftrun.Values
        return target(names=self.columns), values, torch.zeros(len(values), dtype=torch.bool)


def _number(column: str, cell: Any) -> float:
    """A finite number from a cell."""
    try:
        if isinstance(cell, str) and "_" in cell:  # Python takes 1_000
            raise ValueError
        number = float(cell) if isinstance(cell, str | int | float) and not isinstance(cell, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not abs(number) <= _LARGEST:
        raise ValueError(f"has {shown(cell)} in {column!r}, which is no number.{_hint(cell)}")
    return number


def _hint(cell: Any) -> str:
    """What a cell that is no number may mean."""
    if not isinstance(cell, str):
        return ""
    if means_nothing(cell):
        return f' If it means that there is no value, add it to `missing`: ["", "{cell.strip()}"].'
    if _GROUPED.fullmatch(cell.strip()):
        return " Write numbers as 1234.5 is: a point before the decimals, nothing between thousands."
    return ""


def _tensor(values: array, kind: str) -> "Tensor":  # type: ignore[type-arg]
    import torch

    dtype = getattr(torch, kind)
    return torch.frombuffer(values, dtype=dtype) if len(values) else torch.empty(0, dtype=dtype)
