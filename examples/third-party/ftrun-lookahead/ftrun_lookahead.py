"""Optimizer `lookahead`: k steps forward, 1 step back, around SGD or Adam."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

import ftrun

if TYPE_CHECKING:  # for type checkers alone: ftrun lists and checks parts without torch
    from torch.optim import Optimizer

FTRUN_API = "2.0"  # what it was written for, so that a later ftrun can tell

Beta = Annotated[float, Field(ge=0, lt=1)]


class Lookahead(ftrun.Optimizer):
    """SGD or Adam runs k steps ahead; slow weights then follow a part of the way (Lookahead)."""

    name: Literal["lookahead"]
    lr: float = Field(1e-3, gt=0, description="Learning rate of the inner optimizer.")
    inner: Literal["sgd", "adam"] = Field("sgd", description="Inner optimizer, which moves the fast weights.")
    k: int = Field(5, ge=1, description="Steps of the inner optimizer for each step of the slow weights.")
    alpha: float = Field(0.5, gt=0, le=1, description="Part of the way that the slow weights go; 1 is no lookahead.")
    momentum: float | None = Field(None, ge=0, lt=1, description="Momentum factor of SGD; 0.9 if not given.")
    betas: tuple[Beta, Beta] | None = Field(None, description="Decay of Adam's two averages; 0.9, 0.999 if not given.")
    weight_decay: float = Field(0.0, ge=0, description="L2 penalty, added to the gradient.")

    @model_validator(mode="after")
    def _options_of_the_inner(self) -> Self:
        """Refuse an option of the inner optimizer that is not taken: it would do nothing."""
        if self.inner == "adam" and self.momentum is not None:
            raise ValueError("momentum is an option of SGD, but inner is 'adam': use betas.")
        if self.inner == "sgd" and self.betas is not None:
            raise ValueError("betas is an option of Adam, but inner is 'sgd': use momentum.")
        return self

    def build(self, params: Any) -> "Optimizer":
        """Lookahead over `params`: parameters of any shape and float dtype, or torch's parameter groups.

        Zhang, Lucas, Hinton and Ba, "Lookahead Optimizer: k steps forward, 1 step back", NeurIPS 2019, Algorithm 1:
        with slow weights phi, which start where the fast weights theta do, after every k inner steps

            phi <- phi + alpha * (theta - phi);  theta <- phi

        The inner optimizer's own state (momentum, averages) is kept across that, the paper's plain variant. Each
        parameter's `state` holds, besides that, `slow` (as the parameter: shape, dtype, device) and `fast_steps` (int,
        0 to k - 1). A parameter's steps are counted on their own, and only those in which it can move: it has a
        gradient and its group's `lr` is not 0.
        """
        import torch  # here, not above: ftrun lists and checks parts without torch
        from torch.optim import SGD, Adam

        k, alpha = self.k, self.alpha
        inner: Any
        options: dict[str, Any]
        if self.inner == "sgd":
            inner, options = SGD, {"momentum": 0.9 if self.momentum is None else self.momentum}
        else:
            inner, options = Adam, {"betas": self.betas or (0.9, 0.999)}

        class WithSlowWeights(inner):  # type: ignore[misc]
            @torch.no_grad()
            def step(self, closure: Callable[[], Any] | None = None) -> Any:
                loss = None
                if closure is not None:
                    with torch.enable_grad():
                        loss = closure()
                moving = [
                    weight
                    for group in self.param_groups
                    if group["lr"] != 0
                    for weight in group["params"]
                    if weight.grad is not None  # frozen weights have none
                ]
                # Put into the state only after the step: Adam makes its own for a weight that has none at all.
                starts = {weight: weight.clone() for weight in moving if "slow" not in self.state[weight]}
                super().step()
                for weight in moving:
                    state = self.state[weight]
                    if weight in starts:
                        state["slow"], state["fast_steps"] = starts[weight], 0
                    state["fast_steps"] += 1
                    if state["fast_steps"] == k:
                        weight.copy_(state["slow"].lerp_(weight, alpha))
                        state["fast_steps"] = 0
                return loss

        return WithSlowWeights(params, lr=self.lr, weight_decay=self.weight_decay, **options)  # type: ignore[no-any-return]


@ftrun.hookimpl
def ftrun_optimizers() -> list[type[ftrun.Optimizer]]:
    return [Lookahead]
