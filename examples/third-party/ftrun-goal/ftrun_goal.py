"""Observer `goal`: ends a run after the first epochs that are good enough."""

import json
from typing import Literal, Self

from pydantic import Field, model_validator

import ftrun

FTRUN_API = "2.0"


class Goal(ftrun.Observer):
    """Ends a run once a metric has reached a value."""

    name: Literal["goal"]
    metric: str = Field("val/loss", description="What has to reach the goal, by its name in metrics.jsonl.")
    at_least: float | None = Field(None, description="The goal, of a metric that is to rise.")
    at_most: float | None = Field(None, description="The goal, of a metric that is to fall.")
    epochs: int = Field(1, ge=1, description="How many epochs in a row have to reach it.")

    @model_validator(mode="after")
    def _one_goal(self) -> Self:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("give one of at_least and at_most")
        return self

    def build(self) -> object:
        return _Goal(self)


class _Goal:
    def __init__(self, goal: Goal) -> None:
        self.goal = goal

    @ftrun.hookimpl
    def ftrun_should_stop(self, run: ftrun.RunInfo, epoch: ftrun.EpochInfo) -> str | None:
        goal = self.goal
        if goal.metric not in epoch.metrics:
            near = ftrun.did_you_mean(goal.metric, epoch.metrics)
            raise ftrun.SpecError(f"the run has no metric {goal.metric!r}.{near}")
        # From the file, not from memory: a resumed run has a new object. It has a line for this epoch too.
        lines = (run.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        last = [json.loads(line).get(goal.metric) for line in lines[-goal.epochs :]]
        if len(last) < goal.epochs or not all(map(self._reached, last)):
            return None
        side, value = ("at least", goal.at_least) if goal.at_most is None else ("at most", goal.at_most)
        within = f" in {goal.epochs} epochs" if goal.epochs > 1 else ""
        return f"{goal.metric} is {side} {value:g}{within}"

    def _reached(self, value: float | None) -> bool:
        """Return whether a value reaches the goal; one that is undefined, null in the file, does not."""
        if value is None:
            return False
        return value >= self.goal.at_least if self.goal.at_most is None else value <= self.goal.at_most


@ftrun.hookimpl
def ftrun_observers() -> list[type[ftrun.Observer]]:
    return [Goal]
