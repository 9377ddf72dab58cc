"""Scheduler `template`: up, then straight down.

A scheduler gives a factor on the optimizer's learning rate as a function of progress, and
of nothing else: so there is nothing to save, and a resumed run goes on at the same rate.
"""

from collections.abc import Callable
from typing import Literal

import ftrun
from pydantic import Field

FTRUN_API = "2.0"  # what it was written for, so that a later ftrun can tell

# The first step learns a little, too; a factor of 0 would waste it.
START = 0.01


class Template(ftrun.Scheduler):
    """A linear rise to the full learning rate, then a linear fall."""

    name: Literal["template"]
    warmup: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Part of the run in which the learning rate rises.",
    )
    floor: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Factor on the learning rate at the end of the run.",
    )

    def build(self) -> Callable[[float], float]:
        """Progress, 0 at the first step to 1 after the last -> factor.

        The gradual warm-up is that of Goyal et al., "Accurate, large minibatch SGD",
        2017.
        """

        def factor(progress: float) -> float:
            if progress < self.warmup:
                return START + (1 - START) * progress / self.warmup
            left = (1 - progress) / (1 - self.warmup)
            return self.floor + (1 - self.floor) * left

        return factor


@ftrun.hookimpl
def ftrun_schedulers() -> list[type[ftrun.Scheduler]]:
    return [Template]
