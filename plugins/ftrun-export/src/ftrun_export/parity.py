"""Whether an exported file gives for real samples what the run's own net gives, number by number."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ftrun import Batch, FtrunError, Target
from ftrun_export.kinds import Answers, answers_of

Outputs = Mapping[str, Tensor]
"""{target: answers [B, ...]}, on the CPU; several of a target are named as `kinds.named` has it."""

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

    def add(self, ids: Tensor, expected: Outputs, exported: Outputs) -> None:
        """Take in a batch: ids int64 [B], the run's scores and the file's. Raises FtrunError for what is no answer."""
        for name, mine in expected.items():
            answer = exported.get(name)
            if answer is None or answer.shape != mine.shape:
                what = "nothing" if answer is None else f"{list(answer.shape)}"
                raise FtrunError(f"the file gives {what} for target {name!r}, where {list(mine.shape)} is right.")
            self._compare(self.agreements.setdefault(name, Agreement()), name, ids, mine, answer)
        if len(ids) not in self.batches:
            self.batches.append(len(ids))

    def _compare(self, so_far: Agreement, name: str, ids: Tensor, expected: Tensor, exported: Tensor) -> None:
        target = self.targets.get(name)  # one of several outputs has none of its own
        kind = Answers() if target is None else answers_of(target)
        differences = kind.difference(target, expected, exported).reshape(len(ids), -1).amax(1)
        differences[differences.isnan()] = torch.inf
        worst = int(differences.argmax())
        if so_far.worst < 0 or float(differences[worst]) > so_far.largest:
            so_far.largest, so_far.worst = float(differences[worst]), int(ids[worst])
        so_far.samples += len(ids)
        same = kind.same(target, expected, exported, self.bound)
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
