"""Optimizers `sgd`, `adam`, `adamw`; schedulers `constant`, `cosine`, `step`."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

import ftrun

if TYPE_CHECKING:
    from torch.optim import Optimizer

FTRUN_API = "2.0"

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


# The first step of a warm-up learns a little, too; a factor of 0 would waste it.
_WARMUP_START = 0.01


class Constant(ftrun.Scheduler):
    """The same learning rate throughout."""

    name: Literal["constant"]

    def build(self) -> Callable[[float], float]:
        """Progress -> 1."""
        return lambda progress: 1.0


class Cosine(ftrun.Scheduler):
    """Half a cosine from the full learning rate down, with a linear warm-up before it where one is wanted."""

    name: Literal["cosine"]
    warmup: float = Field(0.0, ge=0, lt=1, description="Part of the run in which the learning rate rises.")
    floor: float = Field(0.0, ge=0, le=1, description="Factor on the learning rate at the end of the run.")

    def build(self) -> Callable[[float], float]:
        """Progress -> factor: from 0.01 to 1 during the warm-up, then from 1 to `floor`.

        The cosine is that of SGDR, without its restarts (Loshchilov and Hutter, 2017); the gradual warm-up is that of
        Goyal et al., "Accurate, large minibatch SGD", 2017.
        """

        def factor(progress: float) -> float:
            if progress < self.warmup:
                return _WARMUP_START + (1 - _WARMUP_START) * progress / self.warmup
            annealed = (progress - self.warmup) / (1 - self.warmup)
            return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * annealed)) / 2

        return factor


def _rising(milestones: tuple[float, ...]) -> tuple[float, ...]:
    if any(later <= earlier for earlier, later in pairwise(milestones)):
        raise ValueError("milestones must rise from each to the next")
    return milestones


Milestones = Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Field(min_length=1), AfterValidator(_rising)]


class Step(ftrun.Scheduler):
    """The learning rate drops at given parts of the run."""

    name: Literal["step"]
    milestones: Milestones = Field((0.5, 0.75), description="Parts of the run after which it drops, in rising order.")
    factor: float = Field(0.1, gt=0, lt=1, description="Factor on the learning rate at each drop.")

    def build(self) -> Callable[[float], float]:
        """Progress -> `factor` to the power of the number of milestones reached.

        Drops to a tenth at half and three quarters of the run are the recipe of He et al., "Deep residual learning",
        2016, for CIFAR-10.
        """
        return lambda progress: self.factor ** sum(progress >= milestone for milestone in self.milestones)


@ftrun.hookimpl
def ftrun_optimizers() -> list[type[ftrun.Optimizer]]:
    return [SGD, Adam, AdamW]


@ftrun.hookimpl
def ftrun_schedulers() -> list[type[ftrun.Scheduler]]:
    return [Constant, Cosine, Step]
