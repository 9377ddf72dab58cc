"""A moving average of the weights, which often does better than the last weights."""

from copy import deepcopy

import torch
from torch import Tensor

from ftrun.contracts.net import Net


class Average:
    """Exponential moving average of a net's weights and of its buffers, such as batch normalisation's statistics.

    The decay rises with the steps, min(decay, (1 + step) / (10 + step)), so that a short run is not an average of
    where it started: the rule of TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, net: Net, decay: float) -> None:
        self.net = deepcopy(net).requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def start(self, net: Net) -> None:
        """Start anew, from the weights of `net`."""
        for old, new in _pairs(self.net, net):
            old.copy_(new)

    @torch.no_grad()
    def update(self, net: Net, step: int) -> None:
        """Take in the weights after `step` optimizer steps."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        floats = [(old, new) for old, new in _pairs(self.net, net) if old.is_floating_point()]
        torch._foreach_lerp_([old for old, _ in floats], [new for _, new in floats], weight)
        for old, new in _pairs(self.net, net):
            if not old.is_floating_point():
                old.copy_(new)

    def state(self) -> dict[str, Tensor]:
        """Every tensor of the average, by name."""
        return dict((*self.net.model.named_parameters(), *self.net.model.named_buffers()))

    @torch.no_grad()
    def load_state(self, state: dict[str, Tensor]) -> None:
        """Put in what `state` gave. Raises KeyError where a tensor is missing, ValueError where it is another one."""
        for name, tensor in self.state().items():
            if (state[name].shape, state[name].dtype) != (tensor.shape, tensor.dtype):
                raise ValueError(f"{name} is {state[name].dtype} {list(state[name].shape)}")
            tensor.copy_(state[name])


def _pairs(average: Net, net: Net) -> list[tuple[Tensor, Tensor]]:
    return [
        *zip(average.model.parameters(), net.model.parameters(), strict=True),
        *zip(average.model.buffers(), net.model.buffers(), strict=True),
    ]
