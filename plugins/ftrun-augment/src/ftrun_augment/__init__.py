"""Augmentations on whole batches: flip, crops, color jitter."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

import ftrun

FTRUN_API = "1.0"

Augment = Callable[[ftrun.Batch, ftrun.SampleRandom], ftrun.Batch]
Strength = Annotated[float, Field(ge=0, le=1)]


def _in_order(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError("the first bound must not be above the second")
    return bounds


class HorizontalFlip(ftrun.Augmentation):
    """Mirrors an image, left to right."""

    name: Literal["horizontal-flip"]
    input_kinds = ("image",)
    p: float = Field(0.5, ge=0, le=1, description="Probability that an image is mirrored.")

    def build(self) -> Augment:
        """Images uint8 [B, C, H, W] to the same shape."""
        from ftrun_augment import images

        def augment(batch: ftrun.Batch, random: ftrun.SampleRandom) -> ftrun.Batch:
            return replace(batch, inputs=images.flip(batch.inputs, random.chance(self.p)))

        return augment


class RandomCrop(ftrun.Augmentation):
    """Shifts an image: pads it with black, then cuts its size out at random."""

    name: Literal["random-crop"]
    input_kinds = ("image",)
    padding: int = Field(4, ge=1, description="Pixels of black on each side, the largest shift.")

    def build(self) -> Augment:
        """Images uint8 [B, C, H, W] to the same shape.

        Four pixels, with flips, are the augmentation of He et al., "Deep residual learning", 2016, for CIFAR-10.
        """
        from ftrun_augment import images

        def augment(batch: ftrun.Batch, random: ftrun.SampleRandom) -> ftrun.Batch:
            corners = random.integers(2, high=2 * self.padding + 1)
            return replace(batch, inputs=images.padded_crop(batch.inputs, corners, self.padding))

        return augment


class RandomResizedCrop(ftrun.Augmentation):
    """Cuts a part of any size and shape out of an image and stretches it to the image's size."""

    name: Literal["random-resized-crop"]
    input_kinds = ("image",)
    scale: Annotated[
        tuple[Annotated[float, Field(gt=0, le=1)], Annotated[float, Field(gt=0, le=1)]], AfterValidator(_in_order)
    ] = Field((0.35, 1.0), description="Smallest and largest part of the image's area.")
    ratio: Annotated[tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]], AfterValidator(_in_order)] = (
        Field((3 / 4, 4 / 3), description="Narrowest and widest shape, as width over height.")
    )

    def build(self) -> Augment:
        """Images uint8 [B, C, H, W] to the same shape.

        After Szegedy et al., "Going deeper with convolutions", 2015. Their smallest area, 0.08, is for a hundred epochs
        from scratch: in a short fine-tuning, crops that miss the object cost more than they teach.
        """
        from ftrun_augment import images

        def augment(batch: ftrun.Batch, random: ftrun.SampleRandom) -> ftrun.Batch:
            height, width = batch.inputs.shape[2:]
            boxes = images.draw_boxes(random, height, width, self.scale, self.ratio)
            return replace(batch, inputs=images.resized_crop(batch.inputs, boxes))

        return augment


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
    return [HorizontalFlip, RandomCrop, RandomResizedCrop, ColorJitter]
