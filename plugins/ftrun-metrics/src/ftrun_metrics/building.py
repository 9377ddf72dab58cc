"""torchmetrics' classification metrics, set up for a net's outputs."""

from torchmetrics import Metric, classification
from torchmetrics.wrappers import LambdaInputTransformer

import ftrun

# `validate_args=False` below: a dataset's values are checked once, when it is read, and not again with each batch.


def averaged(figure: str, target: ftrun.Target, average: str) -> Metric:
    """torchmetrics' `Multiclass...` or `Multilabel...` metric called `figure`.

    It takes logits: float [B, K] and labels int64 [B], or float [B, L] and labels float [B, L].
    """
    labels = isinstance(target, ftrun.Labels)
    make = getattr(classification, f"{'Multilabel' if labels else 'Multiclass'}{figure}")
    metric: Metric = make(len(target.names), average=average, validate_args=False)
    # A probability above 0.5 is a logit above 0. Given logits, torchmetrics takes a batch of them that happen to lie
    # in [0, 1] for probabilities; given the decisions, it has nothing to guess.
    return LambdaInputTransformer(metric, transform_pred=lambda logits: logits > 0) if labels else metric


def top_k(classes: int, k: int) -> Metric:
    """Takes logits, float [B, K], and labels, int64 [B]."""
    return classification.MulticlassAccuracy(classes, top_k=k, average="micro", validate_args=False)


def confusion_matrix(classes: int) -> Metric:
    """Takes logits, float [B, K], and labels, int64 [B]; gives int64 [K, K], rows true, columns predicted."""
    return classification.MulticlassConfusionMatrix(classes, validate_args=False)
