"""Mean squared and mean absolute errors.

torchmetrics' own add up in float32, and take no value for missing.
"""

import torch
from torch import Tensor

from ftrun_metrics.states import Metric


class MeanError(Metric):
    """Outputs float [B, V] and values float [B, V], NaN where not known -> the mean error of all values that are known.

    squared: whether errors are squared, or absolute
    """

    takes_gaps = True
    total: Tensor
    count: Tensor

    def __init__(self, *, squared: bool) -> None:
        super().__init__()
        self.squared = squared
        self.add_state("total", torch.zeros(()))
        self.add_state("count", torch.zeros((), dtype=torch.int64))

    def update(self, output: Tensor, values: Tensor) -> None:
        known = ~values.isnan()
        errors = (output - values)[known]
        self.total = self.total + (errors.square() if self.squared else errors.abs()).sum()
        self.count = self.count + known.sum()

    def compute(self) -> Tensor:
        return self.total / self.count
