"""Which samples have the same input, to the bit: a number of 64 bits for each."""

import hashlib
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

from ftrun.contracts.data import Split, Splits, Subset

_BLOCK = 4096  # bytes of an input that are looked at first; all of it, where others have the same


def digests(splits: Splits) -> dict[str, Tensor]:
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
    found = {name: each.hashed(range(len(each.indices)), _BLOCK) for name, each in inputs.items()}
    repeated = torch.split(_repeated(torch.cat(list(found.values()))), [len(each) for each in found.values()])
    for (name, each), again in zip(inputs.items(), repeated, strict=True):
        if again.any():
            found[name][again] = each.hashed(again.nonzero().flatten().tolist(), None)
    return found


def _repeated(numbers: Tensor) -> Tensor:
    """bool [N]: which numbers, int64 [N], are there more than once."""
    _, which, counts = numbers.unique(return_inverse=True, return_counts=True)  # type: ignore[no-untyped-call]
    several: Tensor = counts[which] > 1
    return several


class _Inputs:
    """A split's inputs, where they are rows of a tensor on the CPU."""

    def __init__(self, split: Split) -> None:
        whole: Any = split
        indices = torch.arange(len(split))
        while isinstance(whole, Subset):
            whole, indices = whole.split, whole.indices[indices]
        inputs = getattr(whole, "inputs", None)
        self.tensor = inputs if isinstance(inputs, Tensor) and inputs.device.type == "cpu" else None
        self.indices = indices
        self._unreadable: Collection[int] = getattr(whole, "unreadable", ())

    def hashed(self, samples: Collection[int], most: int | None) -> Tensor:
        """int64 [samples]: of at most so many bytes from the middle of each input, or of all."""
        assert self.tensor is not None
        numbers = torch.empty(len(samples), dtype=torch.int64)
        for place, sample in enumerate(samples):
            index = int(self.indices[sample])
            if index in self._unreadable:  # there is no input to be compared
                numbers[place] = -1 - index
                continue
            row = self.tensor[index].contiguous().reshape(-1).view(torch.uint8).numpy()
            start = 0 if most is None else max(0, len(row) - most) // 2
            block: Any = row[start : len(row) if most is None else start + most]
            numbers[place] = int.from_bytes(hashlib.blake2b(block, digest_size=8).digest(), "little", signed=True)
        return numbers
