"""Augmentations that change colours and sharpness, or cover parts: pixels stay where they are."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

import ftrun
from ftrun_augment.options import Chance, Change, in_order

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

Strength = Annotated[float, Field(ge=0, le=1)]


class ColorJitter(ftrun.Augmentation):
    """Changes brightness, contrast and saturation, in this order."""

    name: Literal["color-jitter"]
    input_kinds = ("image",)
    brightness: Strength = Field(0.2, description="Largest change of the factor on brightness; 0 for none.")
    contrast: Strength = Field(0.2, description="Largest change of the factor on contrast; 0 for none.")
    saturation: Strength = Field(0.2, description="Largest change of the factor on saturation; 0 for none.")

    def build(self) -> Change:
        """Images uint8 [B, C, H, W] to the same shape. Each factor is uniform in [1 - strength, 1 + strength]."""
        from ftrun_augment import images

        def augment(batch: ftrun.Batch, random: ftrun.SampleRandom) -> ftrun.Batch:
            strengths = (self.brightness, self.contrast, self.saturation)
            factors = (random.uniform(low=1 - strength, high=1 + strength) for strength in strengths)
            return replace(batch, inputs=images.jitter(batch.inputs, *factors))

        return augment


class AutoContrast(ftrun.Augmentation):
    """Stretches the levels of each colour to the whole range, from black to white."""

    name: Literal["auto-contrast"]
    input_kinds = ("image",)
    p: Chance = Field(0.5, description="Probability that an image is changed.")

    def build(self) -> Change:
        """Images uint8 [B, C, H, W] to the same shape: torchvision's RandomAutocontrast."""
        from ftrun_augment import levels

        return _by_chance(self.p, levels.autocontrast)


class Grayscale(ftrun.Augmentation):
    """Takes the colour out of some images, which keep their channels."""

    name: Literal["grayscale"]
    input_kinds = ("image",)
    p: Chance = Field(0.1, description="Probability that an image is changed.")

    def build(self) -> Change:
        """Images uint8 [B, C, H, W] to the same shape: torchvision's RandomGrayscale."""
        from ftrun_augment import levels

        return _by_chance(self.p, levels.grayscale)


class GaussianBlur(ftrun.Augmentation):
    """Blurs some images."""

    name: Literal["gaussian-blur"]
    input_kinds = ("image",)
    p: Chance = Field(0.5, description="Probability that an image is changed.")
    sigma: Annotated[
        tuple[Annotated[float, Field(gt=0, le=20)], Annotated[float, Field(gt=0, le=20)]], AfterValidator(in_order)
    ] = Field((0.1, 2.0), description="Least and largest standard deviation, in pixels.")

    def build(self) -> Change:
        """Images uint8 [B, C, H, W] to the same shape: torchvision's GaussianBlur, cut at two standard deviations."""
        import math

        from ftrun_augment import filters
        from ftrun_augment.chosen import changed

        low, high = self.sigma
        radius = math.ceil(2 * high)

        def augment(batch: ftrun.Batch, random: ftrun.SampleRandom) -> ftrun.Batch:
            chosen, sigmas = random.chance(self.p), random.uniform(low=low, high=high)
            inputs = changed(batch.inputs, chosen, lambda images, *drawn: filters.blur(images, *drawn, radius), sigmas)
            return replace(batch, inputs=inputs)

        return augment


class RandomErasing(ftrun.Augmentation):
    """Covers a rectangle of an image."""

    name: Literal["random-erasing"]
    input_kinds = ("image",)
    p: Chance = Field(0.5, description="Probability that an image is changed.")
    scale: Annotated[
        tuple[Annotated[float, Field(gt=0, lt=1)], Annotated[float, Field(gt=0, lt=1)]], AfterValidator(in_order)
    ] = Field((0.02, 0.33), description="Smallest and largest part of the image's area.")
    ratio: Annotated[tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]], AfterValidator(in_order)] = (
        Field((0.3, 3.3), description="Flattest and tallest shape, as height over width.")
    )
    value: Literal["mean"] | Annotated[int, Field(ge=0, le=255)] = Field(
        "mean", description="What it is covered with: the image's own mean colour, or a level, 0 for black."
    )

    def build(self) -> Change:
        """Images uint8 [B, C, H, W] to the same shape: torchvision's RandomErasing.

        Zhong et al., "Random erasing data augmentation", AAAI 2020.
        """
        from ftrun_augment import patches

        def augment(batch: ftrun.Batch, random: ftrun.SampleRandom) -> ftrun.Batch:
            height, width = batch.inputs.shape[2:]
            boxes = patches.draw_erased(random, (height, width), self.scale, self.ratio, self.p)
            return replace(batch, inputs=patches.covered(batch.inputs, boxes, self.value))

        return augment


def _by_chance(p: float, change: "Callable[[Tensor], Tensor]") -> Change:
    """Return what changes some images of a batch, each with the probability p."""
    from ftrun_augment.chosen import changed

    def augment(batch: ftrun.Batch, random: ftrun.SampleRandom) -> ftrun.Batch:
        return replace(batch, inputs=changed(batch.inputs, random.chance(p), change))

    return augment
