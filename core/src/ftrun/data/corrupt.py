"""Samples that cannot be read: an error or, up to a number that the spec gives, skipped, never silently."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ftrun.contracts.errors import DataError

_SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class UnreadableSample:
    """A sample that cannot be read, by its index in the split."""

    split: str
    sample: int
    reason: str


class CorruptSamples:
    """The unreadable samples of a run, each once. limit: how many may be skipped; say: shows each one."""

    def __init__(self, limit: int, say: Callable[[str], None]) -> None:
        self.limit = limit
        self._samples: dict[tuple[str, int], UnreadableSample] = {}
        self._say = say

    @property
    def samples(self) -> list[UnreadableSample]:
        """Those of the run, in the order in which they were met."""
        return list(self._samples.values())

    @samples.setter
    def samples(self, samples: Iterable[UnreadableSample]) -> None:
        self._samples = {(each.split, each.sample): each for each in samples}

    @property
    def in_order(self) -> list[UnreadableSample]:
        """By split and sample: in what order they were met depends on what is cached."""
        return sorted(self.samples, key=lambda each: (_SPLITS.index(each.split), each.sample))

    def add(self, split: str, sample: int, reason: str) -> None:
        """Note one that is to be skipped. Raises DataError where that is one too many."""
        if (split, sample) in self._samples:
            return
        self._samples[split, sample] = UnreadableSample(split, sample, reason)
        count = len(self._samples)
        if count > self.limit:
            listed = "\n".join(f"  {each.split} {each.sample}: {each.reason}" for each in self.in_order)
            raise DataError(f"{count} samples cannot be read, and train.on_corrupt allows for {self.limit}:\n{listed}")
        self._say(f"skipped sample {sample} of {split}, {count} of at most {self.limit}: {reason}")
