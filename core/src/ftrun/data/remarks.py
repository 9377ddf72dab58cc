"""What a user has to know of any data before a net learns from it: a note each, as `Splits.notes` has them."""

import hashlib
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ftrun.contracts.data import Split, Splits, Subset, columns_of, files_of
from ftrun.contracts.printable import shortlist
from ftrun.contracts.targets import Target
from ftrun.contracts.targets.names import shown_name
from ftrun.data.filedigests import digests_of

_BLOCK = 4096  # bytes of an input that are compared first; all of it, where others have the same


def remarks(splits: Splits) -> list[str]:
    """Return a note for each thing that makes metrics mean less than they seem to, from targets and inputs."""
    train = columns_of(splits.training)
    notes = [
        f"target {name!r}: {note}"
        for name, target in splits.targets.items()
        for note in (target.remarks(train[name]) if name in train else ())
    ]
    return [*notes, *_same_inputs(splits)]


def absent(splits: Splits) -> Iterator[str]:
    """Yield a note on the classes and labels that no sample of val, test or other data has, target by target."""
    for name, target in splits.targets.items():
        every = {split_name: target.counts(values) for split_name, values in splits.columns(name).items()}
        counts = {split_name: of_split for split_name, of_split in every.items() if of_split is not None}
        lacking: dict[tuple[int, ...], list[str]] = {}
        in_train = counts.pop("train", None)
        for split_name, of_split in counts.items():
            lacking.setdefault(tuple(index for index, count in enumerate(of_split) if not count), []).append(split_name)
        lacking.pop((), None)
        for which, names in lacking.items():
            note = _lacking(names, target, which, in_train)
            yield f"target {name!r}: {note}" if len(splits.targets) > 1 else note


def _lacking(names: Sequence[str], target: Target, which: Sequence[int], in_train: Sequence[int] | None) -> str:
    known = target.names_in_use()
    listed = [shown_name(known[each]) + (f" ({in_train[each]:,} in train)" if in_train else "") for each in which]
    have = "have" if len(names) > 1 else "has"
    return (
        f"{' and '.join(names)} {have} no sample of {len(which):,} of {len(known):,} {target.kind}, "
        f"{shortlist(listed)}: {target.absent_means}"
    )


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
    columns = columns_of(splits.training)
    for name, target in splits.targets.items():
        if name not in columns:
            continue
        values = columns[name]
        chosen = repeated & target.present(values)
        if not target.is_discrete or not chosen.any():
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

    These are the splits' own `digests`, if they have any, or made of inputs that lie in memory or in the cache; where
    these are kept at several sizes, of their files.
    """
    by_name = dict(splits.items())
    own = {name: own for name, split in by_name.items() if (own := getattr(split, "digests", None)) is not None}
    if len(own) == len(by_name):
        return own
    inputs = {name: _Inputs(split) for name, split in by_name.items()}
    if any(each.tensor is None for each in inputs.values()):
        return {}
    if len({each.shape for each in inputs.values()}) > 1:
        return _of_files(by_name)
    made = {name: each.hashed(range(len(each.indices)), _BLOCK) for name, each in inputs.items()}
    _, repeated = _groups(torch.cat(list(made.values())))
    for (name, each), again in zip(inputs.items(), repeated.split([len(each) for each in made.values()]), strict=True):  # type: ignore[no-untyped-call]
        if again.any():
            made[name][again] = each.hashed(again.nonzero().flatten().tolist(), None)
    return made


def _of_files(splits: Mapping[str, Split]) -> dict[str, Tensor]:
    """Return int64 [N] for each split by name, equal for equal files; empty where samples have none."""
    files = {name: files_of(split) for name, split in splits.items()}
    if not all(files.values()):
        return {}
    digests = digests_of(path for paths in files.values() for path in paths)
    unread = itertools.count()  # equal to no other

    def number(path: str) -> int:
        digest = digests[path]
        return -1 - next(unread) if digest is None else int.from_bytes(digest[:8], "little") >> 1

    return {name: torch.tensor([number(path) for path in paths]) for name, paths in files.items()}


class _Inputs:
    """A split's inputs, where they are rows of a tensor on the CPU."""

    def __init__(self, split: Split) -> None:
        whole: Any = split
        self.indices = torch.arange(len(split))
        while isinstance(whole, Subset):
            whole, self.indices = whole.split, whole.indices[self.indices]
        inputs = getattr(whole, "inputs", None)
        self.tensor = inputs if isinstance(inputs, Tensor) and inputs.device.type == "cpu" else None
        self.shape = () if self.tensor is None else self.tensor.shape[1:]
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
