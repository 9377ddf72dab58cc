"""The samples of a run, or of other data like its own: what a plugin compares on, or calibrates with."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from ftrun.contracts.data import Batch, Splits, Subset
from ftrun.inference.evaluation import other_splits, own_splits, spec_with
from ftrun.inference.opened import Opened
from ftrun.spec.runspec import RunSpec
from ftrun.train.feed import corrupt_samples, decoder, loader


@dataclass(frozen=True)
class Samples:
    """The samples of some data as an opened run reads them."""

    run: Opened
    spec: RunSpec
    """The run's, with the dataset that the samples are of."""
    splits: Splits
    say: Callable[[str], None]

    @classmethod
    def of(cls, run: Opened, dataset: str | None, say: Callable[[str], None], *, other_data: bool = False) -> "Samples":
        """Return those of the run's own data, or of other data.

        dataset: other data, as in a spec or its JSON
        say: shown what has changed in the data, and what cannot be read of it
        other_data: whether the run's own data is taken although its content is not what it was

        Raises DataError where the data is not to be had, or is not what it was.
        """
        if dataset is None:
            splits, _ = own_splits(run, say, names=["val"], allowed=other_data)
            return cls(run, run.spec, splits, say)
        spec = spec_with(dataset, run)
        return cls(run, spec, other_splits(spec, run), say)

    @property
    def dataset(self) -> Any:
        """The dataset with its options, as in resolved.json."""
        return self.spec.resolved()["dataset"]

    @property
    def split(self) -> str:
        """The split to evaluate on: val; of other data without it, test or train."""
        names = dict(self.splits.items())
        return next(name for name in ("val", "test", "all", "train") if name in names)

    def count(self, name: str, most: int) -> int:
        """Return how many samples of a split `batches` reads."""
        return min(most, len(dict(self.splits.items())[name]))

    def batches(self, name: str, most: int) -> Iterator[Batch]:
        """Read at most so many samples of a split, in order and evenly spaced, since it may be sorted by class.

        Yields collated batches on the CPU, of the run's size; their ids are indices in the split. What cannot be read
        is left out, or is an error, as in the run.
        """
        split, spec = dict(self.splits.items())[name], self.spec
        size, count = len(split), self.count(name, most)
        prepare = self.run.net.input
        if count < size:
            split = Subset(split, torch.arange(count) * size // count)
        decoded = decoder(spec, prepare, self.splits.targets, self.say).split(split, name)
        corrupt = corrupt_samples(spec, self.say)
        for batch in loader(spec, name, decoded, prepare, corrupt, torch.device("cpu"), self.splits.targets).in_order():
            yield replace(batch, ids=batch.ids * size // count)
