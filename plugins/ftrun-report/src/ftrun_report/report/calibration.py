"""Whether a net whose confidence is 0.8 is right in 80 of 100 cases."""

from dataclasses import dataclass

import torch
from torch import Tensor

BINS = 15


@dataclass(frozen=True)
class Bin:
    """The samples whose confidence is in (low, high]: how many, their mean confidence, and how often they are right."""

    low: float
    high: float
    samples: int
    confidence: float
    right: float


@dataclass(frozen=True)
class Calibration:
    """The bins that have samples; the expected calibration error, 0 to 1; and the temperature that it is with."""

    bins: list[Bin]
    error: float
    temperature: float = 1.0


def calibration(confidence: Tensor, right: Tensor, temperature: float = 1.0, bins: int = BINS) -> Calibration:
    """Return the reliability diagram and the expected calibration error, with bins of equal width.

    C. Guo, G. Pleiss, Y. Sun & K. Q. Weinberger (2017), On calibration of modern neural networks, ICML; 15 bins,
    as they have: the mean over samples of the distance between a bin's mean confidence and its share of right ones.

    confidence: [N], 0 to 1; right: [N], 1 where the prediction is right, else 0
    temperature: what logits were divided by
    """
    which = (confidence * bins).ceil().long().sub(1).clamp(0, bins - 1)
    counts = torch.bincount(which, minlength=bins)
    sums = [torch.bincount(which, weights=each.double(), minlength=bins) for each in (confidence, right)]
    filled = [
        Bin(index / bins, (index + 1) / bins, count, *(float(each[index]) / count for each in sums))
        for index, count in enumerate(counts.tolist())
        if count
    ]
    error = sum(each.samples * abs(each.confidence - each.right) for each in filled) / max(len(confidence), 1)
    return Calibration(filled, error, temperature)
