"""Augmentation `template`: covers a part of each image.

An augmentation changes training inputs at random: a whole batch at once, on the device,
but each sample as drawn for it alone. One that moves pixels has `moves = True` and draws
an ftrun.Warp instead: the core moves images, boxes and masks by it (see the guide).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import ftrun
from pydantic import Field

FTRUN_API = "2.0"  # what it was written for, so that a later ftrun can tell


class Template(ftrun.Augmentation):
    """Blackens a square of an image, anywhere, also across its border (cutout)."""

    name: Literal["template"]
    input_kinds = ("image",)
    p: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Probability that an image is covered.",
    )
    size: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Side of the square, as a part of the image's shorter side.",
    )

    def build(self) -> Callable[[ftrun.Batch, ftrun.SampleRandom], ftrun.Batch]:
        """Images uint8 [B, C, H, W] to the same shape and type.

        DeVries and Taylor, "Improved regularization of convolutional neural networks
        with cutout", 2017.
        """
        import torch  # here, not above: ftrun lists and checks parts without torch

        def augment(batch: ftrun.Batch, random: ftrun.SampleRandom) -> ftrun.Batch:
            images = batch.inputs
            height, width = images.shape[2:]
            half = self.size * min(height, width) / 2
            # Each call draws a row for each sample, [B, ...], from the seed, the epoch
            # and the sample: use nothing else, and runs repeat and resume exactly.
            covered = random.chance(self.p)
            middle = random.uniform(2)
            rows = torch.arange(height, device=images.device) + 0.5
            columns = torch.arange(width, device=images.device) + 0.5
            near_rows = (rows - middle[:, :1] * height).abs() < half  # [B, H]
            near_columns = (columns - middle[:, 1:] * width).abs() < half  # [B, W]
            square = near_rows[:, :, None] & near_columns[:, None, :]
            black = (square & covered[:, None, None])[:, None]  # [B, 1, H, W]
            # A new batch: the one that is given may be used again, so it stays as it is.
            return replace(batch, inputs=images.masked_fill(black, 0))

        return augment


@ftrun.hookimpl
def ftrun_augmentations() -> list[type[ftrun.Augmentation]]:
    return [Template]
