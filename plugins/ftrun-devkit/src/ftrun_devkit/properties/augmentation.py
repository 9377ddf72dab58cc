"""What holds for augmentations."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ftrun import Batch, SampleRandom, Warp, resample
from ftrun.commands import build
from ftrun.devtools import members
from ftrun_devkit.kinds import target_of
from ftrun_devkit.subject import Subject, digest, expect
from ftrun_devkit.suite import holds_for

Augment = Callable[[Batch, int], Batch]

_SIZE = (48, 64)
_BOX = (20.0, 12.0, 46.0, 30.0)  # in an image of that size: left, top, right, bottom
_ROOM = 1.5  # pixels on each side of an edge, where what is interpolated may be anything


@holds_for("augmentation")
def shape_and_type(subject: Subject, place: Path) -> None:
    """Inputs keep their type and shape, images of colour or grey uint8 [B, C, H, W]; targets and ids stay."""
    if _mixes(subject):
        return
    for channels in (1, 3):
        batch = _batch(subject, 8, channels)
        after = _apply(_augment(subject, place), batch)
        before, now = _layout(batch.inputs), _layout(after.inputs)
        expect(
            before == now,
            f"{before} becomes {now}.",
            "Compute in float if need be, then give what it was: of images, round, clamp to 0 to 255, uint8.",
        )
        expect(
            torch.equal(after.ids, batch.ids) and after.targets.keys() == batch.targets.keys(),
            "ids or targets of the batch are others than before.",
            "Change a batch with dataclasses.replace(batch, inputs=...).",
        )


@holds_for("augmentation")
def draws_for_each_sample(subject: Subject, place: Path) -> None:
    """Each sample draws on its own: many copies of one input do not all become the same."""
    if _mixes(subject):
        return
    batch = _batch(subject, 64)
    copies = batch.index(torch.zeros(64, dtype=torch.int64)).inputs
    outcomes = set(_digests(_apply(_augment(subject, place), replace(batch, inputs=copies))))
    expect(
        len(outcomes) > 1,
        "64 copies of one input all become the same.",
        "Draw a row for each sample: random.uniform() is [B], random.uniform(2) is [B, 2].",
    )


@holds_for("augmentation")
def batch_does_not_matter(subject: Subject, place: Path) -> None:
    """What becomes of a sample depends on its own draw alone, not on the batch that it is in; a batch may be of one."""
    if _mixes(subject):
        return
    augment, batch = _augment(subject, place), _batch(subject, 8)
    together = _digests(_apply(augment, batch))
    for position, single in enumerate(batch.split([1] * 8)):
        expect(
            _digests(_apply(augment, single)) == [together[position]],
            f"sample {position} alone becomes another input than in its batch of 8.",
            "Take all randomness from the SampleRandom, and nothing from the other samples.",
        )


@holds_for("augmentation")
def same_seed_same_result(subject: Subject, place: Path) -> None:
    """The same draw gives the same inputs, also from a part built anew; another draw gives others."""
    batch = _batch(subject, 64)
    one, again = (_digests(_apply(_augment(subject, place), batch, seed=5)) for _ in range(2))
    expect(
        one == again,
        "the same seed gives other inputs.",
        "Take all randomness from the SampleRandom, none from torch, random or numpy.",
    )
    expect(
        one != _digests(_apply(_augment(subject, place), batch, seed=6)),
        "another seed gives the same inputs.",
        "Draw from the SampleRandom that is passed.",
    )


@holds_for("augmentation")
def input_left_alone(subject: Subject, place: Path) -> None:
    """The batch that it is given stays as it is: it may lie in the cache or be used again."""
    batch = _batch(subject, 64)
    before = _digests(batch), digest(batch.targets)
    _apply(_augment(subject, place), batch)
    expect(
        (_digests(batch), digest(batch.targets)) == before,
        "the inputs or targets that it is given are changed in place.",
        "Use operations that make a new tensor, or clone() first.",
    )


@holds_for("augmentation")
def batches_stay_batches(subject: Subject, place: Path) -> None:
    """If it mixes batches: inputs keep their shape, classes become shares that sum to 1; a batch may be of one."""
    if not _mixes(subject):
        return
    for count in (1, 7):
        batch = _batch(subject, count)
        after = _apply(_augment(subject, place), batch)
        before, now = _layout(batch.inputs), _layout(after.inputs)
        expect(
            before == now,
            f"{before} becomes {now}.",
            "Give floats of the same shape: inputs come as InputSpec.prepare gave them.",
        )
        expect(
            torch.equal(after.ids, batch.ids) and after.targets.keys() == batch.targets.keys(),
            "ids or targets of the batch are others than before.",
            "Change a batch with dataclasses.replace(batch, inputs=..., targets=...).",
        )
        _check_shares(after.targets["label"], batch.targets["label"])


def _check_shares(values: Tensor, before: Tensor) -> None:
    """Expect classes int64 [B], or shares of them."""
    if values.is_floating_point():
        sums = values.nan_to_num(nan=1 / values.shape[-1]).sum(-1)
        expect(
            values.shape == (len(before), 3) and bool(((sums - 1).abs() < 1e-4).all()),
            f"labels of 3 classes become {list(values.shape)}, with sums up to {float(sums.max()):.4g}.",
            "Mix values with `targets[name].mixed(values, others, weight)`, weights from 0 to 1.",
        )
    missing = ~target_of("classes").present(values)
    expect(
        bool(missing[before < 0].all()),
        "a sample without a class has one.",
        "Mix values with `targets[name].mixed(values, others, weight)`, which keeps what is missing.",
    )


@holds_for("augmentation")
def boxes_and_masks_follow(subject: Subject, place: Path) -> None:
    """If it moves pixels: a box and a mask go where its map says that the pixels go."""
    warp = _drawn(subject, place)
    if warp is None:
        return
    left, top, right, bottom = map(int, _BOX)
    mask = torch.zeros(len(warp), 1, *_SIZE, dtype=torch.uint8)
    mask[:, :, top:bottom, left:right] = 255
    moved, kept = resample(mask, warp), resample(mask, warp, nearest=True)
    rows, columns = (torch.arange(side) + 0.5 for side in _SIZE)
    centres = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)
    x, y = warp.inverse().points(centres.expand(len(warp), -1, -1, -1)).unbind(-1)
    inside = torch.stack([x - left, right - x, y - top, bottom - y]).amin(0)  # how far from the nearest edge
    for pixels, what in ((moved[:, 0], "pixels"), (kept[:, 0], "a mask")):
        wrong = ((inside > _ROOM) & (pixels < 250)) | ((inside < -_ROOM) & (pixels > 5))
        expect(
            not wrong.any(),
            f"{what} do not go where the Warp's points go.",
            "Give the Warp the form of what its matrix may do, or leave the form out: ftrun.Warp(matrix, size).",
        )
    _check_boxes(warp, kept[:, 0] > 0)


def _check_boxes(warp: Warp, masks: Tensor) -> None:
    """Expect boxes to be around the masks, at those edges that lie in the image."""
    boxes = warp.boxes(torch.tensor(_BOX).expand(len(warp), 4))
    height, width = _SIZE
    for box, mask in zip(boxes.tolist(), masks, strict=True):
        if not mask.any():
            continue
        rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
        around = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        for edge, seen, side in zip(box, around, (width, height) * 2, strict=True):
            expect(
                not 1 < edge < side - 1 or abs(edge - int(seen)) <= _ROOM or 0 in (int(seen), side - int(seen)),
                f"a box's edge goes to {edge:.1f}, but its mask's to {int(seen)}.",
                "Have boxes, masks and pixels go by one map: return an ftrun.Warp, and move nothing yourself.",
            )


@holds_for("augmentation")
def predictions_come_back(subject: Subject, place: Path) -> None:
    """If it moves pixels: the inverse of its map brings points back to a hundredth of a pixel."""
    warp = _drawn(subject, place)
    if warp is None:
        return
    points = torch.tensor([[0.0, 0.0], [64.0, 48.0], [13.3, 40.7]]).expand(len(warp), -1, -1)
    off = (warp.inverse().points(warp.points(points)) - points).abs().max()
    expect(
        bool(off < 0.01),
        f"points come back {float(off):.3g} pixels away.",
        "Draw maps that can be inverted, in float64, as Warp's own functions do: no scale of 0.",
    )


def _drawn(subject: Subject, place: Path) -> Warp | None:
    """Return a map for each of 16 samples; None where the part moves no pixels."""
    part = subject.make(place)
    if not part.moves:
        return None
    draw, *_ = _functions(part, subject)
    warp: Warp = draw(SampleRandom(0, torch.arange(16)), _SIZE)
    return warp


def _mixes(subject: Subject) -> bool:
    """Return whether the part mixes whole batches."""
    return bool(subject.part.reach == "batch")  # type: ignore[attr-defined]


def augmentation_of(subject: Subject, place: Path) -> Any:
    """Return what the part builds, or of a set what each of its augmentations does; in order."""
    return [(part, _functions(part, subject)) for _, part in members(subject.make(place), "augment")]


def _functions(part: Any, subject: Subject) -> tuple[Any, ...]:
    """Return the functions that a part builds; it may look at the input, or at targets where it mixes batches."""
    built = build(part, "augment", targets={"label": target_of("classes")}, input=subject.raw_input())
    return built if isinstance(built, tuple) else (built,)


def _augment(subject: Subject, place: Path) -> Augment:
    """Return what the part builds, as a function of a batch and a seed."""
    built, mixes = augmentation_of(subject, place), _mixes(subject)

    def augment(batch: Batch, seed: int) -> Batch:
        for position, (part, functions) in enumerate(built):
            for index, function in enumerate(functions):
                # One draw for a batch, or for each sample.
                random = SampleRandom(seed + 1000 * position, batch.ids.new_zeros(1) if mixes else batch.ids)
                if part.moves and index == 0:
                    height, width = batch.inputs.shape[2:]
                    batch = replace(batch, inputs=resample(batch.inputs, function(random, (height, width))))
                else:
                    batch = function(batch, random)
        return batch

    return augment


def _apply(augment: Augment, batch: Batch, seed: int = 0) -> Batch:
    return augment(batch, seed)


def _batch(subject: Subject, count: int, channels: int = 3) -> Batch:
    """Made-up inputs as they come to the part, of the kind that it is for: noise of so many channels, if images."""
    made = subject.raw_input()
    if made is None or made.raw_kind == "image":
        generator = torch.Generator().manual_seed(0)
        inputs: Any = torch.randint(20, 236, (count, channels, 16, 20), dtype=torch.uint8, generator=generator)
        inputs = inputs / 255 if _mixes(subject) else inputs
    else:
        inputs = made.collate(made.example(count))
        inputs = made.prepare(inputs) if _mixes(subject) else inputs
    labels = torch.arange(count) % 3
    labels[1:][-1:] = -1  # the last of several has no class
    return Batch(inputs, {"label": labels}, torch.arange(count))


def _digests(batch: Batch) -> list[str]:
    """What tells each sample's inputs from others."""
    return [digest(each.inputs) for each in batch.split([1] * len(batch))]


def _layout(inputs: Any) -> Any:
    if isinstance(inputs, Mapping):
        return {name: _layout(each) for name, each in inputs.items()}
    return f"{str(inputs.dtype).removeprefix('torch.')} {list(inputs.shape)}"
