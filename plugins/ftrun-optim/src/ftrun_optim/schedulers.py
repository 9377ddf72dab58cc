"""The schedulers: factors on the learning rate, as functions of progress."""

import math
from abc import abstractmethod
from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

import ftrun

# The first step of a warm-up learns a little, too; a factor of 0 would waste it.
_WARMUP_START = 0.01

WarmUp = Annotated[float, Field(ge=0, lt=1, description="Part of the schedule in which the learning rate rises.")]
Floor = Annotated[float, Field(ge=0, le=1, description="Factor on the learning rate at the end.")]


class Constant(ftrun.Scheduler):
    """The same learning rate throughout."""

    name: Literal["constant"]

    def build(self) -> Callable[[float], float]:
        """Progress -> 1."""
        return lambda progress: 1.0


class _Falling(ftrun.Scheduler):
    """What rises to the full learning rate where a warm-up is wanted, and falls from it to `floor`."""

    warmup: WarmUp = 0.0
    floor: Floor = 0.0

    def build(self) -> Callable[[float], float]:
        """Progress -> factor: from 0.01 to 1 during the warm-up, then from 1 to `floor`.

        The gradual warm-up is that of Goyal et al., "Accurate, large minibatch SGD", 2017.
        """

        def factor(progress: float) -> float:
            if progress < self.warmup:
                return self._rise(progress / self.warmup)
            return self.floor + (1 - self.floor) * self._fall((progress - self.warmup) / (1 - self.warmup))

        return factor

    def _rise(self, part: float) -> float:
        """Part of the warm-up that is over, 0 to 1 -> factor."""
        return _WARMUP_START + (1 - _WARMUP_START) * part

    @abstractmethod
    def _fall(self, part: float) -> float:
        """Part of what comes after the warm-up that is over, 0 to 1 -> from 1 to 0."""


class Cosine(_Falling):
    """Half a cosine from the full learning rate down (Loshchilov and Hutter, 2017, without restarts)."""

    name: Literal["cosine"]

    def _fall(self, part: float) -> float:
        return _half_cosine(part)


class Linear(_Falling):
    """A straight line from the full learning rate down, as most recipes for transformers have it."""

    name: Literal["linear"]

    def _fall(self, part: float) -> float:
        return 1 - part


class Polynomial(_Falling):
    """A power of what is left of the run, as DeepLab has it for segmentation (Chen et al., 2017)."""

    name: Literal["polynomial"]
    power: float = Field(0.9, gt=0, description="The power: 1 is a straight line, 2 falls faster at first.")

    def _fall(self, part: float) -> float:
        return max(1 - part, 0.0) ** self.power


class OneCycle(_Falling):
    """Half a cosine up, then half a cosine down: one cycle, which stands a higher rate (Smith and Topin, 2018)."""

    name: Literal["one-cycle"]
    warmup: WarmUp = 0.25
    start: float = Field(0.04, ge=0, le=1, description="Factor on the learning rate at the beginning.")

    def _rise(self, part: float) -> float:
        return self.start + (1 - self.start) * (1 - _half_cosine(part))

    def _fall(self, part: float) -> float:
        return _half_cosine(part)


def _half_cosine(part: float) -> float:
    """0 to 1 -> from 1 to 0."""
    return (1 + math.cos(math.pi * part)) / 2


def _rising(milestones: tuple[float, ...]) -> tuple[float, ...]:
    if any(later <= earlier for earlier, later in pairwise(milestones)):
        raise ValueError("milestones must rise from each to the next")
    return milestones


Milestones = Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Field(min_length=1), AfterValidator(_rising)]


class Step(ftrun.Scheduler):
    """The learning rate drops at milestones of the run."""

    name: Literal["step"]
    milestones: Milestones = Field((0.5, 0.75), description="Parts of the run after which it drops, in rising order.")
    factor: float = Field(0.1, gt=0, lt=1, description="Factor on the learning rate at each drop.")

    def build(self) -> Callable[[float], float]:
        """Progress -> `factor` to the power of the number of milestones reached.

        Drops to a tenth at half and three quarters of the run are the recipe of He et al., "Deep residual learning",
        2016, for CIFAR-10.
        """
        return lambda progress: self.factor ** sum(progress >= milestone for milestone in self.milestones)
