"""What is fitted to outputs and truth: one temperature, and a threshold for each label."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

_MOST = 100.0
"""The temperature is between this and one part in as many."""
_HALVINGS = 60
_NEAREST = 1e-12
"""A threshold is at least so far from 0 and 1."""


@dataclass(frozen=True)
class Fitted:
    """Fields of a target that were fitted, its mean log loss without and with them, and what there is to know."""

    fields: dict[str, Any]
    before: float
    after: float
    samples: int
    notes: list[str]


def fit_classes(target: Any, outputs: Tensor, truth: Tensor, only: str | None) -> Fitted:
    """Fit logits [N, K] to classes int64 [N], all of which are known."""
    logits = outputs.double()

    def slope(factor: float) -> float:
        mean = ((factor * logits).softmax(1) * logits).sum(1)
        return float((mean - logits.gather(1, truth[:, None]).squeeze(1)).mean())

    temperature, notes = _temperature(slope, only)
    losses = [float(F.cross_entropy(logits / each, truth)) for each in (1.0, temperature)]
    return Fitted({"temperature": temperature}, losses[0], losses[1], len(truth), notes)


def fit_labels(target: Any, outputs: Tensor, truth: Tensor, only: str | None) -> Fitted:
    """Fit logits [N, L] to labels float [N, L], NaN where one is not known."""
    known = ~truth.isnan()
    logits, values = outputs.double()[known], truth.double()[known]

    def slope(factor: float) -> float:
        return float((((factor * logits).sigmoid() - values) * logits).mean())

    temperature, notes = _temperature(slope, only)
    losses = [float(F.binary_cross_entropy_with_logits(logits / each, values)) for each in (1.0, temperature)]
    fields: dict[str, Any] = {"temperature": temperature}
    if only != "temperature":
        fields["thresholds"], more = _thresholds(target.names, outputs.double() / temperature, truth)
        notes += more
    return Fitted(fields, losses[0], losses[1], int(known.any(1).sum()), notes)


FITS: dict[str, Callable[..., Fitted]] = {"classes": fit_classes, "labels": fit_labels}
"""By kind of target."""


def _temperature(slope: Callable[[float], float], only: str | None) -> tuple[float, list[str]]:
    """Return the temperature at which the mean log loss is smallest, and what there is to know.

    Guo et al., "On calibration of modern neural networks", 2017. In the factor on the logits, 1 / temperature, the loss
    is convex, so its slope rises, and where it is 0 is found by halving.

    slope: of the loss in the factor
    """
    if only == "thresholds":
        return 1.0, []
    low, high = 1 / _MOST, _MOST
    if slope(high) <= 0:
        return 1.0, ["no temperature: val has no mistake that tells how sure is too sure"]
    if slope(low) >= 0:
        return 1.0, ["no temperature: on val, the logits tell nothing"]
    for _ in range(_HALVINGS):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 1 / math.sqrt(low * high), []


def _thresholds(names: Sequence[str], logits: Tensor, truth: Tensor) -> tuple[list[float], list[str]]:
    """Return the threshold of each label at which its F1 is largest, 0.5 where that is as good; and what to know."""
    known = ~truth.isnan()
    columns = [(logits[known[:, at], at], truth[known[:, at], at] > 0.5) for at in range(len(names))]
    unseen = [name for name, (_, true) in zip(names, columns, strict=True) if not true.any()]
    listed = ", ".join(unseen[:5]) + (", ..." if len(unseen) > 5 else "")
    notes = [f"{len(unseen):,} labels that no val sample has keep 0.5: {listed}"] if unseen else []
    return [best_threshold(*column) for column in columns], notes


def best_threshold(logits: Tensor, true: Tensor) -> float:
    """Return the probability above which a label has to hold for the largest F1; 0.5 where that is one of them.

    It is in the middle between the logits of two samples; of equal ones, the nearest to 0.5.

    logits: float64 [N]; true: bool [N]
    """
    if not true.any():
        return 0.5
    values, which, counts = logits.neg().unique(return_inverse=True, return_counts=True)
    values = values.neg()  # from high to low
    hits = torch.zeros_like(counts).index_add_(0, which, true.long()).cumsum(0)
    f1 = 2 * hits.double() / (counts.cumsum(0) + true.sum())
    lower = torch.cat([values[1:], (values[-1:] - 1).clamp(max=0)])
    bounds = ((values + lower) / 2).masked_fill((lower <= 0) & (values > 0), 0.0)
    best = bounds[f1 == f1.max()]
    nearest = float(best[best.abs().argmin()])
    return min(max(1 / (1 + math.exp(-nearest)), _NEAREST), 1 - _NEAREST)
