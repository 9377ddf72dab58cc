"""The samples that an exported file is compared on, and that 8-bit integers get their ranges from."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from ftrun.contracts.data import Batch, Split, Splits, Subset
from ftrun.data.decoded import Decoder
from ftrun.inference.judge import other_splits, own_splits, spec_with
from ftrun.inference.opened import Opened
from ftrun.runs.console import Report
from ftrun.spec.runspec import RunSpec
from ftrun.train.assemble import corrupt_samples, loader


@dataclass(frozen=True)
class Data:
    """Samples on the CPU, collated, in the run's batches."""

    run: Opened
    spec: RunSpec
    splits: Splits
    split: str
    """What is compared on: val; of other data without it, test or train."""
    most: int
    report: Report

    @classmethod
    def of(cls, run: Opened, dataset: str | None, most: int, report: Report, *, other_data: bool = False) -> "Data":
        """Return the run's own data, or other data. Raises DataError where it is not there, or not what it was.

        other_data: whether the run's own data is taken although its content is not what it was
        """
        spec = run.spec if dataset is None else spec_with(dataset, run)
        if dataset is None:
            splits, _ = own_splits(run, report.say, names=["val"], allowed=other_data)
        else:
            splits = other_splits(spec, run)
        here = dict(splits.items())
        split = next(name for name in ("val", "test", "all", "train") if name in here)
        return cls(run, spec, splits, split, most, report)

    @property
    def count(self) -> int:
        """How many samples are compared on."""
        return min(self.most, len(dict(self.splits.items())[self.split]))

    def judged(self) -> Iterator[Batch]:
        """The samples to compare on; their ids are their places in the split."""
        size = len(dict(self.splits.items())[self.split])
        for batch in self._read(self.split, self.most):
            yield replace(batch, ids=batch.ids * size // self.count)

    def learnt_from(self, count: int) -> Iterator[Batch]:
        """So many training samples; of other data without any, of those that are compared on."""
        return self._read("train" if self.splits.train is not None else self.split, count)

    def as_json(self) -> dict[str, Any]:
        """What the report says of them."""
        return {"dataset": self.spec.resolved()["dataset"], "split": self.split}

    def _read(self, name: str, most: int) -> Iterator[Batch]:
        spec, prepare = self.spec, self.run.net.input
        skip = spec.train.on_corrupt != "error"
        decoder = Decoder(prepare, dataset=spec.dataset, workers=spec.train.workers, skip=skip, say=self.report.say)
        split = _spread(decoder.split(dict(self.splits.items())[name], name), most)
        corrupt = corrupt_samples(spec, self.report.say)
        return loader(spec, name, split, prepare, corrupt, torch.device("cpu")).in_order()


def _spread(split: Split, most: int) -> Split:
    """At most so many samples of a split, evenly spaced: it may be sorted by class."""
    if most >= len(split):
        return split
    return Subset(split, torch.arange(most) * len(split) // most)
