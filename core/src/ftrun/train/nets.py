"""The net of a spec: backbone, head, modifiers; and compiled."""

import os
import shutil
from collections.abc import Mapping
from typing import Any

import torch

from ftrun.contracts.data import Split
from ftrun.contracts.errors import SpecError
from ftrun.contracts.net import Net
from ftrun.contracts.specs import Backbone, Modifier
from ftrun.contracts.targets import Target
from ftrun.plugins.building import build, inside, misbuilt
from ftrun.runs import checkpoint
from ftrun.spec.runspec import RunSpec


def build_net(
    spec: RunSpec,
    targets: Mapping[str, Target],
    saved_input: Mapping[str, Any] | None = None,
    train: Split | None = None,
) -> Net:
    """The backbone with a fresh head for the targets, changed by the modifiers in order.

    saved_input: how inputs were prepared in the run whose weights the net will get
    train: what backbone and modifiers may look at where there is no saved input
    """
    new = saved_input is None
    if new:
        net: Net = build(spec.backbone, "backbone", spec.input_overrides)
    else:
        net = build(spec.backbone, "backbone", spec.input_overrides, saved_input, method="rebuild")
    with inside(spec.backbone, "backbone"):
        if new and train is not None:
            spec.backbone.fit(net, train)
        net.set_targets(targets)
    net = modified(spec, net, train if new else None)
    checkpoint.check_kept(net.input)
    return net


def modified(spec: RunSpec, net: Net, train: Split | None = None) -> Net:
    """The net, changed by the modifiers in order. train: what they may look at"""
    for index, modifier in enumerate(spec.modifiers):
        where = f"modifiers.{index}"
        targets = dict(net.targets)
        net = build(modifier, where, net)
        if net.targets != targets:
            with inside(modifier, where):
                raise misbuilt(modifier, f"build() gives a net for {net.targets}, but for {targets} it was.")
        if train is not None:
            with inside(modifier, where):
                modifier.fit(net, train)
    net.parts = tuple((where, part) for where, part in spec.parts() if isinstance(part, Backbone | Modifier))
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
