"""Augmentations that draw from a list of operations: trivial-augment, rand-augment."""

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field

import ftrun
from ftrun_augment.options import Change, Draw

if TYPE_CHECKING:
    from ftrun_augment.operations import Space


class TrivialAugment(ftrun.Augmentation):
    """Changes each image by one operation of fourteen, as strongly as it comes: nothing has to be tuned."""

    name: Literal["trivial-augment"]
    input_kinds = ("image",)
    moves = True

    def build(self) -> tuple[Draw, Change]:
        """Return what draws where pixels go, and what changes colours: torchvision's TrivialAugmentWide.

        Mueller and Hutter, "TrivialAugment: Tuning-free yet state-of-the-art data augmentation", ICCV 2021. Identity,
        shears, shifts, rotation, brightness, colour, contrast, sharpness, posterize, solarize, auto-contrast and
        equalize are as likely as each other, and so are 31 magnitudes of each.
        """
        from ftrun_augment.operations import Space

        return _operations(Space(shear=0.99, translate=32, degrees=135, factor=0.99, bits=6), 1, None)


class RandAugment(ftrun.Augmentation):
    """Changes each image by some operations of fourteen, all of them as strongly."""

    name: Literal["rand-augment"]
    input_kinds = ("image",)
    moves = True
    operations: int = Field(2, ge=1, le=10, description="How many of each image; one may come again.")
    magnitude: int = Field(9, ge=0, le=30, description="How strong they are, 0 to 30.")

    def build(self) -> tuple[Draw, Change]:
        """Return what draws where pixels go, and what changes colours: torchvision's RandAugment.

        Cubuk, Zoph, Shlens and Le, "RandAugment: Practical automated data augmentation with a reduced search space",
        NeurIPS 2020. The operations are those of `trivial-augment`. Those that move pixels come first, so that pixels
        are interpolated once, then the others in the order in which they were drawn.
        """
        from ftrun_augment.operations import Space

        space = Space(shear=0.3, translate=150 / 331, degrees=30, factor=0.9, bits=4)
        return _operations(space, self.operations, self.magnitude)


def _operations(space: "Space", count: int, magnitude: int | None) -> tuple[Draw, Change]:
    from ftrun_augment import operations

    def draw(random: ftrun.SampleRandom, size: tuple[int, int]) -> ftrun.Warp:
        return operations.warp(operations.draw(random, count, magnitude), space, size)

    def change(batch: ftrun.Batch, random: ftrun.SampleRandom) -> ftrun.Batch:
        drawn = operations.draw(random, count, magnitude)
        return replace(batch, inputs=operations.change(batch.inputs, drawn, space))

    return draw, change
