"""LAMB (You et al., "Large batch optimization for deep learning: training BERT in 76 minutes", 2020).

Adam's step, scaled for each matrix so that its length is the learning rate times the length of the weights. Vectors,
such as biases and normalisation's scales, take Adam's step as it is: a bias of zero has no length to go by.
"""

from typing import Any

import torch
from torch import Tensor

from ftrun_optim.start import starts

_EPS = 1e-6


class LAMB(torch.optim.Optimizer):
    """Over parameters, or parameter groups, which may have `to_start`."""

    def __init__(self, params: Any, lr: float, betas: tuple[float, float], weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay, "to_start": False})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Make a step."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if parameters:
                self._step(group, parameters)
        return loss

    def _step(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        places = starts(self, group)[1] if group["to_start"] else None
        updates = self._adam(group, parameters)
        if decay := group["weight_decay"]:
            torch._foreach_add_(updates, parameters, alpha=decay)
            if places:
                torch._foreach_add_(updates, places, alpha=-decay)
        matrices = [index for index, parameter in enumerate(parameters) if parameter.ndim > 1]
        if matrices:
            lengths = torch.stack(torch._foreach_norm([parameters[index] for index in matrices]))
            of_updates = torch.stack(torch._foreach_norm([updates[index] for index in matrices]))
            ratios = torch.where((lengths > 0) & (of_updates > 0), lengths / of_updates, 1.0)
            torch._foreach_mul_([updates[index] for index in matrices], [*ratios.unbind()])
        torch._foreach_add_(parameters, updates, alpha=-group["lr"])
        for parameter, start in zip(parameters, places or (), strict=places is not None):
            self.state[parameter]["start"] = start

    def _adam(self, group: dict[str, Any], parameters: list[Tensor]) -> list[Tensor]:
        """Return Adam's updates, bias corrected, before decay and learning rate."""
        first, second = group["betas"]
        states = [self.state[parameter] for parameter in parameters]
        for state, parameter in zip(states, parameters, strict=True):
            if "step" not in state:
                state["step"] = torch.zeros(())
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
            state["step"] += 1
        gradients: Any = [parameter.grad for parameter in parameters]
        means, squares = [state["exp_avg"] for state in states], [state["exp_avg_sq"] for state in states]
        torch._foreach_lerp_(means, gradients, 1 - first)
        torch._foreach_mul_(squares, second)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - second)
        steps = [float(state["step"]) for state in states]
        roots = torch._foreach_sqrt(squares)
        torch._foreach_div_(roots, [(1 - second**step) ** 0.5 for step in steps])
        torch._foreach_add_(roots, _EPS)
        updates = torch._foreach_div(means, [1 - first**step for step in steps])
        torch._foreach_div_(updates, roots)
        return list(updates)
