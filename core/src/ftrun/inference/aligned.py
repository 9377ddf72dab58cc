"""Data that a run has not seen, in the run's own terms: classes are matched by name, never by position."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ftrun.contracts.data import Sample, Split, Splits, columns_of, get_items, sample_name, values_at
from ftrun.contracts.errors import DataError, did_you_mean
from ftrun.contracts.printable import counted, shortlist
from ftrun.contracts.targets import Target
from ftrun.data.spellings import grouped_spellings


class AlignedSplit:
    """A split whose targets are another run's: the same inputs, the values as that run counts them.

    columns: of those targets that are known without reading; align: by target, makes a sample's value that run's
    """

    def __init__(
        self, split: Split, columns: Mapping[str, Tensor], align: Mapping[str, Callable[[Any], Any]] | None = None
    ) -> None:
        self.split = split
        self.columns = columns
        self._align = {name: each for name, each in (align or {}).items() if name not in columns}
        self.in_memory = getattr(split, "in_memory", False)
        self.lengths = getattr(split, "lengths", None)
        if hasattr(split, "values") or not self._align:
            self.values = self._values

    @property
    def fingerprint(self) -> str | None:
        """The fingerprint of the inputs, which are the same."""
        return getattr(self.split, "fingerprint", None)

    def __len__(self) -> int:
        return len(self.split)

    def sample_name(self, index: int) -> str | None:
        """Return what that sample is called."""
        return sample_name(self.split, index)

    def _values(self, index: int) -> dict[str, Any]:
        return self._aligned(index, values_at(self.split, index) if self._align else {})

    def _aligned(self, index: int, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return a sample's values in the run's terms. values: the split's own, of targets that are no columns"""
        own = {name: align(values[name]) for name, align in self._align.items()}
        return {**{name: column[index] for name, column in self.columns.items()}, **own}

    def __getitem__(self, index: int, /) -> Sample:
        raw, values = self.split[index]
        return raw, self._aligned(index, values)

    def __getitems__(self, indices: Sequence[int]) -> Any:
        if self._align:
            return [self[index] for index in indices]
        items = get_items(self.split, indices)
        chosen = torch.as_tensor(indices)
        values = {name: column[chosen] for name, column in self.columns.items()}
        return (items[0] if isinstance(items, tuple) else [raw for raw, _ in items]), values


def align(splits: Splits, targets: Mapping[str, Target]) -> Splits:
    """Return the splits with `targets` as their targets; a note counts samples whose names these do not know.

    Such a class is no class, and such a label is left out: neither is evaluated.

    Raises DataError where they lack a target, or nothing that it knows is in them. Fewer classes are fine.
    """
    notes: list[str] = []
    for name, target in targets.items():
        splits, spelled = _spelled_as(target, name, splits)
        notes += [*spelled, *_check(name, target, splits)]
    to_run = {
        name: partial(target.aligned, names=splits.targets[name].names_in_use()) for name, target in targets.items()
    }
    aligned: dict[str, Split] = {}
    for split_name, split in splits.items():
        known = columns_of(split)
        columns = {name: align(known[name]) for name, align in to_run.items() if name in known}
        aligned[split_name] = AlignedSplit(split, columns, to_run)
    return splits.with_splits(aligned).with_targets(targets).with_notes(*notes)


def _spelled_as(target: Target, name: str, splits: Splits) -> tuple[Splits, list[str]]:
    """Return the splits with names spelled as the target has them: 1 where the data has 1.0; and what to say of it."""
    given = splits.targets.get(name)
    if given is None or given.kind != target.kind:
        return splits, []
    known, names = set(target.names_in_use()), set(given.names_in_use())
    own: dict[str, str] = {}
    for spellings in grouped_spellings([*target.names_in_use(), *given.names_in_use()]):
        ours, theirs = known.intersection(spellings), names.intersection(spellings)
        if len(ours) == len(theirs) == 1 and ours != theirs:
            own[theirs.pop()] = ours.pop()
    if not own:
        return splits, []
    renamed = given.renamed([own.get(each, each) for each in given.names_in_use()])
    listed = ", ".join(f"{theirs!r} for {ours!r}" for theirs, ours in own.items())
    note = f"target {name!r}: names of the data are taken for those of the run: {listed}"
    return splits.with_targets({**splits.targets, name: renamed}), [note]


def _check(name: str, target: Target, splits: Splits) -> list[str]:
    """Return what to say of names that the target does not know, if there are samples that have them."""
    given = splits.targets.get(name)
    if given is None:
        raise DataError(
            f"the run predicts {name!r}, which the data does not have.{did_you_mean(name, splits.targets)} "
            f"It has {', '.join(map(repr, splits.targets))}."
        )
    if given.kind != target.kind:
        raise DataError(f"target {name!r} is {target.kind} in the run, and {given.kind} in the data.")
    ours, theirs = target.names_in_use(), given.names_in_use()
    if not ours and target.identity() != given.identity():
        raise DataError(f"target {name!r} is {target.identity()} in the run, and {given.identity()} in the data.")
    unknown = [each for each in theirs if each not in ours]
    missing = [] if target.names_may_lack else [each for each in ours if each not in theirs]
    counts = dict(zip(unknown, _samples(name, given, unknown, splits), strict=True))
    if missing or (unknown and len(unknown) == len(theirs)):
        what = f"the run does not know {_names(unknown)}" if unknown else f"the data does not have {_names(missing)}"
        raise DataError(
            f"target {name!r}: {what}.{did_you_mean(unknown[0], ours) if unknown else ''}\n"
            f"  in the data: {_names(theirs)}\n"
            f"  in the run:  {_names(ours)}\n"
            "They are matched by name, whatever their order."
        )
    if not sum(counts.values()):
        return []
    every = sum(len(split) for _, split in splits.items())
    near = did_you_mean(unknown[0], ours)
    return [
        f"target {name!r}: {sum(counts.values()):,} of {every:,} samples have {target.kind} that the run does not "
        f"know, and these are not judged: {counted(counts)}.{near}"
    ]


def _samples(name: str, given: Target, names: Sequence[str], splits: Splits) -> list[int]:
    """Return how many samples have each of these names; none where they cannot be counted."""
    columns = list(splits.columns(name).values()) if names else []
    counts = given.counts(torch.cat(columns)) if columns else None
    positions = [given.names_in_use().index(each) for each in names]
    return [counts[position] if counts else 0 for position in positions]


def _names(names: Sequence[str]) -> str:
    return shortlist([repr(name) for name in names], most=20)
