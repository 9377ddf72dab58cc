"""Raw images [B, C, H, W] on their way to the size, depth and channels that a net takes. Needs no torch at import."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ftrun import Warp, WarpForm

if TYPE_CHECKING:
    from torch import Tensor

_LONG = 32
"""An image is resized as a whole before it is cropped, unless so many times the crop would have to be made of it."""

_GREY = (19595, 38470, 7471)  # of 65536: what red, green and blue give to grey (ITU-R BT.601), as Pillow counts


def is_image(images: "Tensor") -> bool:
    """Return whether the values are those of images, uint8 or uint16."""
    import torch

    return images.dtype in (torch.uint8, torch.uint16)


def in_8_bits(images: "Tensor", white: int | None) -> "Tensor":
    """Return images as uint8, from uint8 or uint16; `white`, 65535 if None, becomes 255, as does what is above it."""
    import torch

    if images.dtype == torch.uint8:
        return images
    return (images.float() * 255 / (white or 65535)).round_().clamp_(max=255).to(torch.uint8)


def in_channels(images: "Tensor", channels: int) -> "Tensor":
    """Return colour as grey for a net of one channel; whatever else as it is. uint8 [B, C, H, W]"""
    if channels != 1 or images.shape[1] != 3:
        return images
    red, green, blue = images.int().unbind(1)
    grey = (_GREY[0] * red + _GREY[1] * green + _GREY[2] * blue + 0x8000) >> 16
    return grey.to(images.dtype)[:, None]


class Cut(NamedTuple):
    """Which middle part of an image is resized, to what size, and where in it the crop begins: rows, then columns."""

    cut: tuple[int, int]
    kept: tuple[int, int]
    resized: tuple[int, int]
    corner: tuple[int, int]

    def warp(self, size: tuple[int, int]) -> Warp:
        """Return the map from the image's pixels to those of the crop, of `size`."""
        part = Warp.resized(self.kept, self.resized)
        if not any((*self.cut, *self.corner)):
            return replace(part, size=size)
        matrix = part.matrix.clone()
        for axis in (0, 1):  # x, y
            scale = matrix[axis, axis].item()
            matrix[axis, 2] = -self.cut[1 - axis] * scale - self.corner[1 - axis]
        return Warp(matrix, size, WarpForm.ALIGNED)


def cut(image: tuple[int, int], resized: tuple[int, int], size: tuple[int, int], interpolation: str) -> Cut:
    """Return how the centre, of `size`, is cut out of an image that would be `resized` as a whole.

    Of a strip, which would become very long, only what its centre comes from is resized.
    """
    middles = [(0, kept, length) for kept, length in zip(image, resized, strict=True)]
    if resized[0] * resized[1] > _LONG * size[0] * size[1]:
        reach = 2 if interpolation == "bicubic" else 1
        middles = [_middle(*lengths, reach) for lengths in zip(image, resized, size, strict=True)]
    (top, height, tall), (left, width, wide) = middles
    return Cut((top, left), (height, width), (tall, wide), ((tall - size[0]) // 2, (wide - size[1]) // 2))


def crop_of_resized(images: "Tensor", cut: Cut, size: tuple[int, int], interpolation: str) -> "Tensor":
    """Return the part of the images that is cut out, resized: uint8 [B, C, *size]."""
    for axis in (0, 1):
        images = images.narrow(axis + 2, cut.cut[axis], cut.kept[axis])
    top, left = cut.corner
    return _resized(images, cut.resized, interpolation)[:, :, top : top + size[0], left : left + size[1]]


def _middle(length: int, resized: int, size: int, reach: int) -> tuple[int, int, int]:
    """Return how much is cut off before the middle of an image along an axis, how long that is, and how long resized.

    length, resized: of the whole; size: how much of its middle is needed
    reach: pixels on each side that one depends on, at the coarser one of the two scales
    """
    scale = length / resized
    margin = math.ceil(reach * max(scale, 1)) + 1
    off = max(math.floor((resized - size) / 2 * scale) - margin, 0)
    kept = length - 2 * off
    return off, kept, max(round(kept / scale), size)


def _resized(images: "Tensor", size: tuple[int, int], interpolation: str) -> "Tensor":
    from torch.nn import functional as F

    if size == tuple(images.shape[2:]):
        return images
    if interpolation == "nearest":
        return F.interpolate(images, size=size, mode="nearest-exact")
    if size[1] == 1:  # torch's kernel for uint8 gives other values there, or stops (2.15)
        resized = F.interpolate(images.float(), size=size, mode=interpolation, antialias=True)
        return resized.round_().clamp_(0, 255).to(images.dtype)
    return F.interpolate(images, size=size, mode=interpolation, antialias=True)
