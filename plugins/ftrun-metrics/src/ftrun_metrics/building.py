"""torchmetrics' classification metrics, set up for a net's outputs."""

import ftrun_metrics.lean  # noqa: F401  (before torchmetrics: it keeps the import short)

# isort: split
from typing import Self

import torch
from torch import Tensor
from torchmetrics import Metric, classification

import ftrun

# `validate_args=False` below: a dataset's values are checked once, when it is read, and not again with each batch.


_UNKNOWN = -1  # how torchmetrics is told of a label that nobody knows


class OfDecisions:
    """`metric` on what is decided about each label: logits float [B, L], labels float [B, L], NaN where not known.

    A probability above 0.5 is a logit above 0. Given logits, torchmetrics takes a batch of them that happen to lie
    in [0, 1] for probabilities; given the decisions, it has nothing to guess. (Its own LambdaInputTransformer neither
    merges nor goes to another process.)
    """

    takes_gaps = True

    def __init__(self, metric: Metric) -> None:
        self.metric = metric

    def update(self, logits: Tensor, labels: Tensor) -> None:
        self.metric.update((logits > 0).long(), labels.nan_to_num(_UNKNOWN).long())

    def compute(self) -> Tensor:
        figure: Tensor = self.metric.compute()
        return figure

    def reset(self) -> None:
        self.metric.reset()

    def to(self, device: torch.device) -> Self:
        self.metric = self.metric.to(device)
        return self

    def merge_state(self, other: "OfDecisions") -> None:
        self.metric.merge_state(other.metric)


def averaged(figure: str, target: ftrun.Target, average: str) -> Metric | OfDecisions:
    """torchmetrics' `Multiclass...` or `Multilabel...` metric called `figure`.

    It takes logits: float [B, K] and labels int64 [B], or float [B, L] and labels float [B, L].
    """
    labels = isinstance(target, ftrun.Labels)
    make = getattr(classification, f"{'Multilabel' if labels else 'Multiclass'}{figure}")
    if not labels:
        metric: Metric = make(len(target.names), average=average, validate_args=False)
        return metric
    return OfDecisions(make(len(target.names), average=average, ignore_index=_UNKNOWN, validate_args=False))


def top_k(classes: int, k: int) -> Metric:
    """Takes logits, float [B, K], and labels, int64 [B]."""
    return classification.MulticlassAccuracy(classes, top_k=k, average="micro", validate_args=False)


def confusion_matrix(classes: int) -> Metric:
    """Takes logits, float [B, K], and labels, int64 [B]; gives int64 [K, K], rows true, columns predicted."""
    return classification.MulticlassConfusionMatrix(classes, validate_args=False)
