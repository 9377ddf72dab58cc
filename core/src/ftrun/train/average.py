"""A moving average of the weights, which often does better than the last weights."""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ftrun.contracts.net import Net


class Average:
    """Exponential moving average of a net's weights and of its buffers, such as batch normalisation's statistics.

    The decay rises with the steps, min(decay, (1 + step) / (10 + step)), so that a short run is not an average of
    where it started: the rule of TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, net: Net, decay: float) -> None:
        self.net = deepcopy(net).requires_grad_(False)
        self.decay = decay
        self._floats, self._others = (
            [*zip(_places(self.net, floating), _places(net, floating), strict=True)] for floating in (True, False)
        )

    @torch.no_grad()
    def start(self) -> None:
        """Start anew, from the net's weights as they are."""
        for (mine, name), (tensors, _) in (*self._floats, *self._others):
            mine[name].copy_(tensors[name])

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the net's weights after `step` optimizer steps."""
        average = get_ema_multi_avg_fn(min(self.decay, (1 + step) / (10 + step)))  # type: ignore[no-untyped-call]
        pairs = [(mine[name], tensors[name]) for (mine, name), (tensors, _) in self._floats]
        average([old for old, _ in pairs], [new for _, new in pairs], step)
        for (mine, name), (tensors, _) in self._others:
            mine[name].copy_(tensors[name])

    def state(self) -> dict[str, Tensor]:
        """Every tensor of the average, by name."""
        weights = self.net.weights
        return dict((*weights.named_parameters(), *weights.named_buffers()))

    @torch.no_grad()
    def load_state(self, state: dict[str, Tensor]) -> None:
        """Put in what `state` gave. Raises KeyError where a tensor is missing, ValueError where it is another one."""
        for name, tensor in self.state().items():
            if (state[name].shape, state[name].dtype) != (tensor.shape, tensor.dtype):
                raise ValueError(f"{name} is {state[name].dtype} {list(state[name].shape)}")
            tensor.copy_(state[name])


def _places(net: Net, floating: bool) -> list[tuple[dict[str, Any], str]]:
    """Return where each parameter and buffer is: layers stay, though one may put another tensor in a buffer's place.

    floating: whether those of floating-point numbers are wanted, or those of other values
    """
    places: dict[Tensor, tuple[dict[str, Any], str]] = {}
    for module in net.weights.modules():
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is not None and tensor.is_floating_point() == floating:
                    places.setdefault(tensor, (tensors, name))  # what layers share is averaged once
    return list(places.values())
