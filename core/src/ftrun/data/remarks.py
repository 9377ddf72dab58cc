"""What a user has to know of any data before a net learns from it: a note each, as `Splits.notes` has them."""

import hashlib
import re
from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any
from unicodedata import category, normalize

import torch
from torch import Tensor

from ftrun.contracts.data import Split, Splits, Subset
from ftrun.contracts.printable import shortlist
from ftrun.contracts.targets import Classes, Labels, Target, Values

_BLOCK = 4096  # bytes of an input that are compared first; all of it, where others have the same


def remarks(splits: Splits) -> list[str]:
    """Return a note for each thing that makes metrics mean less than they seem to, from targets and inputs."""
    train = splits.training.targets
    notes = [
        f"target {name!r}: {note}"
        for name, target in splits.targets.items()
        for note in _of_target(target, train[name])
    ]
    return [*notes, *_same_inputs(splits)]


def absent(splits: Splits) -> Iterator[str]:
    """Yield a note on the classes and labels that no sample of val, test or other data has, target by target."""
    for name, target in splits.targets.items():
        if isinstance(target, Values):
            continue
        lacking: dict[tuple[int, ...], list[str]] = {}
        counts = {split_name: _counts(target, split.targets[name]) for split_name, split in splits.items()}
        in_train = counts.pop("train", None)
        for split_name, of_split in counts.items():
            lacking.setdefault(tuple(index for index, count in enumerate(of_split) if not count), []).append(split_name)
        lacking.pop((), None)
        for which, names in lacking.items():
            note = _lacking(names, target, which, in_train)
            yield f"target {name!r}: {note}" if len(splits.targets) > 1 else note


def _lacking(names: Sequence[str], target: Target, which: Sequence[int], in_train: Sequence[int] | None) -> str:
    if isinstance(target, Classes):
        meaning = "macro metrics are means over the classes that occur there or are predicted"
    else:
        meaning = "their precision, recall and F1 are 0 there, and count in macro metrics"
    listed = [_shown(target.names[index]) + (f" ({in_train[index]:,} in train)" if in_train else "") for index in which]
    have = "have" if len(names) > 1 else "has"
    return (
        f"{' and '.join(names)} {have} no sample of {len(which):,} of {target.outputs:,} {target.kind}, "
        f"{shortlist(listed)}: {meaning}"
    )


def _of_target(target: Target, values: Tensor) -> Iterator[str]:
    """Yield notes on a target's values in train, [N, ...]."""
    if isinstance(target, Values):
        for name, column, known in zip(target.names, values.unbind(1), target.known(values).unbind(1), strict=True):
            column = column[known]
            if len(column) and (column == column[0]).all():
                yield f"{name!r} is {column[0]:g} in every training sample: there is nothing to learn"
        return
    counts = _counts(target, values)
    yield from _twins(target.names, counts)
    if isinstance(target, Labels):
        for name, count, known in zip(target.names, counts, target.known(values).sum(0).tolist(), strict=True):
            if count in (0, known):
                some = "every" if count else "no"
                yield f"{some} training sample has label {name!r}: there is nothing to learn of it"


def _counts(target: Classes | Labels, values: Tensor) -> list[int]:
    """Return how many samples have each class or label."""
    if isinstance(target, Classes):
        counts = values[target.known(values)].bincount(minlength=target.outputs)
    else:
        counts = (values == 1).sum(0)
    return [int(count) for count in counts.tolist()]


def _twins(names: Sequence[str], counts: Sequence[int]) -> Iterator[str]:
    """Yield a note on names that differ in case, blanks or signs that are not seen alone, or are one number."""
    alike: dict[str | Decimal, list[int]] = {}
    for index, name in enumerate(names):
        alike.setdefault(_plain(name), []).append(index)
    for plain, indices in alike.items():
        if len(indices) > 1:
            listed = " and ".join(f"{_shown(names[index])} ({counts[index]:,} in train)" for index in indices)
            how = "differ in case, blanks or unseen signs alone" if isinstance(plain, str) else "are one number"
            yield f"{listed} {how}, and are {len(indices)} classes"


