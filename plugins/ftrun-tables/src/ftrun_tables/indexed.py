"""Rows of files, found once and read again when they are asked for: memory does not grow with the texts.

What is kept of a row is where it is in its file, its size, length and digest, 32 bytes, and its targets' values.
"""

import hashlib
import os
import weakref
from array import array
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeAlias

import torch
from torch import Tensor

import ftrun
from ftrun_tables.columns import Collector
from ftrun_tables.files import RowFile
from ftrun_tables.lines import reading
from ftrun_tables.names import encodable
from ftrun_tables.shares import draw, set_aside

SPLITS = ("train", "val", "test")
_OTHER_NAMES = {"training": "train", "valid": "val", "validation": "val", "dev": "val", "testing": "test"}


class Rows:
    """Some rows of a file as a split: the input is what is in a column, a str. Read by seeking, also in workers.

    offsets, sizes: int64 [N], in bytes; lengths: int64 [N], in characters; digests: int64 [N], equal for equal inputs;
        targets: {name: [N, ...]}
    """

    def __init__(
        self,
        file: RowFile,
        column: str,
        offsets: Tensor,
        sizes: Tensor,
        lengths: Tensor,
        digests: Tensor,
        targets: Mapping[str, Tensor],
    ) -> None:
        self.file = file
        self.column = column
        self.offsets = offsets
        self.sizes = sizes
        self.lengths = lengths
        self.digests = digests
        self.columns = dict(targets)
        self._open: int | None = None

    @property
    def fingerprint(self) -> str | None:
        """Of what is in the file, of how it is read, and of which rows these are."""
        content = ftrun.files_fingerprint([self.file.path], None)
        if content is None:
            return None
        how = {key: value for key, value in vars(self.file).items() if key not in ("path", "version", "notes")}
        found = hashlib.sha256(repr((content, type(self.file).__name__, self.column, how)).encode())
        found.update(self.offsets.view(torch.uint8).numpy())
        return found.hexdigest()

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, index: int, /) -> ftrun.Sample:
        return self.text(index), {name: values[index] for name, values in self.columns.items()}

    def __getitems__(self, indices: Sequence[int]) -> tuple[list[str], dict[str, Tensor]]:
        chosen = torch.as_tensor(indices)
        places = zip(self.offsets[chosen].tolist(), self.sizes[chosen].tolist(), strict=True)
        texts = [self._read(offset, size) for offset, size in places]
        return texts, {name: values[chosen] for name, values in self.columns.items()}

    def text(self, index: int) -> str:
        """What is in the column of that row. Raises DataError where the file is not as it was."""
        return self._read(int(self.offsets[index]), int(self.sizes[index]))

    def refuse(self, index: int, what: str) -> NoReturn:
        """Raise DataError for that row, with its line."""
        self.file.refuse(int(self.offsets[index]), what)

    def _read(self, offset: int, size: int) -> str:
        try:
            raw = self._bytes(offset, size)
            text: str = self.file.cell(raw.decode(self.file.encoding), self.column)
        except (ValueError, KeyError, IndexError, StopIteration, ftrun.DataError) as error:
            raise ftrun.DataError(
                f"{self.file.path}, byte {offset:,}: has changed while it was in use: {error}."
            ) from None
        return text

    def _bytes(self, offset: int, size: int) -> bytes:
        with reading(self.file.path):
            if self._open is None:
                self._open = os.open(self.file.path, os.O_RDONLY)
                weakref.finalize(self, os.close, self._open)
            status = os.fstat(self._open)
            if (status.st_size, status.st_mtime_ns) != self.file.version:
                raise ftrun.DataError("its size or time of change is another one")
            return os.pread(self._open, size, offset)  # leaves no position behind: processes may share what is open

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_open": None}


@dataclass(frozen=True)
class Wanted:
    """What to read.

    column: with the inputs; targets: what collects each target's values
    split: the column with the names of splits, where there is one
    empty: what to do about a row whose input is empty
    test_fraction, seed: how much of one file without names of splits is set aside for test, and which
    whole: whether the names are those of all rows, and no row need be of train
    """

    column: str
    targets: Mapping[str, Collector]
    split: str | None = None
    empty: Literal["error", "keep", "skip"] = "error"
    test_fraction: float = 0.0
    seed: int = 0
    whole: bool = False


Read: TypeAlias = tuple[dict[str, "Rows"], dict[str, ftrun.Target], list[str]]
"""The splits, what their targets are, and what a user has to know of the rows."""


def read(files: Mapping[str, RowFile], wanted: Wanted) -> Read:
    """The splits, what their targets are, and what a user has to know of the rows, a sentence each.

    files: by the split that they are; one file that holds all is "train"

    Raises DataError, with file and line, for whatever is wrong in them.
    """
    index = _Index(wanted)
    for split, file in files.items():
        index.add(split, file)
    return index.splits()


