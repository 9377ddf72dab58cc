"""Augmentations of images: flips, crops, rotation, colours, blur, erasing, mixing, and those that draw from a list."""

import ftrun
from ftrun_augment.automatic import RandAugment, TrivialAugment
from ftrun_augment.coloring import AutoContrast, ColorJitter, GaussianBlur, Grayscale, RandomErasing
from ftrun_augment.mixing import Cutmix, Mixup
from ftrun_augment.moving import (
    Affine,
    HorizontalFlip,
    Perspective,
    RandomCrop,
    RandomResizedCrop,
    Rotate,
    Scale,
    VerticalFlip,
)
from ftrun_augment.sets import Light, Medium, Strong

FTRUN_API = "2.0"

_MOVING = [HorizontalFlip, VerticalFlip, RandomCrop, RandomResizedCrop, Rotate, Scale, Affine, Perspective]
_COLORING = [ColorJitter, AutoContrast, Grayscale, GaussianBlur, RandomErasing]


@ftrun.hookimpl
def ftrun_augmentations() -> list[type[ftrun.Augmentation]]:
    return [*_MOVING, *_COLORING, TrivialAugment, RandAugment, Mixup, Cutmix, Light, Medium, Strong]
