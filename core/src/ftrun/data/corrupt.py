"""Samples that cannot be read: an error or, up to a number that the spec gives, skipped; never silently."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ftrun.contracts.errors import DataError

_SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Corrupt:
    """A sample that cannot be read."""

    split: str
    sample: int
    """Its index in the split."""
    reason: str


class CorruptSamples:
    """Those found so far in a run, each once. `limit`: how many may be skipped; `say`: told of each."""

    def __init__(self, limit: int, say: Callable[[str], None]) -> None:
        self.limit = limit
        self._found: dict[tuple[str, int], Corrupt] = {}
        self._say = say

    @property
    def found(self) -> list[Corrupt]:
        """Those of the run, in the order in which they were found."""
        return list(self._found.values())

    @found.setter
    def found(self, found: Iterable[Corrupt]) -> None:
        self._found = {(each.split, each.sample): each for each in found}

    @property
    def in_order(self) -> list[Corrupt]:
        """By split and sample: in what order they were found depends on what is cached."""
        return sorted(self._found.values(), key=lambda each: (_SPLITS.index(each.split), each.sample))

    def add(self, split: str, sample: int, reason: str) -> None:
        """Note one that is to be skipped. Raises DataError where that is one too many."""
        if (split, sample) in self._found:
            return
        self._found[split, sample] = Corrupt(split, sample, reason)
        count = len(self._found)
        if count > self.limit:
            listed = "\n".join(f"  {each.split} {each.sample}: {each.reason}" for each in self.found)
            raise DataError(f"{count} samples cannot be read, and train.on_corrupt allows for {self.limit}:\n{listed}")
        self._say(f"skipped sample {sample} of {split}, {count} of at most {self.limit}: {reason}")
