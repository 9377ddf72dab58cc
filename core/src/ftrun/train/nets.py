"""The net of a spec: backbone, head, modifiers; and compiled."""

import os
import shutil
from collections.abc import Mapping

import torch
from torch import nn

from ftrun.contracts.data import Split
from ftrun.contracts.errors import SpecError
from ftrun.contracts.net import Net
from ftrun.contracts.netroles import Backbone, Head, LinearHead, Modifier, Takes
from ftrun.contracts.targets import Target
from ftrun.plugins.building import inside, misbuilt
from ftrun.spec.runspec import RunSpec
from ftrun.train.partstates import PartStates


def build_net(
    spec: RunSpec, targets: Mapping[str, Target], states: PartStates | None = None, train: Split | None = None
) -> Net:
    """The backbone with fresh heads for the targets, changed by the modifiers in order.

    states: build the parts, of a run whose weights the net will get, as they were; those of a new run if not given
    train: what backbone and modifiers of a new run may look at
    """
    states = states or PartStates()
    saved = states.input
    with inside(spec.backbone, "backbone"):
        backbone = spec.backbone if saved is None else spec.backbone.without_weights()
    net: Net = states.build(backbone, "backbone", spec.input_overrides)
    with inside(spec.backbone, "backbone"):
        if saved is not None:
            net.set_input(type(net.input).restored(saved, net.input))
        elif train is not None:
            spec.backbone.fit(net, train)
    heads = {name: spec.head_of(name, target) for name, target in targets.items()}
    takes = {name: head.takes for name, (_, head) in heads.items() if head.takes != "embedding"}
    embedded = {name: _head(states, net, targets, name, *heads[name]) for name in heads if name not in takes}
    with inside(spec.backbone, "backbone"):
        net.set_targets(targets, embedded, takes)
    net = modified(spec, net, states, train if saved is None else None)
    for name in takes:  # what they take is as the modifiers have made it
        net.add_head(name, _head(states, net, targets, name, *heads[name]))
    states.now()  # raises for what no checkpoint could keep, before there is anything to lose
    return net


def _head(states: PartStates, net: Net, targets: Mapping[str, Target], name: str, where: str, head: Head) -> nn.Module:
    _check_takes(net, where, head)
    place = f"head.{name}" if len(targets) > 1 else where  # one head, with a state for each target
    made: nn.Module = states.build(head, where, net, targets[name], key=place)
    return made


def _check_takes(net: Net, where: str, head: Head) -> None:
    """Raise SpecError where the net does not give what the head takes."""
    given = ""
    if head.takes == "embedding":
        given = "" if net.embeds or isinstance(head, LinearHead) else "hands its head a map, which is convolutional"
    elif (net.levels[-1].stride is None) != (head.takes == "tokens"):
        given = "gives a map" if head.takes == "tokens" else "gives tokens"
    elif head.takes == "pyramid" and len(net.levels) == 1:
        given = "gives one level alone"
    if given:
        raise SpecError(f"{head.name!r} takes {_TAKEN[head.takes]}, but this net {given}.", where=where)


_TAKEN: Mapping[Takes, str] = {
    "embedding": "an embedding [B, D]",
    "map": "a map [B, C, H, W]",
    "tokens": "tokens [B, T, D]",
    "pyramid": "maps of several resolutions",
}


def modified(spec: RunSpec, net: Net, states: PartStates, train: Split | None = None) -> Net:
    """The net, changed by the modifiers in order. train: what they may look at"""
    for index, modifier in enumerate(spec.modifiers):
        where = f"modifiers.{index}"
        targets = dict(net.targets)
        net = states.build(modifier, where, net)
        if net.targets != targets:
            with inside(modifier, where):
                raise misbuilt(modifier, f"build() gives a net for {net.targets}, but for {targets} it was.")
        if train is not None:
            with inside(modifier, where):
                modifier.fit(net, train)
    net.parts = tuple((where, part) for where, part in spec.parts() if isinstance(part, Backbone | Modifier | Head))
    return net


def compile_net(net: Net, device: torch.device) -> None:
    """Compile it in place: names of weights stay. Raises SpecError where there is no compiler."""
    check_compiler(device)
    net.compile()


def check_compiler(device: torch.device) -> None:
    """Raise SpecError where torch.compile would find no C++ compiler."""
    known = (os.environ.get("CXX") or "g++", "clang++", "c++", "cl")
    if device.type == "cpu" and not any(shutil.which(each) for each in known):
        raise SpecError(
            "needs a C++ compiler, and there is none here. Install g++ or clang, or leave compile out.",
            where="train.compile",
        )
