"""What holds for modifiers alone."""

import copy
from contextlib import suppress
from pathlib import Path

import torch
from pydantic import ValidationError

from ftrun import Modifier, SpecError
from ftrun.devtools import part_names
from ftrun_devkit.subject import Subject, close, expect, fail, ready_inputs, width
from ftrun_devkit.suite import holds_for


@holds_for("modifier")
@torch.no_grad()
def keeps_targets(subject: Subject, place: Path) -> None:
    """The changed net predicts what the net did: the same targets, an output for each of them."""
    host = subject.host()
    targets = dict(host.targets)
    net = subject.make(place).build(host)
    expect(
        net.targets == targets,
        f"the targets were {list(targets)}, and are {list(net.targets)}.",
        "Give back the net with the `targets` that it had.",
    )
    outputs = width(targets["label"])
    shape = list(net.eval()(ready_inputs(net))["label"].shape)
    expect(
        shape == [2, outputs],
        f"for {outputs} classes it gives {shape}.",
        "Make the last layer with `net.output_layer(in_features)`.",
    )


@holds_for("modifier")
@torch.no_grad()
def keeps_features(subject: Subject, place: Path) -> None:
    """A modifier keeps what the pretrained net computes before its head, unless it says `keeps_features = False`."""
    if not subject.part.keeps_features:  # type: ignore[attr-defined]
        return
    torch.manual_seed(0)
    host = subject.host().eval()
    x = ready_inputs(host)
    before = host.features(x)
    net = subject.make(place).build(host).eval()
    expect(
        close(net.features(x), before),
        "the features of the same input are others than before.",
        "Leave pretrained weights as they are, or say `keeps_features = False`.",
    )


@holds_for("modifier")
@torch.no_grad()
def composes_with_others(subject: Subject, place: Path) -> None:
    """Before and after every other installed modifier, it works, or refuses with a SpecError that says why."""
    own = subject.make(place)
    torch.manual_seed(0)
    host = subject.host()
    for other in _others(subject):
        for order in ((own, other), (other, own)):
            names = " after ".join(repr(each.name) for each in reversed(order))
            net = copy.deepcopy(host)
            try:
                for each in order:
                    net = each.build(net)
            except SpecError:
                continue
            except Exception as error:
                fail(
                    f"{names} raises {type(error).__name__}: {error}.",
                    "Look at what is needed first (net.embeds, net.pool_layers), and raise ftrun.SpecError otherwise.",
                )
            shape = list(net.eval()(ready_inputs(net))["label"].shape)
            expect(
                shape[:2] == [2, width(net.targets["label"])],
                f"{names} gives {shape}.",
                "Take the net as it is: its head may be of another kind by now.",
            )


def _others(subject: Subject) -> list[Modifier]:
    """One of each other installed modifier that needs no options."""
    found = []
    for plugin in subject.installed:
        for part in plugin.parts:
            if issubclass(part, Modifier) and part is not subject.part:
                with suppress(ValidationError):  # it needs options
                    found.append(part.model_validate({"name": part_names(part)[0]}))
    return found
