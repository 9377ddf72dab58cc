"""Sets of augmentations under one name: light, medium, strong."""

from typing import Literal

from pydantic import Field

import ftrun
from ftrun_augment.automatic import TrivialAugment
from ftrun_augment.coloring import ColorJitter, RandomErasing
from ftrun_augment.moving import HorizontalFlip, RandomResizedCrop

_FLIP = HorizontalFlip(name="horizontal-flip")
_OF = "What it stands for, in order."


class Light(ftrun.AugmentationSet):
    """Mirrors images and cuts them a little: for a few epochs."""

    name: Literal["light"]
    input_kinds = ("image",)
    of: tuple[ftrun.PartOf[ftrun.Augmentation], ...] = Field(
        (RandomResizedCrop(name="random-resized-crop", scale=(0.6, 1.0)), _FLIP), min_length=1, description=_OF
    )


class Medium(ftrun.AugmentationSet):
    """Mirrors images, cuts them, and changes their colours: for some ten epochs."""

    name: Literal["medium"]
    input_kinds = ("image",)
    of: tuple[ftrun.PartOf[ftrun.Augmentation], ...] = Field(
        (RandomResizedCrop(name="random-resized-crop"), _FLIP, ColorJitter(name="color-jitter")),
        min_length=1,
        description=_OF,
    )


class Strong(ftrun.AugmentationSet):
    """Mirrors images, cuts them, changes each by an operation of trivial-augment, covers parts: for long training."""

    name: Literal["strong"]
    input_kinds = ("image",)
    of: tuple[ftrun.PartOf[ftrun.Augmentation], ...] = Field(
        (
            RandomResizedCrop(name="random-resized-crop", scale=(0.2, 1.0)),
            _FLIP,
            TrivialAugment(name="trivial-augment"),
            RandomErasing(name="random-erasing", p=0.25),
        ),
        min_length=1,
        description=_OF,
    )
