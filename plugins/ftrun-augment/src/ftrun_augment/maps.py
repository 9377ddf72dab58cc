"""Where augmentations move pixels: maps drawn for each image. None of them waits for the device."""

import math

import torch
from torch import Tensor

import ftrun


def draw_boxes(
    random: ftrun.SampleRandom, size: tuple[int, int], scale: tuple[float, float], ratio: tuple[float, float]
) -> Tensor:
    """Boxes inside an image of a size (height, width): float32 [B, 4], left, top, right, bottom in pixels.

    Area uniform in `scale`, logarithm of width / height uniform in that of `ratio`, place uniform. Of ten draws the
    first that fits counts; where none does, the first one is cut to the image.
    """
    height, width = size
    low, high = map(math.log, ratio)
    areas = random.uniform(10, low=scale[0], high=scale[1]) * height * width
    ratios = random.uniform(10, low=low, high=high).exp()
    heights, widths = (areas / ratios).sqrt(), (areas * ratios).sqrt()
    fits = (heights <= height) & (widths <= width)
    first = fits.int().argmax(dim=1, keepdim=True)
    tall, wide = heights.gather(1, first).clamp(max=height), widths.gather(1, first).clamp(max=width)
    place = random.uniform(2)
    top, left = place[:, :1] * (height - tall), place[:, 1:] * (width - wide)
    return torch.cat([left, top, left + wide, top + tall], dim=1)


def rotation(degrees: Tensor) -> Tensor:
    """Linear maps [B, 2, 2] that rotate by so many degrees [B], clockwise on the screen, where y is down."""
    angles = torch.deg2rad(degrees)
    cosines, sines = angles.cos(), angles.sin()
    return torch.stack([torch.stack([cosines, -sines], dim=1), torch.stack([sines, cosines], dim=1)], dim=1)
