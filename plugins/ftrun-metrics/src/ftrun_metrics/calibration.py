"""Whether a net whose confidence is 0.8 is right in 80 of 100 cases."""

import torch
from torch import Tensor

import ftrun
from ftrun_metrics.states import Metric

_STEPS = 2**30
"""Of a confidence from 0 to 1: sums of integers are the same in any order."""


class CalibrationError(Metric):
    """Outputs and values -> the mean over samples of how far, in each bin of confidences, their mean is from how many
    are right.

    Of classes, the confidence is the likeliest one's probability; of labels, each one that is known counts with the
    probability that it holds. Bins are of equal width, each with its upper edge.

    Guo et al., "On calibration of modern neural networks", 2017; Naeini et al., 2015.
    """

    samples: Tensor
    right: Tensor
    confidence: Tensor

    def __init__(self, target: ftrun.Target, bins: int) -> None:
        super().__init__()
        self.target, self.bins = target, bins
        self.takes_gaps = target.kind == "labels"
        for state in ("samples", "right", "confidence"):
            self.add_state(state, torch.zeros(bins, dtype=torch.int64))

    def update(self, outputs: Tensor, values: Tensor) -> None:
        """Count a batch."""
        scores = self.target.shares(outputs.float())
        if self.takes_gaps:
            known = ~values.isnan()
            confidence, right = scores[known], values[known] > 0.5
        else:
            confidence, decided = scores.max(1)
            right = decided == values
        which = (confidence * self.bins).ceil().long().sub(1).clamp(0, self.bins - 1)
        self.samples.index_add_(0, which, torch.ones_like(which))
        self.right.index_add_(0, which, right.long())
        self.confidence.index_add_(0, which, (confidence * _STEPS).round().long())

    def compute(self) -> Tensor:
        """Return the error, a float64 scalar from 0 to 1; NaN before any sample."""
        # On the CPU, because not every device has float64.
        samples, right, confidence = (each.cpu() for each in (self.samples, self.right, self.confidence))
        off = (confidence - right * _STEPS).abs().sum().double()
        return off / _STEPS / samples.sum()
