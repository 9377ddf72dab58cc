"""Data that a run has not seen, in the run's own terms: classes are matched by name, never by position."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ftrun.data import Sample, Split, Splits, get_items, sample_name
from ftrun.errors import DataError, did_you_mean
from ftrun.targets import Classes, Target


class AlignedSplit:
    """A split whose targets are another run's: the same inputs, the values as that run counts them."""

    def __init__(self, split: Split, targets: Mapping[str, Tensor]) -> None:
        self.split = split
        self.targets = targets
        self.in_memory = getattr(split, "in_memory", False)
        self.lengths = getattr(split, "lengths", None)

    @property
    def fingerprint(self) -> str | None:
        """Of the inputs, which are the same."""
        return getattr(self.split, "fingerprint", None)

    def __len__(self) -> int:
        return len(self.split)

    def sample_name(self, index: int) -> str | None:
        """What that sample is called."""
        return sample_name(self.split, index)

    def __getitem__(self, index: int, /) -> Sample:
        return self.split[index][0], {name: values[index] for name, values in self.targets.items()}

    def __getitems__(self, indices: Sequence[int]) -> Any:
        items = get_items(self.split, indices)
        chosen = torch.as_tensor(indices)
        targets = {name: values[chosen] for name, values in self.targets.items()}
        return (items[0] if isinstance(items, tuple) else [raw for raw, _ in items]), targets


def align(splits: Splits, targets: Mapping[str, Target]) -> Splits:
    """The splits with `targets` as their targets.

    Raises DataError where they lack a target, or know a name that it does not have. Fewer classes are fine.
    """
    for name, target in targets.items():
        _check(name, splits.targets.get(name), target, splits.targets)
    aligned: dict[str, Split] = {
        split_name: AlignedSplit(
            split,
            {name: target.aligned(split.targets[name], splits.targets[name].names) for name, target in targets.items()},
        )
        for split_name, split in splits.items()
    }
    return splits.with_splits(aligned).with_targets(targets)


def _check(name: str, given: Target | None, target: Target, all_given: Mapping[str, Target]) -> None:
    if given is None:
        raise DataError(
            f"the run predicts {name!r}, which the data does not have.{did_you_mean(name, all_given)} "
            f"It has {', '.join(map(repr, all_given))}."
        )
    if given.kind != target.kind:
        raise DataError(f"target {name!r} is {target.kind} in the run, and {given.kind} in the data.")
    unknown = [each for each in given.names if each not in target.names]
    missing = [] if isinstance(target, Classes) else [each for each in target.names if each not in given.names]
    if unknown or missing:
        what = f"the run does not know {_some(unknown)}" if unknown else f"the data does not have {_some(missing)}"
        raise DataError(
            f"target {name!r}: {what}.{did_you_mean(unknown[0], target.names) if unknown else ''}\n"
            f"  in the data: {_some(given.names)}\n"
            f"  in the run:  {_some(target.names)}\n"
            "They are matched by name, whatever their order."
        )


def _some(names: Sequence[str], most: int = 20) -> str:
    shown = ", ".join(map(repr, names[:most]))
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
