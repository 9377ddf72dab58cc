"""Which class is taken for which."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

MOST_CELLS = 20
"""Most classes for which the matrix is a table with numbers."""
MOST_DRAWN = 200
"""Most classes for which it is drawn."""


@dataclass(frozen=True)
class Pair:
    """Samples of class `true` that were taken for class `predicted`, and their share of all samples of `true`."""

    true: str
    predicted: str
    count: int
    share: float


def pairs(true: Tensor, predicted: Tensor, names: Sequence[str], most: int) -> list[Pair]:
    """Return the most frequent confusions.

    true, predicted: int64 [N], positions in `names`; most: how many
    """
    wrong = true != predicted
    # Only pairs that occur are counted: a matrix of all would not fit into memory where classes are many.
    keys, counts = torch.unique(true[wrong] * len(names) + predicted[wrong], return_counts=True)
    of_class = true.bincount(minlength=len(names))
    confusions = []
    for index in counts.argsort(descending=True, stable=True)[:most].tolist():
        row, column = divmod(int(keys[index]), len(names))
        count = int(counts[index])
        confusions.append(Pair(names[row], names[column], count, count / int(of_class[row])))
    return confusions


def matrix(true: Tensor, predicted: Tensor, classes: int) -> Tensor | None:
    """Return the confusion matrix, int64 [classes, classes], true by predicted; None where it is too large to show."""
    if classes > MOST_DRAWN:
        return None
    return torch.bincount(true * classes + predicted, minlength=classes**2).view(classes, classes)
