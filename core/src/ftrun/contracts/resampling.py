"""Images, masks and maps, moved by a warp. Imports no torch before it is used.

Nothing here waits for a GPU: how much work there is follows from shapes and the warp's form.
"""

from typing import TYPE_CHECKING

from ftrun.contracts.geometry import Size, Warp, WarpForm

if TYPE_CHECKING:
    from torch import Tensor

_OUTSIDE = 3.0
"""A place outside an image, whose pixels are -1 to 1 in grid_sample's terms: all that is read there is 0."""


def resample(images: "Tensor", warp: Warp, *, nearest: bool = False, fill: float = 0) -> "Tensor":
    """Return images moved by a warp: [B, C, *warp.size], of the dtype that they have.

    A pixel of the result whose centre comes from outside the image is `fill`. Any other one is, under a warp of at most
    the form EXACT, a pixel of the image; else it is interpolated between the four pixels around its place (bilinear),
    where the image's outermost ones go on outwards, and rounded where the dtype is one of integers. Nothing is smoothed
    first (no antialiasing): down to half the size each pixel of the image still counts, below that some are not seen.

    images: [B, C, H, W]
    warp: the map from these images to the result, of B samples or one for all
    nearest: whether to take the nearest pixel instead of interpolating, as where the values are classes
    """
    if warp.size is None:
        raise ValueError("a warp to images of several sizes cannot resample a batch")
    x, y = _sources(warp, warp.size)
    if warp.form is WarpForm.MIRRORED:
        return images.gather(3, x.floor().long()[:, None].expand_as(images))
    if nearest or warp.form is WarpForm.EXACT:
        return _picked(images, x, y, fill)
    return _interpolated(images, x, y, fill)


def _picked(images: "Tensor", x: "Tensor", y: "Tensor", fill: float) -> "Tensor":
    """Return a pixel of the image for each of the result's, which come from x and y."""
    count, channels, height, width = images.shape
    columns, rows = x.floor().long(), y.floor().long()
    column, row = columns.clamp(0, width - 1), rows.clamp(0, height - 1)
    places = row * width + column
    flat = places.flatten(1)[:, None].expand(count, channels, -1)
    picked = images.reshape(count, channels, -1).gather(2, flat).reshape(count, channels, *places.shape[1:])
    inside = (column == columns).byte() * (row == rows).byte()  # a mask of bytes, since bools are ten times as slow
    return picked.masked_fill_(inside[:, None] == 0, fill) if fill else picked.mul_(inside[:, None])


def _interpolated(images: "Tensor", x: "Tensor", y: "Tensor", fill: float) -> "Tensor":
    """Return what is between the image's pixels for each of the result's, which come from x and y."""
    import torch
    from torch.nn import functional as F

    pixels = images.to(torch.promote_types(images.dtype, torch.float32))
    if fill:
        pixels = pixels - fill  # what grid_sample reads outside is 0
    height, width = images.shape[2:]
    across, down = (_in_grid(each, side).to(pixels.dtype) for each, side in ((x, width), (y, height)))
    sides = torch.broadcast_tensors(across, down)  # type: ignore[no-untyped-call]
    grid = torch.stack(sides, dim=-1).expand(len(images), -1, -1, -1)
    moved = F.grid_sample(pixels, grid, padding_mode="zeros", align_corners=False)
    if fill:
        moved = moved + fill
    return moved if images.dtype.is_floating_point else moved.round_().to(images.dtype)


def _sources(warp: Warp, size: Size) -> "tuple[Tensor, Tensor]":
    """Return x and y, in the source, of each of the result's centres: [B, 1, W] and [B, H, 1], or both [B, H, W]."""
    import torch

    height, width = size
    matrix = warp.matrix.reshape(-1, 2, 3)
    columns, rows = (torch.arange(side, device=matrix.device, dtype=matrix.dtype) + 0.5 for side in (width, height))
    rows = rows[:, None]
    if warp.form is not WarpForm.AFFINE:
        x = (columns - matrix[:, 0, 2, None, None]) / matrix[:, 0, 0, None, None]
        return x, (rows - matrix[:, 1, 2, None, None]) / matrix[:, 1, 1, None, None]
    back = warp.inverse().matrix.reshape(-1, 2, 3)[..., None, None]
    # Sums for each pixel are in float32: a ten-thousandth of a pixel in an image of 2,000.
    x, y = (
        (back[:, axis, 0] * columns).float() + (back[:, axis, 1] * rows + back[:, axis, 2]).float() for axis in (0, 1)
    )
    return x, y


def _in_grid(places: "Tensor", side: int) -> "Tensor":
    """Return places, 0 to `side`, in grid_sample's terms, not beyond the outermost centres; or far outside."""
    inside = (places >= 0) & (places <= side)
    rim = 1 - 1 / side
    return (places * (2 / side) - 1).clamp_(-rim, rim).masked_fill_(~inside, _OUTSIDE)
