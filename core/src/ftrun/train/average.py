"""An average of the weights, which often does better than the last weights."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ftrun.contracts.net import Net
from ftrun.contracts.objective import StepInfo
from ftrun.spec.trainspec import EMA, SWA


class Average:
    """Average of a net's weights and of its buffers, such as batch normalisation's statistics.

    ema: an exponential moving average. The decay rises with the steps, min(decay, (1 + step) / (10 + step)), so that a
        short run is not an average of where it started: the rule of TensorFlow's ExponentialMovingAverage.
    swa: the equal mean over the steps of the last part of the run; before it, the weights as they are. Its statistics
        are computed anew before it is evaluated, by `statistics.renew`.
    """

    def __init__(self, net: Net, spec: EMA | SWA) -> None:
        self.net = deepcopy(net).requires_grad_(False)
        self.spec = spec
        self.count = 0
        """Of an equal mean: how many steps' weights are in it."""
        self._floats, self._others = (
            [*zip(_places(self.net, floating), _places(net, floating), strict=True)] for floating in (True, False)
        )

    @torch.no_grad()
    def start(self) -> None:
        """Start anew, from the net's weights as they are."""
        self.count = 0
        for (mine, name), (tensors, _) in (*self._floats, *self._others):
            mine[name].copy_(tensors[name])

    @torch.no_grad()
    def update(self, at: StepInfo) -> None:
        """Take in the net's weights after the step `at`."""
        average = get_ema_multi_avg_fn(self._kept(at))  # type: ignore[no-untyped-call]
        pairs = [(mine[name], tensors[name]) for (mine, name), (tensors, _) in self._floats]
        average([old for old, _ in pairs], [new for _, new in pairs], at.step)
        for (mine, name), (tensors, _) in self._others:
            mine[name].copy_(tensors[name])

    def _kept(self, at: StepInfo) -> float:
        """Return the part of the average that stays in it."""
        if isinstance(self.spec, EMA):
            return min(self.spec.decay, (1 + at.step) / (10 + at.step))
        self.count = self.count + 1 if at.progress >= 1 - self.spec.last else 0
        return 1 - 1 / max(self.count, 1)

    @property
    def is_mean(self) -> bool:
        """Whether it is an equal mean of weights, and no copy of the last ones or a moving average."""
        return self.count > 0

    def state(self) -> dict[str, Any]:
        """Return every tensor of the average, by name, and how many steps are in it."""
        return {"count": self.count, "weights": self._tensors()}

    def _tensors(self) -> dict[str, Tensor]:
        weights = self.net.weights
        return dict((*weights.named_parameters(), *weights.named_buffers()))

    @torch.no_grad()
    def load_state(self, saved: Mapping[str, Any]) -> None:
        """Put in what `state` gave. Raises KeyError where a tensor is missing, ValueError where it is another one."""
        self.count, state = saved["count"], saved["weights"]
        if not isinstance(self.count, int) or self.count < 0:
            raise ValueError(f"{self.count!r} steps are in the average")
        for name, tensor in self._tensors().items():
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
