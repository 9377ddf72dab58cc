"""The metrics, set up for a target."""

import ftrun_metrics.lean  # noqa: F401  (before torchmetrics: it keeps the import short)

# isort: split
from torchmetrics import Metric

import ftrun
from ftrun_metrics.counts import Confusion, Decisions, TopK


def averaged(figure: str, target: ftrun.Target, average: str) -> Metric:
    """`Decisions` about a target's classes or labels."""
    return Decisions(len(target.names), figure, average, labels=isinstance(target, ftrun.Labels))


def top_k(k: int) -> Metric:
    """Takes logits, float [B, K], and labels, int64 [B]."""
    return TopK(k)


def confusion_matrix(classes: int) -> Metric:
    """Takes logits, float [B, K], and labels, int64 [B]; gives int64 [K, K], rows true, columns predicted."""
    return Confusion(classes)
