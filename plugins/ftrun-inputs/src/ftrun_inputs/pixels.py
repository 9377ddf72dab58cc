"""Raw images [B, C, H, W] on their way to the size, depth and channels that a net takes. Needs no torch at import."""

import math
from typing import TYPE_CHECKING

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


def crop_of_resized(images: "Tensor", resized: tuple[int, int], size: tuple[int, int], interpolation: str) -> "Tensor":
    """Return the centre, of `size`, of the images, resized to `resized`: uint8 [B, C, *size].

    Of a strip, which would become very long, only what its centre comes from is resized.
    """
    if resized[0] * resized[1] > _LONG * size[0] * size[1]:
        reach = 2 if interpolation == "bicubic" else 1
        for axis in (2, 3):
            images, length = _middle(images, axis, resized[axis - 2], size[axis - 2], reach)
            resized = (length, resized[1]) if axis == 2 else (resized[0], length)
    images = _resized(images, resized, interpolation)
    top, left = ((resized[axis] - size[axis]) // 2 for axis in (0, 1))
    return images[:, :, top : top + size[0], left : left + size[1]]


def _middle(images: "Tensor", axis: int, resized: int, size: int, reach: int) -> "tuple[Tensor, int]":
    """Return the middle of images along an axis, and how long it is when resized, so that its scale stays the same.

    resized: how long the whole would be; size: how much of its middle is needed
    reach: pixels on each side that one depends on, at the coarser one of the two scales
    """
    length = images.shape[axis]
    scale = length / resized
    margin = math.ceil(reach * max(scale, 1)) + 1
    cut = max(math.floor((resized - size) / 2 * scale) - margin, 0)
    kept = length - 2 * cut
    return images.narrow(axis, cut, kept), max(round(kept / scale), size)


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
