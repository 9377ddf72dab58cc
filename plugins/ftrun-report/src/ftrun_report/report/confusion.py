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
    """Samples of class `true` that were taken for class `said`, and their share of all samples of `true`."""

    true: str
    said: str
    count: int
    share: float


def pairs(true: Tensor, said: Tensor, names: Sequence[str], most: int) -> list[Pair]:
    """The most frequent confusions. true, said: int64 [N]"""
    wrong = true != said
    # Only pairs that occur are counted: a matrix of all would not fit into memory where classes are many.
    keys, counts = torch.unique(true[wrong] * len(names) + said[wrong], return_counts=True)
    of_class = true.bincount(minlength=len(names))
    found = []
    for index in counts.argsort(descending=True, stable=True)[:most].tolist():
        row, column = divmod(int(keys[index]), len(names))
        count = int(counts[index])
        found.append(Pair(names[row], names[column], count, count / int(of_class[row])))
    return found


def matrix(true: Tensor, said: Tensor, classes: int) -> Tensor | None:
    """int64 [classes, classes], true by said; None where there are too many classes to show it."""
    if classes > MOST_DRAWN:
        return None
    return torch.bincount(true * classes + said, minlength=classes**2).view(classes, classes)
