"""Rectangles of images: drawn for each, covered. None of it waits for the device."""

import math
from typing import Literal

import torch
from torch import Tensor

import ftrun


def draw_erased(
    random: ftrun.SampleRandom, size: tuple[int, int], scale: tuple[float, float], ratio: tuple[float, float], p: float
) -> Tensor:
    """Boxes inside images of a size (height, width): int64 [B, 4], left, top, right, bottom; some by chance `p`.

    Area uniform in `scale`, logarithm of height / width uniform in that of `ratio`, place uniform, in whole pixels. Of
    ten draws the first that is smaller than the image on both sides counts. Where none is, as where chance does not
    have it, the box is empty.
    """
    height, width = size
    low, high = map(math.log, ratio)
    areas = random.uniform(10, low=scale[0], high=scale[1]) * height * width
    ratios = random.uniform(10, low=low, high=high).exp()
    heights, widths = (areas * ratios).sqrt().round(), (areas / ratios).sqrt().round()
    fits = (heights < height) & (widths < width)
    first = fits.byte().argmax(dim=1, keepdim=True)
    tall, wide = (each.gather(1, first).flatten().long() for each in (heights, widths))
    place, chance = random.uniform(2), random.chance(p)
    erased = chance & fits.any(dim=1)
    top, left = _within(place[:, 0], height - tall), _within(place[:, 1], width - wide)
    boxes = torch.stack([left, top, left + wide, top + tall], dim=1)
    return boxes * erased[:, None]


def draw_pasted(kept: Tensor, centres: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes in images of a size (height, width): int64 [N, 4], left, top, right, bottom.

    kept: what part of the area is not in the box, [N]; centres: of boxes, across and down, [N, 2], 0 to 1
    """
    height, width = size
    halves = 0.5 * (1 - kept).sqrt()
    edges = []
    for axis, side in enumerate((width, height)):
        centre, half = (centres[:, axis] * side).long(), (halves * side).long()
        edges += [(centre - half).clamp(min=0), (centre + half).clamp(max=side)]
    left, right, top, bottom = edges
    return torch.stack([left, top, right, bottom], dim=1)


def covered(images: Tensor, boxes: Tensor, value: int | Literal["mean"]) -> Tensor:
    """Return images uint8 [B, C, H, W] whose boxes, [B, 4], are of one level, or of the image's mean colour."""
    inside = within(boxes, (images.shape[2], images.shape[3]))
    if value != "mean":
        return images.masked_fill(inside, value)
    means = images.float().mean(dim=(2, 3), keepdim=True).round_().to(torch.uint8)
    return torch.where(inside, means, images)


def within(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Return whether the pixels of images of a size (height, width) lie in boxes, [B, 4]: bool [B, 1, H, W]."""
    left, top, right, bottom = boxes[:, :, None].unbind(1)
    rows, columns = (torch.arange(side, device=boxes.device) for side in size)
    across, down = (columns >= left) & (columns < right), (rows >= top) & (rows < bottom)
    return (down[:, :, None] & across[:, None, :])[:, None]


def _within(unit: Tensor, room: Tensor) -> Tensor:
    """Return whole numbers from 0 to `room`, inclusive, of numbers from 0 to 1."""
    return (unit * (room + 1)).long().clamp(min=0).minimum(room.clamp(min=0))
