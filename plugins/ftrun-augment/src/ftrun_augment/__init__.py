"""Augmentations of images: flip, crops, rotation, scale, color jitter."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

import ftrun

FTRUN_API = "2.0"

Augment = Callable[[ftrun.Batch, ftrun.SampleRandom], ftrun.Batch]
Draw = Callable[[ftrun.SampleRandom, tuple[int, int]], ftrun.Warp]
Strength = Annotated[float, Field(ge=0, le=1)]


def _in_order(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError("the first bound must not be above the second")
    return bounds


class HorizontalFlip(ftrun.Augmentation):
    """Mirrors an image, left to right."""

    name: Literal["horizontal-flip"]
    input_kinds = ("image",)
    moves = True
    p: float = Field(0.5, ge=0, le=1, description="Probability that an image is mirrored.")

    def build(self) -> Draw:
        """Return what draws which images are mirrored."""

        def draw(random: ftrun.SampleRandom, size: tuple[int, int]) -> ftrun.Warp:
            return ftrun.Warp.mirrored(random.chance(self.p), size)

        return draw


class RandomCrop(ftrun.Augmentation):
    """Shifts an image: pads it with black, then cuts its size out at random."""

    name: Literal["random-crop"]
    input_kinds = ("image",)
    moves = True
    padding: int = Field(4, ge=1, description="Pixels of black on each side, the largest shift.")

    def build(self) -> Draw:
        """Return what draws shifts by whole pixels.

        Four pixels, with flips, are the augmentation of He et al., "Deep residual learning", 2016, for CIFAR-10.
        """

        def draw(random: ftrun.SampleRandom, size: tuple[int, int]) -> ftrun.Warp:
            corners = random.integers(2, high=2 * self.padding + 1)  # top, left, in the padded image
            return ftrun.Warp.shifted(self.padding - corners.flip(1), size)

        return draw


class RandomResizedCrop(ftrun.Augmentation):
    """Cuts a part of any size and shape out of an image and stretches it to the image's size."""

    name: Literal["random-resized-crop"]
    input_kinds = ("image",)
    moves = True
    scale: Annotated[
        tuple[Annotated[float, Field(gt=0, le=1)], Annotated[float, Field(gt=0, le=1)]], AfterValidator(_in_order)
    ] = Field((0.35, 1.0), description="Smallest and largest part of the image's area.")
    ratio: Annotated[tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]], AfterValidator(_in_order)] = (
        Field((3 / 4, 4 / 3), description="Narrowest and widest shape, as width over height.")
    )

    keep: float = Field(
        2.0,
        ge=1,
        le=2,
        description="At how many times the net's size images are kept, as far as they have the pixels, so that an "
        "enlarged part shows what is in it; 1 for the net's size, which takes a quarter of the room.",
    )

    @property
    def source_scale(self) -> float:
        """How many times the net's size images are kept at."""
        return self.keep

    def build(self) -> Draw:
        """Return what draws boxes, of which each becomes a whole image.

        After Szegedy et al., "Going deeper with convolutions", 2015. Their smallest area, 0.08, is for a hundred epochs
        from scratch: in a short fine-tuning, crops that miss the object cost more than they teach.
        """
        from ftrun_augment import maps

        def draw(random: ftrun.SampleRandom, size: tuple[int, int]) -> ftrun.Warp:
            return ftrun.Warp.cropped(maps.draw_boxes(random, size, self.scale, self.ratio), size)

        return draw


class Rotate(ftrun.Augmentation):
    """Rotates an image about its centre; what comes in at the corners is black."""

    name: Literal["rotate"]
    input_kinds = ("image",)
    moves = True
    degrees: float = Field(15.0, gt=0, le=180, description="Largest angle, to either side.")

    def build(self) -> Draw:
        """Return what draws angles, uniform from -degrees to degrees."""
        from ftrun_augment import maps

        def draw(random: ftrun.SampleRandom, size: tuple[int, int]) -> ftrun.Warp:
            return ftrun.Warp.linear(maps.rotation(random.uniform(low=-self.degrees, high=self.degrees)), size)

        return draw


class Scale(ftrun.Augmentation):
    """Makes what is in an image larger or smaller, about its centre; what comes in at the rim is black."""

    name: Literal["scale"]
    input_kinds = ("image",)
    moves = True
    factor: Annotated[
        tuple[Annotated[float, Field(ge=0.5, le=2)], Annotated[float, Field(ge=0.5, le=2)]], AfterValidator(_in_order)
    ] = Field((0.8, 1.25), description="Smallest and largest factor.")

    def build(self) -> Draw:
        """Return what draws factors, whose logarithm is uniform."""
        import math

        import torch

        low, high = map(math.log, self.factor)

        def draw(random: ftrun.SampleRandom, size: tuple[int, int]) -> ftrun.Warp:
            factors = random.uniform(1, low=low, high=high).exp()
            return ftrun.Warp.linear(torch.diag_embed(factors.expand(-1, 2)), size, ftrun.WarpForm.ALIGNED)

        return draw


class ColorJitter(ftrun.Augmentation):
    """Changes brightness, contrast and saturation, in this order."""

    name: Literal["color-jitter"]
    input_kinds = ("image",)
    brightness: Strength = Field(0.2, description="Largest change of the factor on brightness; 0 for none.")
    contrast: Strength = Field(0.2, description="Largest change of the factor on contrast; 0 for none.")
    saturation: Strength = Field(0.2, description="Largest change of the factor on saturation; 0 for none.")

    def build(self) -> Augment:
        """Images uint8 [B, C, H, W] to the same shape. Each factor is uniform in [1 - strength, 1 + strength]."""
        from ftrun_augment import images

        def augment(batch: ftrun.Batch, random: ftrun.SampleRandom) -> ftrun.Batch:
            strengths = (self.brightness, self.contrast, self.saturation)
            factors = (random.uniform(low=1 - strength, high=1 + strength) for strength in strengths)
            return replace(batch, inputs=images.jitter(batch.inputs, *factors))

        return augment


@ftrun.hookimpl
def ftrun_augmentations() -> list[type[ftrun.Augmentation]]:
    return [HorizontalFlip, RandomCrop, RandomResizedCrop, Rotate, Scale, ColorJitter]
