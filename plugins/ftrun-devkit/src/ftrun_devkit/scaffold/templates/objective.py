"""Objective `template`: mean teacher.

An objective is what a training step makes small, with the whole net in view: the sum of
the targets' losses is one, and this one adds to it.
"""

import copy
from typing import TYPE_CHECKING, Literal

import ftrun
from pydantic import Field

if TYPE_CHECKING:  # for type checkers alone: ftrun lists and checks parts without torch
    from ftrun import Batch, Net, ObjectiveModule, StepInfo, Terms

FTRUN_API = "2.0"  # what it was written for, so that a later ftrun can tell


class Template(ftrun.Objective):
    """The losses, and how far the net is from a moving average of itself."""

    name: Literal["template"]
    weight: float = Field(
        1.0,
        ge=0,
        description="What being far from the teacher counts.",
    )
    decay: float = Field(
        0.99,
        ge=0,
        lt=1,
        description="How much of the teacher stays as it is in a step.",
    )

    def build(self, net: "Net", losses: "ObjectiveModule | None") -> "ObjectiveModule":
        """Return the module that is called with net and batch in each step.

        Tarvainen and Valpola, "Mean teachers are better role models", 2017.
        """
        import torch  # here, not above: ftrun lists and checks parts without torch

        if losses is None:
            raise ftrun.SpecError("it adds to the losses of the targets: name a loss.")
        supervised, weight, decay = losses, self.weight, self.decay

        class MeanTeacher(ftrun.ObjectiveModule):
            def __init__(self) -> None:
                super().__init__()
                # What is registered is in each checkpoint; what asks for a gradient
                # learns as the net does. The net itself is not to be kept.
                self.losses = supervised
                self.teacher = copy.deepcopy(net).requires_grad_(False).eval()

            def forward(self, net: "Net", batch: "Batch", at: "StepInfo") -> "Terms":
                terms = self.losses(net, batch, at)
                with torch.no_grad():
                    taught = self.teacher(batch.inputs)
                distance = torch.zeros_like(terms.loss)
                for name, output in taught.items():
                    # The paper compares shares of classes; this holds for values, too.
                    apart = terms.outputs[name].float() - output.float()
                    distance = distance + apart.square().mean() / len(taught)
                # Whatever changes in the course of a run is a function of `at`.
                loss = terms.loss + weight * at.progress * distance
                return ftrun.Terms(loss, terms.outputs, {"distance": distance})

            def after_step(self, net: "Net", at: "StepInfo") -> None:
                new = net.state_dict()
                for name, tensor in self.teacher.state_dict().items():
                    if tensor.is_floating_point():
                        tensor.lerp_(new[name], 1 - decay)
                    else:
                        tensor.copy_(new[name])

        return MeanTeacher()


@ftrun.hookimpl
def ftrun_objectives() -> list[type[ftrun.Objective]]:
    return [Template]