class _Index:
    """What is kept of the rows that were met so far."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.columns = [wanted.column]
        self._places: list[tuple[Collector, slice]] = []
        for collector in wanted.targets.values():
            self._places.append((collector, slice(len(self.columns), len(self.columns) + len(collector.columns))))
            self.columns += collector.columns
        if wanted.split:
            self.columns.append(wanted.split)
        self._offsets, self._sizes, self._lengths, self._draws = array("q"), array("q"), array("q"), array("q")
        self._split = array("b")
        self._files: list[tuple[int, RowFile]] = []
        """Each file, and the number of its first row."""
        self._notes: list[str] = []

    def add(self, split: str, file: RowFile) -> None:
        wanted, of_split = self.wanted, SPLITS.index(split)
        self._files.append((len(self._offsets), file))
        skipped = 0
        with closing(file.rows(self.columns)) as rows:
            for offset, size, cells in rows:
                text = cells[0]
                if not isinstance(text, str) or not encodable(text):
                    file.refuse(offset, f"has no text in {wanted.column!r}, but {ascii(text)[:40]}.")
                if wanted.empty != "keep" and (not text or text.isspace()):
                    if wanted.empty == "skip":
                        skipped += 1
                        continue
                    file.refuse(offset, f"{wanted.column!r} is empty.")
                try:
                    for collector, place in self._places:
                        collector.add(cells[place])
                    if wanted.split:
                        of_split = _split_code(wanted.split, cells[-1])
                except ValueError as error:
                    file.refuse(offset, str(error))
                self._offsets.append(offset)
                self._sizes.append(size)
                self._lengths.append(len(text))
                self._split.append(of_split)
                self._draws.append(draw(wanted.seed, text))
        if len(self._offsets) == self._files[-1][0]:
            raise ftrun.DataError(f"{file.path}: {_no_rows(file, skipped)}.")
        if skipped:
            self._notes.append(f"{file.path}: {skipped:,} rows without a text in {wanted.column!r} are left out")
        self._notes += file.notes

    def splits(self) -> Read:
        for collector in self.wanted.targets.values():
            collector.check()
        split = torch.frombuffer(self._split, dtype=torch.int8)
        if self.wanted.whole:
            return self._splits(split, torch.ones_like(split, dtype=torch.bool))
        if self.wanted.test_fraction:
            split = torch.where(self._set_aside(), SPLITS.index("test"), split)
        if not (split == 0).any():
            raise ftrun.DataError(f"{self._files[0][1].path}: no row's {self.wanted.split!r} is train.")
        return self._splits(split, split == 0)

    def _splits(self, split: Tensor, named_by: Tensor) -> Read:
        """split: int8 [N], in SPLITS; named_by: bool [N], the rows whose names are the targets'"""
        targets: dict[str, ftrun.Target] = {}
        values: dict[str, Tensor] = {}
        for name, collector in self.wanted.targets.items():
            targets[name], values[name], unknown = collector.finish(named_by)
            strange = (unknown & ~named_by).nonzero()
            if len(strange):
                self._refuse_unknown(int(strange[0]), collector, targets[name])
            self._notes += collector.notes
        splits = {name: rows for code, name in enumerate(SPLITS) if (rows := self._rows(split == code, values))}
        return splits, targets, self._notes

    def _rows(self, chosen: Tensor, values: Mapping[str, Tensor]) -> Rows | None:
        if not chosen.any():
            return None
        where, file = self._file_of(int(chosen.nonzero()[0])), self.wanted.column
        offsets, sizes, lengths, digests = (
            torch.frombuffer(each, dtype=torch.int64)[chosen]
            for each in (self._offsets, self._sizes, self._lengths, self._draws)
        )
        return Rows(
            where, file, offsets, sizes, lengths, digests, {name: each[chosen] for name, each in values.items()}
        )

    def _set_aside(self) -> Tensor:
        draws = torch.frombuffer(self._draws, dtype=torch.int64)
        collectors = self.wanted.targets.values()
        strata = next((each.strata for each in collectors if each.strata is not None), torch.zeros_like(draws))
        chosen = set_aside(strata, draws, self.wanted.test_fraction)
        # One to train on, and one for val, which the core cuts from train.
        chosen = ftrun.keep_classes(chosen, [each.members for each in collectors], draws, left=2)
        if not chosen.any():
            raise ftrun.DataError(
                f"{self._files[0][1].path}: {len(draws)} rows are too few to set some aside for test and to leave "
                "one of each class to train on. Add rows, or set `test_fraction` to 0."
            )
        return chosen

    def _file_of(self, row: int) -> RowFile:
        return next(file for first, file in reversed(self._files) if first <= row)

    def _refuse_unknown(self, row: int, collector: Collector, target: ftrun.Target) -> NoReturn:
        file, (column,) = self._file_of(row), collector.columns
        one = Rows(
            file,
            column,
            *(torch.tensor([each[row]]) for each in (self._offsets, self._sizes, self._lengths, self._draws)),
            targets={},
        )
        found = one.text(0)
        names = ", ".join(map(repr, target.names[:10])) + (", ..." if len(target.names) > 10 else "")
        file.refuse(
            self._offsets[row],
            f"has {found!r} in {column!r}, but no training row has.{ftrun.did_you_mean(str(found), target.names)} "
            f"In training: {names}.",
        )


def _no_rows(file: RowFile, skipped: int) -> str:
    if skipped:
        return f"has no rows that are not empty, of {skipped:,}"
    return "has no rows" if file.version[0] else "is empty"


def _split_code(column: str, cell: Any) -> int:
    name = cell.strip().lower() if isinstance(cell, str) else ""
    name = _OTHER_NAMES.get(name, name)
    if name not in SPLITS:
        raise ValueError(f"has {cell!r} in {column!r}, where train, val or test is expected.")
    return SPLITS.index(name)
