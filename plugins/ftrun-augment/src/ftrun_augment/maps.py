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


def affine(degrees: Tensor, factors: Tensor, shears: Tensor) -> Tensor:
    """Linear maps [B, 2, 2] that shear columns by degrees [B], scale by factors [B], then rotate, as in torchvision."""
    tilted = torch.eye(2, device=shears.device).repeat(len(shears), 1, 1)
    tilted[:, 0, 1] = -torch.deg2rad(shears).tan()
    return rotation(degrees) @ tilted * factors[:, None, None]


def shifted(linear: Tensor, right: Tensor, down: Tensor, size: tuple[int, int]) -> ftrun.Warp:
    """Maps about the centre, then shifts by parts [B] of the width and height, rounded to whole pixels."""
    height, width = size
    offsets = torch.stack([right * width, down * height], dim=1).round().long()
    return ftrun.Warp.linear(linear, size).then(ftrun.Warp.shifted(offsets, size))


def draw_corners(random: ftrun.SampleRandom, size: tuple[int, int], distortion: float, p: float) -> Tensor:
    """Where corners of images of a size (height, width) go: float32 [B, 4, 2], x and y, clockwise from the top left.

    With chance `p`, each comes in by whole pixels, uniform from none to `distortion` times half of the side.
    """
    height, width = size
    drawn = random.chance(p).long()[:, None]
    right, down = (random.integers(4, high=int(distortion * (side // 2)) + 1) * drawn for side in (width, height))
    x = torch.stack([right[:, 0], width - right[:, 1], width - right[:, 2], right[:, 3]], dim=1)
    y = torch.stack([down[:, 0], down[:, 1], height - down[:, 2], height - down[:, 3]], dim=1)
    return torch.stack([x, y], dim=2).float()
