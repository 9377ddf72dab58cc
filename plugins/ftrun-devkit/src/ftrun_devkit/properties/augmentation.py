"""What holds for augmentations."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ftrun import Batch, SampleRandom
from ftrun_devkit.subject import Subject, digest, expect
from ftrun_devkit.suite import holds_for

Augment = Callable[[Batch, SampleRandom], Batch]


@holds_for("augmentation")
def shape_and_type(subject: Subject, place: Path) -> None:
    """Images stay uint8 [B, C, H, W] of the same shape, colour or grey; targets and ids stay."""
    for channels in (1, 3):
        batch = _batch(8, channels)
        after = _apply(_augment(subject, place), batch)
        expect(
            after.inputs.dtype == torch.uint8 and after.inputs.shape == batch.inputs.shape,
            f"uint8 {list(batch.inputs.shape)} becomes {after.inputs.dtype} {list(after.inputs.shape)}.",
            "Compute in float if need be, then round, clamp to 0 to 255, and give uint8 of the same shape.",
        )
        expect(
            torch.equal(after.ids, batch.ids) and after.targets.keys() == batch.targets.keys(),
            "ids or targets of the batch are others than before.",
            "Change a batch with dataclasses.replace(batch, inputs=...).",
        )


@holds_for("augmentation")
def draws_for_each_sample(subject: Subject, place: Path) -> None:
    """Each sample draws on its own: many copies of one image do not all become the same."""
    image = _batch(1).inputs
    batch = _with(_batch(64), image.expand(64, -1, -1, -1).clone())
    outcomes = {digest(each) for each in _apply(_augment(subject, place), batch).inputs}
    expect(
        len(outcomes) > 1,
        "64 copies of one image all become the same.",
        "Draw a row for each sample: random.uniform() is [B], random.uniform(2) is [B, 2].",
    )


@holds_for("augmentation")
def batch_does_not_matter(subject: Subject, place: Path) -> None:
    """What becomes of a sample depends on its own draw alone, not on the batch that it is in; a batch may be of one."""
    augment, batch = _augment(subject, place), _batch(8)
    together = _apply(augment, batch).inputs
    for position, single in enumerate(batch.split([1] * 8)):
        alone = _apply(augment, single).inputs
        expect(
            torch.equal(alone[0], together[position]),
            f"sample {position} alone becomes another image than in its batch of 8.",
            "Take all randomness from the SampleRandom, and nothing from the other samples.",
        )


@holds_for("augmentation")
def same_seed_same_result(subject: Subject, place: Path) -> None:
    """The same draw gives the same images, also from a part built anew; another draw gives others."""
    batch = _batch(64)
    one, again = (_apply(_augment(subject, place), batch, seed=5).inputs for _ in range(2))
    expect(
        torch.equal(one, again),
        "the same seed gives other images.",
        "Take all randomness from the SampleRandom, none from torch, random or numpy.",
    )
    expect(
        not torch.equal(one, _apply(_augment(subject, place), batch, seed=6).inputs),
        "another seed gives the same images.",
        "Draw from the SampleRandom that is passed.",
    )


@holds_for("augmentation")
def input_left_alone(subject: Subject, place: Path) -> None:
    """The batch that it is given stays as it is: it may lie in the cache or be used again."""
    batch = _batch(64)
    before = batch.inputs.clone()
    _apply(_augment(subject, place), batch)
    expect(
        torch.equal(batch.inputs, before),
        "the images that it is given are changed in place.",
        "Use operations that make a new tensor, or clone() first.",
    )


def _augment(subject: Subject, place: Path) -> Augment:
    augment: Augment = subject.make(place).build()
    return augment


def _apply(augment: Augment, batch: Batch, seed: int = 0) -> Batch:
    return augment(batch, SampleRandom(seed, batch.ids))


def _batch(count: int, channels: int = 3) -> Batch:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, channels, 16, 20), dtype=torch.uint8, generator=generator)
    return Batch(images, {"label": torch.zeros(count, dtype=torch.int64)}, torch.arange(count))


def _with(batch: Batch, images: Tensor) -> Batch:
    return Batch(images, batch.targets, batch.ids)
