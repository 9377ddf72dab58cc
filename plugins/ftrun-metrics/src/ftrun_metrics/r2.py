"""The coefficient of determination.

torchmetrics' own R2Score takes values for constant where their squared deviations sum to less than 1e-4, adds up
squares in float32, and raises for a single sample: it is wrong for small values, and imprecise for values far from 0.
"""

import torch
from torch import Tensor

from ftrun_metrics.states import Metric


class R2Score(Metric):
    """Outputs float [B, V] and values float [B, V] -> 1 - residual / total sum of squares, the mean over V.

    Values that are all equal give 1 where they are predicted exactly, else 0, as in scikit-learn. Where a value is NaN,
    it is not known; one that a single sample has gives NaN, and counts in the mean only where there is no other.
    """

    takes_gaps = True
    outputs: list[Tensor]
    values: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("outputs")
        self.add_state("values")

    def update(self, output: Tensor, values: Tensor) -> None:
        self.outputs.append(output)
        self.values.append(values)

    def compute(self) -> Tensor:
        # On the CPU, because not every device has float64.
        output, values = (torch.cat(each).cpu().double() for each in (self.outputs, self.values))
        return torch.stack(
            [_r2(*columns) for columns in zip(output.unbind(1), values.unbind(1), strict=True)]
        ).nanmean()


def _r2(output: Tensor, values: Tensor) -> Tensor:
    """Of one value, [N] each."""
    known = ~values.isnan()
    output, values = output[known], values[known]
    if len(values) < 2:
        return torch.tensor(float("nan"), dtype=torch.float64)
    if (values == values[0]).all():  # their mean may differ from them in its last digit
        return (output == values).all().double()
    errors, deviations = values - output, values - values.mean()
    scale = deviations.abs().max()  # squares of what is below 1e-162 are 0
    return 1 - (errors / scale).square().sum() / (deviations / scale).square().sum()
