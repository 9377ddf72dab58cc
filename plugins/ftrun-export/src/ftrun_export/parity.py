"""Whether an exported file gives for real samples what the run's own net gives, number by number."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ftrun import Batch, Classes, FtrunError, Labels, Target, Values

Answers = Mapping[str, Tensor]
"""{target: scores [B, outputs]}, on the CPU."""

FIRST = (1, 3)
"""Samples in the first batches: a file that was made for one size of batch shows here."""


@dataclass
class Agreement:
    """How two nets' scores of one target compare: over all samples, the largest difference; and how many agree."""

    largest: float = 0.0
    worst: int = -1
    """The sample that differs most, by its index in the split."""
    samples: int = 0
    same: int | None = None
    """Samples of the same class, or of the same labels; None where the target is values."""

    def as_json(self) -> dict[str, Any]:
        """Return it as it stands in the report."""
        share = None if self.same is None else self.same / self.samples
        return {"max_difference": self.largest, "worst_sample": self.worst, "agreement": share}


@dataclass
class Parity:
    """The agreement by target, over all samples so far; `bound` is the largest difference that a score may have."""

    bound: float
    targets: Mapping[str, Target]
    agreements: dict[str, Agreement] = field(default_factory=dict)
    batches: list[int] = field(default_factory=list)
    """Sizes of batches that were tried."""

    def add(self, ids: Tensor, expected: Answers, exported: Answers) -> None:
        """Take in a batch: ids int64 [B], the run's scores and the file's. Raises FtrunError for what is no answer."""
        for name, target in self.targets.items():
            scores, mine = exported.get(name), expected[name]
            if scores is None or scores.shape != mine.shape:
                what = "nothing" if scores is None else f"{list(scores.shape)}"
                raise FtrunError(f"the file gives {what} for target {name!r}, where {list(mine.shape)} is right.")
            self._compare(self.agreements.setdefault(name, Agreement()), target, ids, mine, scores)
        if len(ids) not in self.batches:
            self.batches.append(len(ids))

    def _compare(self, so_far: Agreement, target: Target, ids: Tensor, expected: Tensor, exported: Tensor) -> None:
        differences = difference(target, expected, exported).amax(1)
        differences[differences.isnan()] = torch.inf
        worst = int(differences.argmax())
        if so_far.worst < 0 or float(differences[worst]) > so_far.largest:
            so_far.largest, so_far.worst = float(differences[worst]), int(ids[worst])
        so_far.samples += len(ids)
        same = same_answer(target, expected, exported, self.bound)
        if same is not None:
            so_far.same = (so_far.same or 0) + int(same.sum())

    @property
    def holds(self) -> bool:
        """Whether no score differs by more than the bound, and every sample has the same class."""
        return all(
            agreement.largest <= self.bound and agreement.same in (None, agreement.samples)
            for agreement in self.agreements.values()
        )

    def as_json(self) -> dict[str, Any]:
        """Return it as it stands in the report."""
        return {
            "samples": next(iter(self.agreements.values())).samples,
            "batches": self.batches,
            "bound": self.bound,
            "targets": {name: agreement.as_json() for name, agreement in self.agreements.items()},
        }


def difference(target: Target, expected: Tensor, exported: Tensor) -> Tensor:
    """Return how far scores are apart, [B, outputs]: probabilities as they are, values in their standard deviations.

    Values that are more than one of these from their mean are compared in relation to that: float32 has seven digits.
    """
    apart = (exported.double() - expected.double()).abs()
    if not isinstance(target, Values) or not target.mean:
        return apart
    mean, std = (torch.tensor(values, dtype=torch.float64) for values in (target.mean, target.std))
    return apart / (expected.double() - mean).abs().maximum(std)


def same_answer(target: Target, expected: Tensor, exported: Tensor, bound: float) -> Tensor | None:
    """Return for which samples the answer is the same, bool [B]: the class, or all labels. None for values.

    What ties within the bound may go either way: two classes whose probabilities are both off by `bound`.
    """
    if isinstance(target, Classes):
        chosen = expected.gather(1, exported.argmax(1, keepdim=True)).squeeze(1)
        return expected.amax(1) - chosen <= 2 * bound
    if isinstance(target, Labels):
        return (((exported >= 0.5) == (expected >= 0.5)) | ((expected - 0.5).abs() <= bound)).all(1)
    return None


def in_sizes(batches: Iterable[Batch], first: tuple[int, ...] = FIRST) -> Iterator[Batch]:
    """Yield the same samples; the first batch comes in parts of these sizes and the rest."""
    for number, batch in enumerate(batches):
        if number:
            yield batch
            continue
        lengths: list[int] = []
        for size in first:
            lengths.append(min(size, len(batch) - sum(lengths)))
        lengths.append(len(batch) - sum(lengths))
        yield from batch.split([length for length in lengths if length])
