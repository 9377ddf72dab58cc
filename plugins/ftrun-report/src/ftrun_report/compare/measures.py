"""The metrics that runs are compared in, as functions of sums over samples: a bootstrap needs thousands of them.

The sums are linear in the weights of samples. So a metric is available for any resample, whose weights are how often
each sample is in it, and for a mixture of two runs, by adding their sums.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Outcomes:
    """A run's outputs for N samples, float [N, outputs], as they were calibrated, and the truth, [N] or [N, names].

    Every sample has a truth, if only in part: in [N, names], NaN is what is not known. Of another kind of target, both
    are trees, as its `pack` keeps them.

    decided: which names hold by the run's own thresholds, bool [N, names]; None where it has none
    """

    outputs: Any
    truth: Any
    decided: Tensor | None = None

    def __len__(self) -> int:
        tree = self.truth
        while isinstance(tree, Mapping | list | tuple):
            tree = next(iter(tree.values() if isinstance(tree, Mapping) else tree))
        return len(tree)

    @property
    def decisions(self) -> Tensor:
        """The predicted classes, int64 [N]; or whether each label is predicted, bool [N, L]."""
        if self.decided is not None:
            return self.decided
        decisions: Tensor = self.outputs.argmax(1) if self.truth.ndim == 1 else self.outputs > 0
        return decisions

    @property
    def known(self) -> Tensor:
        """Which parts of the truth are known: bool [N, 1] or [N, names]."""
        known: Tensor = ~self.truth.reshape(len(self), -1).isnan()
        return known


Summing: TypeAlias = Callable[[Tensor], Tensor]
"""Sums [R, ...] for R times the weights of N samples, [R, N]."""

HIGHER_IS_BETTER = {
    **dict.fromkeys(("accuracy", "f1_macro", "f1_micro", "recall_macro", "r2"), True),
    **dict.fromkeys(("log_loss", "mae", "mse"), False),
}
"""All metrics, by the names that results.json has for them, where it has them."""


class Measure(ABC):
    """One metric, or several that follow from the same sums.

    higher_is_better: of each metric by name
    """

    higher_is_better: Mapping[str, bool] = HIGHER_IS_BETTER

    @abstractmethod
    def summing(self, outcomes: Outcomes) -> Summing:
        """Return the function that gives the sums of a run."""

    @abstractmethod
    def values(self, sums: Tensor, samples: int) -> Mapping[str, Tensor]:
        """Return each metric, float64 [R], from sums [R, ...] whose weights are `samples` in all."""

    def of(self, outcomes: Outcomes) -> dict[str, float]:
        """Return each metric of a run."""
        sums = self.summing(outcomes)(torch.ones(1, len(outcomes)))
        return {name: float(value) for name, value in self.values(sums.double(), len(outcomes)).items()}


class Mean(Measure):
    """The mean of what each sample, or each of its names, has: of_each(outputs, truth) -> [N] or [N, names]."""

    def __init__(self, name: str, of_each: Callable[[Tensor, Tensor], Tensor]) -> None:
        self._name = name
        self._of_each = of_each

    def summing(self, outcomes: Outcomes) -> Summing:
        each = self._of_each(outcomes.outputs, outcomes.truth).reshape(len(outcomes), -1).where(outcomes.known, 0.0)
        columns = torch.stack([each.sum(1), outcomes.known.sum(1)], 1).to(outcomes.outputs.dtype)
        return lambda weights: weights.to(columns.dtype) @ columns

    def values(self, sums: Tensor, samples: int) -> Mapping[str, Tensor]:
        total, known = sums.unbind(1)
        return {self._name: total / known}


class OfClasses(Measure):
    """F1 and recall, means over the classes that are predicted or true."""

    def __init__(self, classes: int) -> None:
        self._classes = classes

    def summing(self, outcomes: Outcomes) -> Summing:
        predicted, true = outcomes.decisions, outcomes.truth
        right = (predicted == true).float()

        def sums(weights: Tensor) -> Tensor:
            counts = weights.new_zeros(3, len(weights), self._classes)
            counts[0].index_add_(1, true, weights * right)
            counts[1].index_add_(1, predicted, weights)
            counts[2].index_add_(1, true, weights)
            return counts.transpose(0, 1)

        return sums

    def values(self, sums: Tensor, samples: int) -> Mapping[str, Tensor]:
        right, predicted, true = sums.unbind(1)
        classes = (predicted + true > 0).sum(1)
        recall = right / true.clamp(min=1)
        return {"f1_macro": _f1(right, predicted, true).sum(1) / classes, "recall_macro": recall.sum(1) / classes}


class OfLabels(Measure):
    """F1 of labels: the mean over labels, and that of all decisions together."""

    def summing(self, outcomes: Outcomes) -> Summing:
        decided, true = outcomes.decisions & outcomes.known, outcomes.truth > 0.5
        columns = torch.stack([decided & true, decided, true], 1).flatten(1).float()
        return lambda weights: (weights @ columns).reshape(len(weights), 3, -1)

    def values(self, sums: Tensor, samples: int) -> Mapping[str, Tensor]:
        return {"f1_macro": _f1(*sums.unbind(1)).mean(1), "f1_micro": _f1(*sums.sum(2).unbind(1))}


class R2(Measure):
    """Part of the values' variance that is predicted, the mean over values."""

    def summing(self, outcomes: Outcomes) -> Summing:
        truth, known = outcomes.truth.double(), outcomes.known
        squares = (outcomes.outputs - truth).square()
        truth = truth - truth.nanmean(0)  # squares of what is far from 0 would swallow their differences
        columns = torch.stack(
            [each.where(known, 0.0) for each in (squares, truth, truth.square())] + [known.double()], 1
        )
        columns = columns.flatten(1)
        return lambda weights: (weights.double() @ columns).reshape(len(weights), 4, -1)

    def values(self, sums: Tensor, samples: int) -> Mapping[str, Tensor]:
        squares, first, second, known = sums.unbind(1)
        r2 = (1 - squares / (second - first.square() / known)).where(known > 0, 0.0)
        return {"r2": r2.sum(1) / (known > 0).sum(1)}


def _f1(right: Tensor, predicted: Tensor, true: Tensor) -> Tensor:
    """Return the harmonic mean of precision and recall, from counts; 0 where all are 0."""
    return 2 * right / (predicted + true).clamp(min=1)


def of_classes(target: Any) -> list[Measure]:
    """Return what predictions of classes are compared in."""
    return [Mean("accuracy", _right), OfClasses(target.outputs), Mean("log_loss", _log_loss)]


def of_labels(target: Any) -> list[Measure]:
    """Return what predictions of labels are compared in."""
    return [OfLabels(), Mean("log_loss", _labels_loss)]


def of_values(target: Any) -> list[Measure]:
    """Return what predictions of values are compared in."""
    return [Mean("mae", _absolute), Mean("mse", _squared), R2()]


def _right(outputs: Tensor, truth: Tensor) -> Tensor:
    return (outputs.argmax(1) == truth).float()


def _log_loss(outputs: Tensor, truth: Tensor) -> Tensor:
    return F.cross_entropy(outputs, truth, reduction="none")


def _labels_loss(outputs: Tensor, truth: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(outputs, truth.float(), reduction="none")


def _absolute(outputs: Tensor, truth: Tensor) -> Tensor:
    return (outputs - truth).abs()


def _squared(outputs: Tensor, truth: Tensor) -> Tensor:
    return (outputs - truth).square()
