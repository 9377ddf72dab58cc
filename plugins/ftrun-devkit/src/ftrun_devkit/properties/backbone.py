"""What holds for backbones alone."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ftrun import Classes, InputSpec
from ftrun_devkit.subject import Subject, close, expect, ready_inputs
from ftrun_devkit.suite import holds_for
from ftrun_inputs import ImageInput, TextInput

_OVERRIDES: Mapping[type[InputSpec], tuple[str, Any]] = {ImageInput: ("crop", 0.5), TextInput: ("length", 3)}


@holds_for("backbone")
def input_spec(subject: Subject, place: Path) -> None:
    """The net says how its inputs are prepared, of the type that the part names, and that survives JSON."""
    net = subject.seen(place)
    expect(
        isinstance(net.input, InputSpec) and isinstance(net.input, subject.part.input_type),  # type: ignore[attr-defined]
        f"net.input is {type(net.input).__name__}, but input_type is {subject.part.input_type.__name__}.",  # type: ignore[attr-defined]
        "Give Net the InputSpec of the weights, of the class that `input_type` names.",
    )
    again = type(net.input).restored(json.loads(json.dumps(net.input.saved())))
    expect(again == net.input, "its input changes on the way to JSON and back.", "Use types that JSON has.")


@holds_for("backbone")
def overrides_applied(subject: Subject, place: Path) -> None:
    """What a spec's `input` changes is changed in the net's input."""
    kind: type[InputSpec] = subject.part.input_type  # type: ignore[attr-defined]
    found = [each for each in _OVERRIDES.items() if issubclass(kind, each[0])]
    for of, (option, value) in found:
        net = subject.make(place).build({**subject.input, option: value})
        given = getattr(net.input, option)
        expect(
            given == value,
            f"with the override {option} {value}, the net's input has {given}.",
            f"Give Net `input={of.__name__}(...).changed(**overrides)`.",
        )


@holds_for("backbone")
@torch.no_grad()
def padding_changes_nothing(subject: Subject, place: Path) -> None:
    """A text gives the same alone as beside longer ones, with which it is padded."""
    net = subject.seen(place)
    if not isinstance(net.input, TextInput):
        return
    texts = sorted(net.input.example(9), key=len)
    together = net(net.input.prepare(net.input.collate(texts)))["label"]
    for position, text in enumerate(texts):
        alone = net(net.input.prepare(net.input.collate([text])))["label"]
        expect(
            close(alone, together[position : position + 1], 1e-4),
            f"{text!r} gives something else alone than beside {texts[-1]!r}.",
            "Let no token see padding (x == input.pad_id), give features of zeros there, and leave these out in pool.",
        )


@holds_for("backbone")
@torch.no_grad()
def head_replaced(subject: Subject, place: Path) -> None:
    """The net takes a head for 1, 2, 10 and 1000 classes."""
    net = subject.net(place).eval()
    x = ready_inputs(net)
    for count in (1, 2, 10, 1000):
        net.set_targets({"label": Classes(names=tuple(f"class {index}" for index in range(count)))})
        shape = list(net(x)["label"].shape)
        expect(
            shape == [2, count],
            f"with a head for {count} classes it gives {shape}.",
            "Let head_path lead to the layer that gives the classes, and new_output make one for [B, num_features].",
        )


@holds_for("backbone")
@torch.no_grad()
def any_size(subject: Subject, place: Path) -> None:
    """A backbone that says `any_size = True` takes odd sizes, and such that are not square."""
    if not subject.part.any_size:  # type: ignore[attr-defined]
        return
    net = subject.seen(place)
    assert isinstance(net.input, ImageInput)
    height, width = net.input.size
    size = [height + height // 2 | 1, width * 2 + 1]
    other = subject.make(place).build({**subject.input, "size": size})
    x = ready_inputs(other.eval())
    expect(
        list(x.shape[2:]) == size and list(other.embed(x).shape[:1]) == [2],
        f"at {size} the net gets {list(x.shape[2:])}.",
        "Leave `any_size` out where the net has one size.",
    )
