"""Optimizer `template`: Lion.

An optimizer is torch's: it changes weights by their gradients. What it remembers from
step to step is in its `state`, which is saved and restored with the run.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import ftrun
from pydantic import Field

if TYPE_CHECKING:  # for type checkers alone: ftrun lists and checks parts without torch
    from torch.optim import Optimizer

FTRUN_API = "2.0"  # what it was written for, so that a later ftrun can tell

Beta = Annotated[float, Field(ge=0, lt=1)]


class Template(ftrun.Optimizer):
    """Steps by the sign of a momentum: the same distance for every weight (Lion)."""

    name: Literal["template"]
    lr: float = Field(
        1e-4,
        gt=0,
        description="Learning rate; about a tenth of what suits Adam.",
    )
    betas: tuple[Beta, Beta] = Field(
        (0.9, 0.99),
        description="How much of the momentum counts in a step, and how much stays.",
    )
    weight_decay: float = Field(
        0.0,
        ge=0,
        description="Part of each weight that goes in a step, times the learning rate.",
    )

    def build(self, params: Any) -> "Optimizer":
        """Lion over `params`: parameters, or torch's parameter groups.

        Chen et al., "Symbolic discovery of optimization algorithms", 2023.
        """
        import torch

        class Lion(torch.optim.Optimizer):
            @torch.no_grad()
            def step(self, closure: Callable[[], Any] | None = None) -> Any:
                loss = None
                if closure is not None:
                    with torch.enable_grad():
                        loss = closure()
                for group in self.param_groups:
                    for weight in group["params"]:
                        if weight.grad is not None:  # frozen weights have none
                            self._step(weight, weight.grad, **group)
                return loss

            def _step(
                self,
                weight: torch.Tensor,
                gradient: torch.Tensor,
                *,
                lr: float,  # the core sets it at each step, by the scheduler
                betas: tuple[float, float],
                weight_decay: float,
                **_: Any,
            ) -> None:
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                momentum = state["momentum"]
                direction = torch.lerp(gradient, momentum, betas[0]).sign_()
                weight.mul_(1 - lr * weight_decay).sub_(direction, alpha=lr)
                momentum.lerp_(gradient, 1 - betas[1])

        return Lion(
            params,
            {"lr": self.lr, "betas": self.betas, "weight_decay": self.weight_decay},
        )


@ftrun.hookimpl
def ftrun_optimizers() -> list[type[ftrun.Optimizer]]:
    return [Template]
