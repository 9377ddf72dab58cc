"""Dataset `template`: bright discs and squares, drawn from a seed.

A dataset gives raw samples and says what there is to predict. It does not resize,
normalise or augment: that is done by the backbone's input and by augmentations.
"""

from typing import Literal

import ftrun
from pydantic import Field

FTRUN_API = "2.0"  # what it was written for, so that a later ftrun can tell

SHAPES = ("disc", "square")
SPLITS = ("train", "val", "test")


class Template(ftrun.Dataset):
    """Bright discs and squares on a dark noisy ground."""

    name: Literal["template"]
    input_kind = "image"  # a text backbone is then refused before anything is loaded
    samples: int = Field(
        400,
        ge=8,
        description="Training images; val and test have a quarter of that each.",
    )
    size: int = Field(
        32,
        ge=8,
        le=512,
        description="Height and width of an image, in pixels.",
    )
    seed: int = Field(0, ge=0, lt=2**32, description="What the images are drawn from.")

    def build(self) -> ftrun.Splits:
        """Train, val and test: images uint8 [N, 3, size, size], labels int64 [N].

        What reads files raises ftrun.DataError, with the path, where one is missing or
        wrong. Without `val` the core cuts one from `train`; without `test` nothing is
        tested.
        """
        return ftrun.Splits(
            train=self._split("train", self.samples),
            val=self._split("val", self.samples // 4),
            test=self._split("test", self.samples // 4),
            # The number of classes decides the net's outputs; a label is a position in
            # `names`. Other kinds of target are ftrun.Labels and ftrun.Values.
            targets={"label": ftrun.Classes(names=SHAPES)},
        )

    def _split(self, split: str, count: int) -> ftrun.TensorSplit:
        """Both shapes in turn. What is too large for memory is an ftrun.Split."""
        import torch  # here, not above: ftrun lists and checks parts without torch

        # A generator of its own, so that the images are the same in every run.
        seed = len(SPLITS) * self.seed + SPLITS.index(split)
        generator = torch.Generator().manual_seed(seed)
        labels = torch.arange(count) % len(SHAPES)
        radius, x, y = torch.rand(3, count, 1, 1, generator=generator)
        radius = (0.15 + 0.15 * radius) * self.size
        room = self.size - 1 - 2 * radius
        pixels = torch.arange(self.size)
        across = (pixels[None, None, :] - (radius + x * room)).abs()  # [N, 1, size]
        down = (pixels[None, :, None] - (radius + y * room)).abs()  # [N, size, 1]
        discs = across**2 + down**2 <= radius**2
        squares = torch.maximum(across, down) <= 0.886 * radius  # of the same area
        bright = torch.where(labels[:, None, None] == 0, discs, squares)
        shape = (count, 3, self.size, self.size)
        noise = torch.randint(0, 100, shape, generator=generator)
        images = (noise + 150 * bright[:, None]).to(torch.uint8)
        return ftrun.TensorSplit(images, {"label": labels})


@ftrun.hookimpl
def ftrun_datasets() -> list[type[ftrun.Dataset]]:
    return [Template]
