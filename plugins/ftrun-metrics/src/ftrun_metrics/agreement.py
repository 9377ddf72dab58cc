"""Metrics of decisions that set chance apart: balanced accuracy, Matthews' coefficient, the quadratic kappa.

Their states are counts of each class or label, and they are computed from Python's integers: nothing is rounded
before the end, and nothing is too large.
"""

import math

import torch
from torch import Tensor

from ftrun_metrics.counts import Counts
from ftrun_metrics.states import Metric


class BalancedAccuracy(Counts):
    """The mean recall of the classes that occur; of labels, the mean of those of having and of lacking it.

    Brodersen et al., "The balanced accuracy and its posterior distribution", 2010.
    """

    def compute(self) -> Tensor:
        """Return the mean over classes, or labels, that have one: a float64 scalar, NaN where none does."""
        right, decided, true, known = (each.tolist() for each in self.counts())
        if not self.labels:
            return _mean([hits / have for hits, have in zip(right, true, strict=True) if have])
        return _mean(
            [
                (hits / have + (all_ - have - made + hits) / (all_ - have)) / 2
                for hits, made, have, all_ in zip(right, decided, true, known, strict=True)
                if 0 < have < all_
            ]
        )


class Matthews(Counts):
    """The correlation of what is decided with what is true, -1 to 1; of labels, the mean of theirs.

    Matthews, 1975; for several classes Gorodkin, "Comparing two K-category assignments by a K-category correlation
    coefficient", 2004. It is 0 where all decisions, or all samples, are one.
    """

    def compute(self) -> Tensor:
        """Return the coefficient, a float64 scalar, NaN before any sample."""
        right, decided, true, known = (each.tolist() for each in self.counts())
        if not self.labels:
            samples = sum(true)
            return _mean([_matthews(samples, sum(right), decided, true)] if samples else [])
        return _mean(
            [
                _matthews(all_, all_ - made - have + 2 * hits, [made, all_ - made], [have, all_ - have])
                for hits, made, have, all_ in zip(right, decided, true, known, strict=True)
                if all_
            ]
        )


class QuadraticKappa(Metric):
    """Logits float [B, K] and labels int64 [B] of classes that are in an order -> Cohen's kappa, weighted by the
    square of how many classes a decision is off.

    Cohen, "Weighted kappa: nominal scale agreement with provision for scaled disagreement or partial credit", 1968.
    """

    decided: Tensor
    true: Tensor
    off: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        for state in ("decided", "true"):
            self.add_state(state, torch.zeros(classes, dtype=torch.int64))
        self.add_state("off", torch.zeros((), dtype=torch.int64))

    def update(self, outputs: Tensor, values: Tensor) -> None:
        """Count a batch; nothing here waits for the device."""
        decided = outputs.argmax(1)
        self.decided.index_add_(0, decided, torch.ones_like(decided))
        self.true.index_add_(0, values, torch.ones_like(values))
        self.off += (decided - values).square().sum()

    def compute(self) -> Tensor:
        """Return 1 - what decisions are off / what they would be by chance: float64; NaN where by chance it is 0."""
        decided, true = self.decided.tolist(), self.true.tolist()
        samples, (one, squares), (other, other_squares) = sum(true), _moments(decided), _moments(true)
        by_chance = samples * (squares + other_squares) - 2 * one * other  # sum of decided_i true_j (i - j)^2
        return _mean([1 - samples * int(self.off) / by_chance] if by_chance else [])


def _matthews(samples: int, right: int, decided: list[int], true: list[int]) -> float:
    """Return the coefficient from counts: of all, of right ones, and by class of those decided and true."""
    together = samples * right - sum(made * have for made, have in zip(decided, true, strict=True))
    one, other = (samples**2 - sum(each**2 for each in counts) for counts in (decided, true))
    if not one or not other:
        return 0.0
    # Their product may be beyond a float, and roots are rounded: all right has to be 1.
    return together / one if one == other else together / math.sqrt(one) / math.sqrt(other)


def _moments(counts: list[int]) -> tuple[int, int]:
    """Return sums of the positions of samples in the order of classes, and of their squares."""
    return sum(at * count for at, count in enumerate(counts)), sum(at**2 * count for at, count in enumerate(counts))


def _mean(values: list[float]) -> Tensor:
    return torch.tensor(math.fsum(values) / len(values) if values else math.nan, dtype=torch.float64)
