"""What training makes small: the losses of all targets together."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def total_loss(losses: Mapping[str, nn.Module], outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
    """The sum over targets of each one's loss: a scalar, computed in float32."""
    each = [loss(outputs[name].float(), targets[name]) for name, loss in losses.items()]
    return each[0] if len(each) == 1 else torch.stack(each).sum()
