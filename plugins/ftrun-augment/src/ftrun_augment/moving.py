"""Augmentations that move pixels: flips, crops, rotation, scale, shear, perspective. Targets in the image follow."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

import ftrun
from ftrun_augment.options import Draw, in_order


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
        tuple[Annotated[float, Field(gt=0, le=1)], Annotated[float, Field(gt=0, le=1)]], AfterValidator(in_order)
    ] = Field((0.35, 1.0), description="Smallest and largest part of the image's area.")
    ratio: Annotated[tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]], AfterValidator(in_order)] = (
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
        tuple[Annotated[float, Field(ge=0.5, le=2)], Annotated[float, Field(ge=0.5, le=2)]], AfterValidator(in_order)
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


class VerticalFlip(ftrun.Augmentation):
    """Mirrors an image, top to bottom."""

    name: Literal["vertical-flip"]
    input_kinds = ("image",)
    moves = True
    p: float = Field(0.5, ge=0, le=1, description="Probability that an image is mirrored.")

    def build(self) -> Draw:
        """Return what draws which images are mirrored."""
        import torch

        def draw(random: ftrun.SampleRandom, size: tuple[int, int]) -> ftrun.Warp:
            down = 1 - 2 * random.chance(self.p).float()
            linear = torch.diag_embed(torch.stack([torch.ones_like(down), down], dim=1))
            return ftrun.Warp.linear(linear, size, ftrun.WarpForm.EXACT)

        return draw


class Affine(ftrun.Augmentation):
    """Rotates, scales, shears and shifts an image; what comes in at the rim is black."""

    name: Literal["affine"]
    input_kinds = ("image",)
    moves = True
    degrees: float = Field(10.0, ge=0, le=180, description="Largest angle of rotation, to either side.")
    translate: float = Field(0.1, ge=0, le=1, description="Largest shift, in parts of the image's width and height.")
    scale: Annotated[
        tuple[Annotated[float, Field(ge=0.5, le=2)], Annotated[float, Field(ge=0.5, le=2)]], AfterValidator(in_order)
    ] = Field((0.9, 1.1), description="Smallest and largest factor.")
    shear: float = Field(5.0, ge=0, le=60, description="Largest angle by which columns are sheared, to either side.")

    def build(self) -> Draw:
        """Return what draws angle, shifts of whole pixels, factor and shear, each uniform: torchvision's RandomAffine.

        An image is sheared, scaled and rotated about its centre, then shifted.
        """
        from ftrun_augment import maps

        def draw(random: ftrun.SampleRandom, size: tuple[int, int]) -> ftrun.Warp:
            angle, right, down, factor, shear = random.uniform(5).unbind(1)
            low, high = self.scale
            linear = maps.affine(
                self.degrees * (2 * angle - 1), low + (high - low) * factor, self.shear * (2 * shear - 1)
            )
            return maps.shifted(linear, self.translate * (2 * right - 1), self.translate * (2 * down - 1), size)

        return draw


class Perspective(ftrun.Augmentation):
    """Shows an image as if it were seen from elsewhere; what comes in at the rim is black."""

    name: Literal["perspective"]
    input_kinds = ("image",)
    moves = True
    p: float = Field(0.5, ge=0, le=1, description="Probability that an image is changed.")
    distortion: float = Field(
        0.3, ge=0, le=1, description="How far corners come in at most, in halves of the image's width and height."
    )

    def build(self) -> Draw:
        """Return what draws where corners go, by whole pixels, each uniform: torchvision's RandomPerspective."""
        from ftrun_augment import maps

        def draw(random: ftrun.SampleRandom, size: tuple[int, int]) -> ftrun.Warp:
            return ftrun.Warp.projected(maps.draw_corners(random, size, self.distortion, self.p), size)

        return draw
