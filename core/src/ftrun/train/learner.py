"""What learns, and how fast."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from ftrun.contracts.net import Net
from ftrun.contracts.objective import ObjectiveModule, StepInfo
from ftrun.train.average import Average
from ftrun.train.objective import learning
from ftrun.train.phases import Plan


@dataclass
class Learner:
    """Net, objective, optimizer and average: with the progress, all that a checkpoint holds."""

    net: Net
    objective: ObjectiveModule
    plan: Plan
    optimizer: torch.optim.Optimizer
    learning_rates: list[float]
    """Of each parameter group, as the optimizer was built."""
    schedule: Callable[[float], float]
    """The factor on the learning rates, as a function of progress from 0 to 1."""
    average: Average | None

    @property
    def evaluated_net(self) -> Net:
        """The net that val and test evaluate, and that is kept as best: the average of the weights, if there is one."""
        return self.average.net if self.average else self.net

    def enter_epoch(self, epoch: int) -> tuple[list[float], list[nn.Parameter]]:
        """Freeze what is frozen in an epoch (from 1); return rates and what learns.

        The rates are factors on the learning rates, one for each parameter group.
        """
        rates = self.plan.enter_epoch(self.net, epoch)
        return rates, [*learning(self.net), *learning(self.objective)]

    def set_rates(self, rates: Sequence[float], factor: float) -> None:
        """Set the learning rate of each parameter group to its own, times its factor and one for all."""
        for group, lr, rate in zip(self.optimizer.param_groups, self.learning_rates, rates, strict=True):
            group["lr"] = lr * rate * factor

    def after_step(self, at: StepInfo) -> None:
        """Let the average and the objective take in what an optimizer step has made of the weights."""
        if self.average:
            self.average.update(at)
        with torch.no_grad():
            self.objective.after_step(self.net, at)
