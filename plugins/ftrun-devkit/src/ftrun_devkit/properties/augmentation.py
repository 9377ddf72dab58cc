"""What holds for augmentations."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ftrun import Batch, SampleRandom, Warp, resample
from ftrun_devkit.subject import Subject, digest, expect
from ftrun_devkit.suite import holds_for

Augment = Callable[[Batch, SampleRandom], Batch]

_BOX = (20.0, 12.0, 46.0, 30.0)  # in an image of 48 x 64, left, top, right, bottom
_ROOM = 1.5  # pixels on each side of an edge, where what is interpolated may be anything


@holds_for("augmentation")
def shape_and_type(subject: Subject, place: Path) -> None:
    """Inputs keep their type and shape, images of colour or grey uint8 [B, C, H, W]; targets and ids stay."""
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
    before = _digests(batch)
    _apply(_augment(subject, place), batch)
    expect(
        _digests(batch) == before,
        "the inputs that it is given are changed in place.",
        "Use operations that make a new tensor, or clone() first.",
    )


@holds_for("augmentation")
def boxes_and_masks_follow(subject: Subject, place: Path) -> None:
    """If it moves pixels: a box and a mask go where its map says that the pixels go."""
    warp = _drawn(subject, place)
    if warp is None:
        return
    left, top, right, bottom = map(int, _BOX)
    mask = torch.zeros(len(warp), 1, *warp.size, dtype=torch.uint8)
    mask[:, :, top:bottom, left:right] = 255
    moved, kept = resample(mask, warp), resample(mask, warp, nearest=True)
    rows, columns = (torch.arange(side) + 0.5 for side in warp.size)
    centres = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)
    x, y = warp.inverse(warp.size).points(centres.expand(len(warp), -1, -1, -1)).unbind(-1)
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
    height, width = warp.size
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
    off = (warp.inverse(warp.size).points(warp.points(points)) - points).abs().max()
    expect(
        bool(off < 0.01),
        f"points come back {float(off):.3g} pixels away.",
        "Draw maps that can be inverted, in float64, as Warp's own functions do: no scale of 0.",
    )


def _drawn(subject: Subject, place: Path) -> Warp | None:
    """Return a map for each of 16 samples; None where the part moves no pixels."""
    part = subject.make(place)
    return part.build()(SampleRandom(0, torch.arange(16)), (48, 64)) if part.moves else None


def _augment(subject: Subject, place: Path) -> Augment:
    part = subject.make(place)
    built = part.build()
    if not part.moves:
        augment: Augment = built
        return augment

    def moved(batch: Batch, random: SampleRandom) -> Batch:
        height, width = batch.inputs.shape[2:]
        return replace(batch, inputs=resample(batch.inputs, built(random, (height, width))))

    return moved


def _apply(augment: Augment, batch: Batch, seed: int = 0) -> Batch:
    return augment(batch, SampleRandom(seed, batch.ids))


def _batch(subject: Subject, count: int, channels: int = 3) -> Batch:
    """Made-up inputs of the kind that the part is for: noise of so many channels, if that is images."""
    made = subject.raw_input()
    if made is None or made.raw_kind == "image":
        generator = torch.Generator().manual_seed(0)
        inputs: Any = torch.randint(0, 256, (count, channels, 16, 20), dtype=torch.uint8, generator=generator)
    else:
        inputs = made.collate(made.example(count))
    return Batch(inputs, {"label": torch.zeros(count, dtype=torch.int64)}, torch.arange(count))


def _digests(batch: Batch) -> list[str]:
    """What tells each sample's inputs from others."""
    return [digest(each.inputs) for each in batch.split([1] * len(batch))]


def _layout(inputs: Any) -> Any:
    if isinstance(inputs, Mapping):
        return {name: _layout(each) for name, each in inputs.items()}
    return f"{str(inputs.dtype).removeprefix('torch.')} {list(inputs.shape)}"
