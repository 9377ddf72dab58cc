"""The optimizers: their options."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

import ftrun

if TYPE_CHECKING:
    from torch.optim import Optimizer

Beta = Annotated[float, Field(ge=0, lt=1)]
Betas = tuple[Beta, Beta]
DecayAll = Annotated[bool, Field(description="Whether weight decay holds for biases and normalisation layers too.")]
_BETAS = "Decay rates of the running means of the gradient and of its square."


def _decays_vectors(part: Any) -> bool:
    """Return whether all parameters may be in one group."""
    return bool(part.decay_all or part.weight_decay == 0)


class SGD(ftrun.Optimizer):
    """Stochastic gradient descent with momentum."""

    name: Literal["sgd"]
    lr: float = Field(1e-3, gt=0, description="Learning rate.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum factor; 0 for plain gradient descent.")
    nesterov: bool = Field(False, description="Whether the gradient is taken after the momentum's step (Nesterov).")
    weight_decay: float = Field(0.0, ge=0, description="L2 penalty, added to the gradient.")
    decay_all: DecayAll = False

    decays_vectors = property(_decays_vectors)

    @model_validator(mode="after")
    def _check_nesterov(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")
        return self

    def build(self, params: Any) -> "Optimizer":
        """torch's SGD over `params`: parameters, or parameter groups."""
        from ftrun_optim.fused import SGD

        return SGD(
            params,
            lr=self.lr,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
            fused=True,  # several times faster than the loop, on the CPU too
        )


class Adam(ftrun.Optimizer):
    """Adam: a step size for each weight (Kingma and Ba, 2015)."""

    name: Literal["adam"]
    lr: float = Field(1e-3, gt=0, description="Learning rate.")
    betas: Betas = Field((0.9, 0.999), description=_BETAS)
    weight_decay: float = Field(0.0, ge=0, description="L2 penalty, added to the gradient.")
    decay_all: DecayAll = False

    decays_vectors = property(_decays_vectors)

    def build(self, params: Any) -> "Optimizer":
        """torch's Adam over `params`: parameters, or parameter groups."""
        from ftrun_optim.fused import Adam

        return Adam(params, lr=self.lr, betas=self.betas, weight_decay=self.weight_decay, fused=True)


class AdamW(ftrun.Optimizer):
    """Adam with weight decay apart from the gradient (Loshchilov and Hutter, 2019)."""

    name: Literal["adamw"]
    lr: float = Field(1e-3, gt=0, description="Learning rate.")
    betas: Betas = Field((0.9, 0.999), description=_BETAS)
    weight_decay: float = Field(
        0.01, ge=0, description="Part of each weight that a step takes away, as a multiple of the learning rate."
    )
    decay_all: DecayAll = False

    decays_vectors = property(_decays_vectors)

    def build(self, params: Any) -> "Optimizer":
        """torch's AdamW over `params`: parameters, or parameter groups."""
        from ftrun_optim.fused import AdamW

        return AdamW(params, lr=self.lr, betas=self.betas, weight_decay=self.weight_decay, fused=True)