def _plain(name: str) -> str | Decimal:
    """Return what is equal for names that look alike, or are one number: 1, 01, 1e0."""
    try:
        if (number := Decimal(name)).is_finite():
            return number
    except InvalidOperation:
        pass
    seen = "".join(each for each in normalize("NFKC", name) if category(each) != "Cf")
    return re.sub(r"(?<=\w)[\s_-]+(?=\w)", " ", seen).strip().casefold()


def _shown(name: str) -> str:
    return repr(name) if name.isprintable() else ascii(name)


def _same_inputs(splits: Splits) -> Iterator[str]:
    digests = _digests(splits)
    if "train" not in digests:
        return
    train = digests["train"]
    for name, own in digests.items():
        same = int(torch.isin(own, train).sum()) if name != "train" else 0
        if same:
            yield (
                f"{same:,} of {len(own):,} {name} samples are in train too, with equal inputs: metrics of {name} are "
                "better than they are on new data"
            )
    which, repeated = _groups(train)
    for name, target in splits.targets.items():
        values = splits.training.targets[name]
        chosen = repeated & target.present(values)
        if isinstance(target, Values) or not chosen.any():  # values may well be measured twice
            continue
        labels = values[chosen].nan_to_num(-1).long().reshape(int(chosen.sum()), -1)
        pairs = torch.cat([which[chosen, None], labels], 1).unique(dim=0)  # type: ignore[no-untyped-call]
        inputs = int((pairs[:, 0].bincount() > 1).sum())
        if inputs:
            yield f"target {name!r}: inputs that are in train more than once, with different labels: {inputs:,}"


def _groups(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Return for each of some numbers, int64 [N], its group of equal ones, int64 [N], and whether it has others."""
    _, which, counts = numbers.unique(return_inverse=True, return_counts=True)  # type: ignore[no-untyped-call]
    return which, counts[which] > 1


def _digests(splits: Splits) -> dict[str, Tensor]:
    """Return int64 [N] for each split by name, equal for equal inputs; empty where inputs cannot be compared.

    These are the splits' own `digests`, if they have any, or made of inputs that lie in memory or in the cache.
    """
    by_name = dict(splits.items())
    own = {name: own for name, split in by_name.items() if (own := getattr(split, "digests", None)) is not None}
    if len(own) == len(by_name):
        return own
    inputs = {name: _Inputs(split) for name, split in by_name.items()}
    if any(each.tensor is None for each in inputs.values()):
        return {}
    made = {name: each.hashed(range(len(each.indices)), _BLOCK) for name, each in inputs.items()}
    _, repeated = _groups(torch.cat(list(made.values())))
    for (name, each), again in zip(inputs.items(), repeated.split([len(each) for each in made.values()]), strict=True):  # type: ignore[no-untyped-call]
        if again.any():
            made[name][again] = each.hashed(again.nonzero().flatten().tolist(), None)
    return made


class _Inputs:
    """A split's inputs, where they are rows of a tensor on the CPU."""

    def __init__(self, split: Split) -> None:
        whole: Any = split
        self.indices = torch.arange(len(split))
        while isinstance(whole, Subset):
            whole, self.indices = whole.split, whole.indices[self.indices]
        inputs = getattr(whole, "inputs", None)
        self.tensor = inputs if isinstance(inputs, Tensor) and inputs.device.type == "cpu" else None
        self._unreadable: Collection[int] = getattr(whole, "unreadable", ())

    def hashed(self, samples: Collection[int], most: int | None) -> Tensor:
        """Return int64 [samples]: of at most so many bytes from the middle of each input, or of all."""
        assert self.tensor is not None
        numbers = torch.empty(len(samples), dtype=torch.int64)
        for position, sample in enumerate(samples):
            index = int(self.indices[sample])
            if index in self._unreadable:  # there is no input to be compared
                numbers[position] = -1 - index
                continue
            row = self.tensor[index].contiguous().reshape(-1).view(torch.uint8).numpy()
            start = 0 if most is None else max(0, len(row) - most) // 2
            block: Any = row[start : len(row) if most is None else start + most]
            numbers[position] = int.from_bytes(hashlib.blake2b(block, digest_size=8).digest(), "little", signed=True)
        return numbers
