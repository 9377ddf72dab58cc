"""Metrics of how well scores rank samples: of what is, above what is not.

torchmetrics' own compute in float32 and, for several classes, count a class without samples as 0. These keep all
scores of a split, [N, names] in float32, for nothing less is exact.
"""

from collections.abc import Callable

import torch
from torch import Tensor

import ftrun
from ftrun_metrics.states import Metric


class Ranking(Metric):
    """Outputs and values, as `Target.decode` and a dataset have them -> the mean of `score` over classes or labels.

    Of two classes it is that of the second. Of more, each is set against the rest; samples are ranked by its
    probability. Of labels, each has the samples of which it is known. What has no score of its own, as it has no
    sample or all, is left out of the mean; where that is true of all, it is NaN.

    score: (scores float64 [N], what is true bool [N]) -> float64 scalar, NaN where it is undefined
    """

    outputs: list[Tensor]
    values: list[Tensor]

    def __init__(self, target: ftrun.Target, score: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.target, self.score = target, score
        self.takes_gaps = target.kind == "labels"
        self.add_state("outputs")
        self.add_state("values")

    def update(self, outputs: Tensor, values: Tensor) -> None:
        """Keep a batch."""
        self.outputs.append(outputs)
        self.values.append(values)

    def compute(self) -> Tensor:
        """Return the mean, a float64 scalar."""
        if not self.outputs:
            return _undefined()
        # On the CPU, because not every device has float64.
        outputs, values = (torch.cat(each).cpu() for each in (self.outputs, self.values))
        scores = self.target.shares(outputs.double())
        if self.target.kind == "labels":
            known = ~values.isnan()
            columns = [(scores[known[:, at], at], values[known[:, at], at] > 0.5) for at in range(scores.shape[1])]
        else:
            first = 1 if scores.shape[1] == 2 else 0
            columns = [(scores[:, at], values == at) for at in range(first, scores.shape[1])]
        return torch.stack([self.score(*each) for each in columns]).nanmean()


def area_under_roc(scores: Tensor, true: Tensor) -> Tensor:
    """Return how often a sample that is true scores above one that is not, ties as half: float64; NaN without both.

    The Mann-Whitney statistic: Hanley and McNeil, "The meaning and use of the area under a receiver operating
    characteristic (ROC) curve", 1982.
    """
    trues, others = int(true.sum()), int((~true).sum())
    if not trues or not others:
        return _undefined()
    _, which, counts = scores.unique(return_inverse=True, return_counts=True)
    ends = counts.cumsum(0)
    twice_ranks = (2 * ends - counts + 1)[which]  # integers: of equal scores, the mean of their ranks
    above = int(twice_ranks[true].sum()) - trues * (trues + 1)
    return torch.tensor(above / (2 * trues * others), dtype=torch.float64)


def average_precision(scores: Tensor, true: Tensor) -> Tensor:
    """Return the mean over the true samples of the precision down to each one's score: float64; NaN without any.

    As scikit-learn's `average_precision_score`: sum over thresholds of (R_n - R_n-1) P_n, nothing interpolated.
    """
    trues = int(true.sum())
    if not trues:
        return _undefined()
    _, which, counts = (-scores).unique(return_inverse=True, return_counts=True)
    hits = torch.zeros_like(counts).index_add_(0, which, true.long())
    precision = hits.cumsum(0).double() / counts.cumsum(0)
    return (precision * hits).sum() / trues


def _undefined() -> Tensor:
    return torch.tensor(float("nan"), dtype=torch.float64)
