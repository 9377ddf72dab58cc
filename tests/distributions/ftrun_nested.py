"""A plugin for tests: parts that hold parts, and parts that look at the rest of the spec."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

import ftrun


class Lookahead(ftrun.Optimizer):
    """Another optimizer, whose steps it follows at a distance."""

    name: Literal["lookahead"]
    of: ftrun.PartOf[ftrun.Optimizer] = Field(description="The optimizer.")
    rate: float = Field(0.5, gt=0, le=1, description="Part of the way that it goes.")

    def build(self, params: Any) -> Any:
        inner, rate = ftrun.build(self.of, "of", params), self.rate
        step = inner.step

        def slowly(closure: Any = None) -> None:
            import torch

            every = [each for group in inner.param_groups for each in group["params"]]
            before = [each.detach().clone() for each in every]
            step(closure)
            with torch.no_grad():
                for old, each in zip(before, every, strict=True):
                    each.copy_(old + rate * (each - old))

        inner.step = slowly
        return inner


class Sum(ftrun.Loss):
    """Several losses, each with its weight."""

    name: Literal["sum"]
    losses: tuple[ftrun.PartOf[ftrun.Loss], ...] = Field(min_length=1, description="The losses.")
    weights: dict[str, float] = Field({}, description="Weights, by the losses' names.")
    also: dict[str, ftrun.PartOf[ftrun.Loss]] = Field({}, description="More of them, by any name.")

    def build(self, target: Any, values: Any) -> Any:
        from torch import nn

        every = [*self.losses, *self.also.values()]
        built = [ftrun.build(each, f"losses.{index}", target, values) for index, each in enumerate(every)]
        weights = [self.weights.get(each.name, 1.0) for each in every]

        class Module(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.losses = nn.ModuleList(built)

            def forward(self, output: Any, values: Any) -> Any:
                return sum(weight * loss(output, values) for weight, loss in zip(weights, self.losses, strict=True))

        return Module()

    def agrees(self, spec: Any) -> Iterator[str]:
        names = [each.name for each in (*self.losses, *self.also.values())]
        for name in self.weights:
            if name not in names:
                yield f"weights: {name!r} is none of {', '.join(names)}."


class Careful(ftrun.Scheduler):
    """Wants a batch size."""

    name: Literal["careful"]
    raises: bool = Field(False, description="Whether it raises what it has to say.")

    def build(self) -> Any:
        return lambda progress: 1.0

    def agrees(self, spec: Any) -> Iterator[str]:
        if spec.train.batch_size > 16:
            message = f"it is for batches of at most 16, and train.batch_size is {spec.train.batch_size}."
            if self.raises:
                raise ftrun.SpecError(message)
            yield message


class Fails(ftrun.Optimizer):
    """Cannot be built."""

    name: Literal["fails"]
    how: str = Field("spec", description="What it raises.")

    def build(self, params: Any) -> Any:
        raise ftrun.SpecError("not like this.") if self.how == "spec" else ZeroDivisionError("oops")


@ftrun.hookimpl
def ftrun_optimizers() -> list[type[ftrun.Optimizer]]:
    return [Lookahead, Fails]


@ftrun.hookimpl
def ftrun_losses() -> list[type[ftrun.Loss]]:
    return [Sum]


@ftrun.hookimpl
def ftrun_schedulers() -> list[type[ftrun.Scheduler]]:
    return [Careful]
