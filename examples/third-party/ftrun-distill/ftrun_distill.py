"""Objective `distill`: a net learns from labels, and from what a trained net makes of its inputs."""

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import Field

import ftrun

FTRUN_API = "2.0"  # what it was written for, so that a later ftrun can tell


class Distill(ftrun.Objective):
    """The losses, and how far the net's class probabilities are from those of a trained net, its teacher."""

    name: Literal["distill"]
    teacher: Path = Field(description="Run folder of the teacher: its best epoch is taken.")
    weight: float = Field(0.5, ge=0, le=1, description="What the teacher counts; the losses count the rest.")
    temperature: float = Field(4.0, gt=0, description="What logits are divided by: higher ones tell more of classes.")

    def build(self, net: "ftrun.Net", losses: "ftrun.ObjectiveModule | None") -> "ftrun.ObjectiveModule":
        """The losses, and for each target with classes a Kullback-Leibler divergence.

        Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network", 2015: with the logits t of the teacher
        and s of the net, float32 [B, K], and the temperature T,

            (1 - weight) * losses + weight * T^2 * KL(softmax(t / T) || softmax(s / T))

        The second term needs no labels. Raises SpecError where the teacher has other classes, or takes other inputs.
        """
        import torch  # here, not above: ftrun lists and checks parts without torch
        from torch.nn import functional as F

        teacher = ftrun.open(self.teacher).net
        order = _order_of_classes(self.teacher, teacher, net)
        _check_inputs(self.teacher, teacher, net)
        weight, temperature = self.weight, self.temperature

        class Distilling(ftrun.ObjectiveModule):
            records = True
            unsaved = ("teacher",)  # its weights are in its own run folder

            def __init__(self) -> None:
                super().__init__()
                self.losses = losses
                self.teacher = teacher.requires_grad_(False).eval()
                self.digest = _digest(teacher)
                for position, columns in enumerate(order.values()):
                    self.register_buffer(f"columns{position}", torch.tensor(columns), persistent=False)

            def get_extra_state(self) -> str:
                return self.digest

            def set_extra_state(self, state: str) -> None:
                if state != self.digest:
                    raise ftrun.SpecError("the teacher is not what it was. Bring back its run folder as it was.")

            def forward(self, net: "ftrun.Net", batch: ftrun.Batch, at: "ftrun.StepInfo") -> "ftrun.Terms":
                terms = self.losses(net, batch, at)
                with torch.no_grad():
                    taught = self.teacher(batch.inputs)
                apart = torch.zeros((), device=batch.ids.device)
                for position, name in enumerate(order):
                    wanted = taught[name].float()[:, self.get_buffer(f"columns{position}")]
                    pair = (F.log_softmax(each / temperature, dim=1) for each in (terms.outputs[name].float(), wanted))
                    apart = apart + F.kl_div(*pair, reduction="batchmean", log_target=True)
                loss = (1 - weight) * terms.loss + weight * temperature**2 * apart
                return ftrun.Terms(loss, terms.outputs, {**terms.parts, "supervised": terms.loss, "apart": apart})

        return Distilling()


def _order_of_classes(folder: Path, teacher: "ftrun.Net", net: "ftrun.Net") -> dict[str, list[int]]:
    """For each target with classes, where the teacher has each of them. Raises SpecError where it has others."""
    order = {}
    for name, target in net.targets.items():
        if target.kind != "classes":
            continue
        known = teacher.targets.get(name)
        if known is None or known.kind != "classes" or set(known.names) != set(target.names):
            has = f"predicts {', '.join(map(repr, teacher.targets))}"
            if known is not None and known.kind == "classes":
                others = sorted(set(known.names) ^ set(target.names))
                has = f"has other classes of it: they differ in {', '.join(map(repr, others[:5]))}"
            raise ftrun.SpecError(f"the data's target is {name!r}, but the teacher {folder} {has}.")
        order[name] = [known.names.index(each) for each in target.names]
    if not order:
        raise ftrun.SpecError("the data has no target with classes, which is what a teacher teaches.")
    return order


def _check_inputs(folder: Path, teacher: "ftrun.Net", net: "ftrun.Net") -> None:
    """Raise SpecError where the teacher's inputs are prepared in another way: it would see what it never learned."""
    own = dict(net.input)
    others = {name: value for name, value in teacher.input if name not in own or value != own[name]}
    if others:
        raise ftrun.SpecError(
            f"the teacher {folder} takes its inputs prepared in another way: {str(others)[:200]}. "
            'Have the net take them so too, by "input" in the spec, or train the teacher on what the net takes.',
        )


def _digest(net: "ftrun.Net") -> str:
    """A digest of a net's weights, by which a resumed run knows its teacher."""
    import torch

    digest = hashlib.sha256()
    for name, value in net.state_dict().items():
        digest.update(name.encode() + value.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@ftrun.hookimpl
def ftrun_objectives() -> list[type[ftrun.Objective]]:
    return [Distill]
