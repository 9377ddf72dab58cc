"""Recipe `template`: the head alone, with the first loss that fits.

A recipe fills in what a spec leaves out of how to train. It is a pure function of facts:
what the user states, what is predicted, how many samples there are, what the backbone
says of its rates, what is installed. What the user states wins, whatever is filled in.
"""

import math
from typing import Any, Literal

import ftrun
from pydantic import Field

FTRUN_API = "2.0"  # what it was written for, so that a later ftrun can tell


class Template(ftrun.Recipe):
    """The head alone, for some epochs."""

    name: Literal["template"]
    epochs: int = Field(5, ge=1, description="Epochs, where time is not limited.")

    def build(self, facts: ftrun.Facts) -> ftrun.Filled:
        """Return loss, optimizer and phases."""
        ranges = facts.ranges or ftrun.TrainingRanges("a net")
        losses = {name: _loss(target, facts) for name, target in facts.targets.items()}
        optimizer = next(iter(facts.parts["optimizer"]))
        # If the user states how many epochs, phases have to add up to that.
        epochs = facts.spec.get("train", {}).get("epochs", self.epochs)
        spec = {
            "loss": losses if len(losses) > 1 else next(iter(losses.values()), None),
            "optimizer": {"name": optimizer, "lr": ranges.head_lr},
            "train": {"phases": [_phase(epochs)], "batch_size": ranges.batch_size},
        }
        why = {"optimizer": f"the rate for heads of {ranges.family}"}
        return ftrun.Filled(spec, why)

    def plan(self, facts: ftrun.Facts, pace: ftrun.Pace) -> ftrun.Filled:
        """Return as many epochs as there is time for."""
        epochs = max(1, math.floor((pace.seconds - pace.features) / pace.head))
        return ftrun.Filled({"train": {"phases": [_phase(epochs)]}})


def _loss(target: ftrun.Target, facts: ftrun.Facts) -> str:
    losses: dict[str, Any] = dict(facts.parts["loss"])
    fitting = [name for name, loss in losses.items() if target.kind in loss.kinds]
    if not fitting:
        raise ftrun.SpecError(f"no loss is installed for {target.kind}.")
    return fitting[0]


def _phase(epochs: int) -> dict[str, Any]:
    return {"epochs": epochs, "freeze": "features"}


@ftrun.hookimpl
def ftrun_recipes() -> list[type[ftrun.Recipe]]:
    return [Template]
