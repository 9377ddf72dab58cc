"""Mean squared and mean absolute errors.

torchmetrics' own add up in float32, and take no value for missing.
"""

import ftrun_metrics.lean  # noqa: F401  (before torchmetrics: it keeps the import short)

# isort: split
import torch
from torch import Tensor
from torchmetrics import Metric


class MeanError(Metric):
    """Outputs float [B, V] and values float [B, V], NaN where not known -> the mean error of all values that are known.

    squared: whether errors are squared, or absolute
    """

    full_state_update = False  # so that torchmetrics merges it
    takes_gaps = True
    total: Tensor
    count: Tensor

    def __init__(self, *, squared: bool) -> None:
        super().__init__()
        self.squared = squared
        self.add_state("total", default=torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("count", default=torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, output: Tensor, values: Tensor) -> None:
        known = ~values.isnan()
        errors = (output - values)[known]
        self.total = self.total + (errors.square() if self.squared else errors.abs()).sum()
        self.count = self.count + known.sum()

    def compute(self) -> Tensor:
        return self.total / self.count
