"""The optimizers: their options, and what weight decay is for."""

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

import ftrun

if TYPE_CHECKING:
    from torch.optim import Optimizer

Beta = Annotated[float, Field(ge=0, lt=1)]
Betas = tuple[Beta, Beta]
_BETAS = "Decay rates of the running means of the gradient and of its square."
_SMALLEST, _LONGEST = 4, 128  # side of a matrix, and times the other
_APART = "Part of each weight that a step takes away, as a multiple of the learning rate."
_PENALTY = "L2 penalty, added to the gradient."


class _Decaying(ftrun.Optimizer):
    """An optimizer with weight decay."""

    lr: float = Field(1e-3, gt=0, description="Learning rate.")
    weight_decay: float = Field(0.0, ge=0, description=_PENALTY)
    decay_all: bool = Field(False, description="Whether weight decay holds for biases and normalisation layers too.")
    decay_to: Literal["zero", "start"] = Field(
        "zero",
        description="Where weight decay draws weights to: start is what they were when training began, the pretrained "
        "ones (L2-SP), of all but the head. It takes a copy of the weights.",
    )

    def group_options(self, parameter: ftrun.ParameterInfo) -> Mapping[str, Any]:
        """Return what weight decay does to a parameter, where that is another thing than to matrices of the head."""
        if self.weight_decay == 0:
            return {}  # one group is quicker than two
        if len(parameter.shape) < 2 and not self.decay_all:
            return {"weight_decay": 0.0}
        return {"to_start": True} if self.decay_to == "start" and not parameter.in_head else {}


class SGD(_Decaying):
    """Stochastic gradient descent with momentum."""

    name: Literal["sgd"]
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum factor; 0 for plain gradient descent.")
    nesterov: bool = Field(False, description="Whether the gradient is taken after the momentum's step (Nesterov).")

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


class Adam(_Decaying):
    """Adam: a step size for each weight (Kingma and Ba, 2015)."""

    name: Literal["adam"]
    betas: Betas = Field((0.9, 0.999), description=_BETAS)

    def build(self, params: Any) -> "Optimizer":
        """torch's Adam over `params`: parameters, or parameter groups."""
        from ftrun_optim.fused import Adam

        return Adam(params, lr=self.lr, betas=self.betas, weight_decay=self.weight_decay, fused=True)


class AdamW(_Decaying):
    """Adam with weight decay apart from the gradient (Loshchilov and Hutter, 2019)."""

    name: Literal["adamw"]
    betas: Betas = Field((0.9, 0.999), description=_BETAS)
    weight_decay: float = Field(0.01, ge=0, description=_APART)

    def build(self, params: Any) -> "Optimizer":
        """torch's AdamW over `params`: parameters, or parameter groups."""
        from ftrun_optim.fused import AdamW

        return AdamW(params, lr=self.lr, betas=self.betas, weight_decay=self.weight_decay, fused=True)


class LAMB(_Decaying):
    """Adam whose step is scaled to the length of each weight matrix, for large batches (You et al., 2020)."""

    name: Literal["lamb"]
    betas: Betas = Field((0.9, 0.999), description=_BETAS)
    weight_decay: float = Field(0.01, ge=0, description="Part of each weight in the step, before that is scaled.")

    def build(self, params: Any) -> "Optimizer":
        """LAMB over `params`: parameters, or parameter groups."""
        from ftrun_optim.lamb import LAMB

        return LAMB(params, lr=self.lr, betas=self.betas, weight_decay=self.weight_decay)


class Muon(_Decaying):
    """Orthogonal momentum for matrices and kernels, AdamW for head, embeddings, vectors (Jordan et al., 2024)."""

    name: Literal["muon"]
    momentum: float = Field(0.95, ge=0, lt=1, description="Momentum factor of the matrices.")
    betas: Betas = Field((0.9, 0.999), description=f"{_BETAS} Of all but the matrices.")
    weight_decay: float = Field(0.01, ge=0, description=_APART)

    def group_options(self, parameter: ftrun.ParameterInfo) -> Mapping[str, Any]:
        """Return what weight decay does to a parameter, and whether it is one of the matrices."""
        hidden = parameter.name.endswith("weight") and not parameter.in_head and not parameter.embeds
        options = super().group_options(parameter)
        return {**options, "muon": True} if hidden and _is_matrix(parameter.shape) else options

    def build(self, params: Any) -> "Optimizer":
        """Muon over `params`: parameters, or parameter groups."""
        from ftrun_optim.muon import Muon

        options = {"lr": self.lr, "betas": self.betas, "weight_decay": self.weight_decay, "fused": True}
        return Muon(params, momentum=self.momentum, **options)


def _is_matrix(shape: tuple[int, ...]) -> bool:
    """Return whether a weight of this shape is a matrix worth making orthogonal.

    The rules are timm's: no depthwise kernel, no side below 4, and no side 128 times the other.
    """
    if len(shape) < 2 or min(shape[:2]) == 1:
        return False
    short, long = sorted((shape[0], prod(shape[1:])))
    return short >= _SMALLEST and long <= _LONGEST * short
