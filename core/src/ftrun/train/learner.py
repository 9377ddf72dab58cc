"""What learns, and how fast."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from ftrun.contracts.net import Net
from ftrun.contracts.objective import ObjectiveModule, StepInfo
from ftrun.plugins.building import Blaming, build
from ftrun.spec.runspec import RunSpec
from ftrun.train import norm
from ftrun.train.average import Average
from ftrun.train.norm import Norm
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


def build_learner(
    spec: RunSpec, net: Net, objective: ObjectiveModule, steps_per_epoch: int, norms: Sequence[Norm] | None = None
) -> Learner:
    """Return what learns by the spec's phases, optimizer and scheduler.

    norms: what batch normalisation did in each phase of the run before; chosen if not given
    """
    norms = norm.choose(net, spec.train, steps_per_epoch) if norms is None else norms
    options = Blaming(spec.optimizer.group_options, spec.optimizer, "optimizer")
    plan = Plan(net, spec.train, learning(objective), norms, options=options)
    optimizer = build(spec.optimizer, "optimizer", plan.parameter_groups(net))
    return Learner(
        net=net,
        objective=objective,
        plan=plan,
        optimizer=optimizer,
        learning_rates=[group["lr"] for group in optimizer.param_groups],
        schedule=build_schedule(spec),
        average=Average(net, spec.train.average) if spec.train.average else None,
    )


def build_schedule(spec: RunSpec) -> Callable[[float], float]:
    """Return the factor on the learning rate as a function of progress; 1 where the spec has no scheduler."""
    if spec.scheduler is None:
        return lambda progress: 1.0
    return Blaming(build(spec.scheduler, "scheduler"), spec.scheduler, "scheduler")
