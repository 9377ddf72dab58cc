"""Weight decay towards where training started, the pretrained weights, in the place of zero: L2-SP.

Li, Grandvalet and Davoine, "Explicit inductive bias for transfer learning with convolutional networks", 2018. A group
with `to_start` has it. Each parameter's start is in the optimizer's state, from its first step on: it is what it was
before, since nothing else changes weights, and a resumed run has it.

torch's step decays towards zero; what is added here makes of -w * decay the wanted (start - w) * decay.
"""

from typing import Any

import torch
from torch import Tensor


class _ToStart(torch.optim.Optimizer):
    """What goes before an optimizer in a class's bases."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for group in self.param_groups:
            group.setdefault("to_start", False)
        if any(group["to_start"] for group in self.param_groups):
            self._step_supports_amp_scaling = False  # a step that is left out must leave this out, too

    def step(self, closure: Any = None) -> Any:
        """Make a step."""
        drawn = [(group, *starts(self, group)) for group in self.param_groups if group["to_start"]]
        with torch.no_grad():
            for each in drawn:
                self._before(*each)
            loss = super().step(closure)  # type: ignore[func-returns-value]
            for group, parameters, places in drawn:
                self._after(group, parameters, places)
                for parameter, start in zip(parameters, places, strict=True):
                    self.state[parameter]["start"] = start  # torch makes a state for what has none, so it comes after
        return loss

    def _before(self, group: dict[str, Any], parameters: list[Tensor], places: list[Tensor]) -> None:
        """Do what a decay that is in the gradient needs."""

    def _after(self, group: dict[str, Any], parameters: list[Tensor], places: list[Tensor]) -> None:
        """Do what a decay apart from the gradient needs."""


class DecaysInGradient(_ToStart):
    """For optimizers that add the decay to the gradient."""

    def _before(self, group: dict[str, Any], parameters: list[Tensor], places: list[Tensor]) -> None:
        if parameters:
            gradients = [parameter.grad for parameter in parameters]
            torch._foreach_add_(gradients, places, alpha=-group["weight_decay"])  # type: ignore[arg-type]


class DecaysApart(_ToStart):
    """For optimizers that decay weights by the learning rate times the decay."""

    def _after(self, group: dict[str, Any], parameters: list[Tensor], places: list[Tensor]) -> None:
        if parameters:
            torch._foreach_add_(parameters, places, alpha=group["lr"] * group["weight_decay"])


def starts(optimizer: torch.optim.Optimizer, group: dict[str, Any]) -> tuple[list[Tensor], list[Tensor]]:
    """Return a group's parameters that have a gradient, and where each started."""
    parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
    known = (optimizer.state.get(parameter, {}).get("start") for parameter in parameters)
    places = [
        parameter.detach().clone() if start is None else start
        for parameter, start in zip(parameters, known, strict=True)
    ]
    return parameters, places
