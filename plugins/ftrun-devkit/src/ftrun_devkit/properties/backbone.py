"""What holds for backbones alone."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from ftrun import Classes, FtrunError, InputSpec
from ftrun.devtools import tensors_of
from ftrun_devkit.subject import Subject, close, expect, fail, ready_inputs
from ftrun_devkit.suite import holds_for
from ftrun_inputs import ImageInput, TextInput


@holds_for("backbone")
def input_spec(subject: Subject, place: Path) -> None:
    """The net says how its inputs are prepared, of the type that the part names, and that survives JSON."""
    net = subject.seen(place)
    expect(
        isinstance(net.input, InputSpec) and isinstance(net.input, subject.part.input_type),  # type: ignore[attr-defined]
        f"net.input is {type(net.input).__name__}, but input_type is {subject.part.input_type.__name__}.",  # type: ignore[attr-defined]
        "Give Net the InputSpec of the weights, of the class that `input_type` names.",
    )
    again = type(net.input).restored(json.loads(json.dumps(net.input.model_dump(mode="json"))), net.input)
    expect(again == net.input, "its input changes on the way to JSON and back.", "Use types that JSON has.")


@holds_for("backbone")
def overrides_applied(subject: Subject, place: Path) -> None:
    """What a spec's `input` changes is changed in the net's input."""
    before = subject.seen(place).input
    option, value = _another(before)
    if option is None:
        return
    given = getattr(subject.make(place).build({**subject.input, option: value}).input, option)
    expect(
        given == value,
        f"with the override {option} {value}, the net's input has {given}.",
        f"Give Net `input={type(before).__name__}(...).changed(**overrides)`.",
    )


def _another(input: InputSpec) -> tuple[str | None, Any]:  # noqa: A002  (the contract's word)
    """Return a field of an input and a value that it may have; None where there is no number among its fields."""
    if isinstance(input, ImageInput | TextInput):
        return ("crop", 0.5) if isinstance(input, ImageInput) else ("length", 3)
    for option, value in input:
        if isinstance(value, int | float) and not isinstance(value, bool):
            for other in (value + 1, value - 1, value / 2):
                with suppress(FtrunError, ValueError):
                    return option, getattr(input.changed(**{option: other}), option)
    return None, None


@holds_for("backbone")
@torch.no_grad()
def padding_changes_nothing(subject: Subject, place: Path) -> None:
    """Where inputs differ in length: one gives the same alone as beside longer ones, with which it is filled up."""
    net = subject.seen(place)
    layout = net.input.collated_layout
    if layout is None or not any(each.dynamic for each in tensors_of(layout).values()):
        return
    raw = list(net.input.example(9))
    together = net(net.prepare(net.input.collate(raw)))["label"]
    for position, each in enumerate(raw):
        alone = net(net.prepare(net.input.collate([each])))["label"]
        expect(
            close(alone, together[position : position + 1], 1e-4),
            f"{each!r:.60} gives something else alone than in a batch of several.",
            "Let nothing see what samples are filled up with, give features of zeros there, and leave these out in "
            "pool: of texts, that is where x == input.pad_id.",
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
    if not isinstance(net.input, ImageInput):
        return
    height, width = net.input.size
    size = [height + height // 2 | 1, width * 2 + 1]
    other = subject.make(place).build({**subject.input, "size": size})
    x = ready_inputs(other.eval())
    expect(
        list(x.shape[2:]) == size and list(other.embed(x).shape[:1]) == [2],
        f"at {size} the net gets {list(x.shape[2:])}.",
        "Leave `any_size` out where the net has one size.",
    )


@holds_for("backbone")
def pixels_are_where_the_warp_says(subject: Subject, place: Path) -> None:
    """If its input has pixels: its `warp` says where they go, and its inverse brings points back to 0.01 pixels."""
    prepare = subject.seen(place).input
    raw = prepare.example(1)[0] if prepare.has_pixels() else None
    if not isinstance(raw, torch.Tensor) or raw.ndim != 3:
        return
    height, width = 2 * raw.shape[1] + 6, 6 * raw.shape[2] + 10
    image = torch.zeros(len(raw), height, width, dtype=raw.dtype)
    off_centre = round(0.45 * min(height, width))  # a crop shows it elsewhere than the whole image does
    left, top = width // 2 - off_centre, height // 2 - off_centre
    image[:, top:, left:] = 255
    seen, warp = prepare.fit(image)
    if warp is None:
        fail("warp() of an image is None.", "Return a Warp, or leave warp() as InputSpec has it.")
    corner = torch.tensor([[left, top]], dtype=torch.float64)
    x, y = warp.points(corner)[0].tolist()
    edges = [int((seen[0] > 127).any(dim).int().argmax()) for dim in (0, 1)]
    expect(
        max(abs(x - edges[0]), abs(y - edges[1])) <= 1.3,
        f"a corner goes to ({x:.1f}, {y:.1f}), but its pixels go to ({edges[0]}, {edges[1]}).",
        "Return the map of what collate() does: resizing, cropping, padding.",
    )
    off = float((warp.inverse().points(warp.points(corner)) - corner).abs().max())
    expect(off < 0.01, f"points come back {off:.3g} pixels away.", "Give the map in float64.")
