"""Images, masks and maps, moved by a warp. Imports no torch before it is used.

Nothing here waits for a GPU: how much work there is follows from shapes and the warp's form.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from ftrun.contracts.geometry import Size, Warp, WarpForm, square

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_OUTSIDE = 3.0
"""A place outside an image, whose pixels are -1 to 1 in grid_sample's terms: all that is read there is 0."""

_AT_ONCE = 2**18
"""Numbers of images that each thread of a CPU interpolates at once: what lies between fits into its cache."""


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
    if images.device.type == "cpu" and not images.dtype.is_floating_point:
        return _in_parts(images, warp, nearest=nearest, fill=fill)
    return _moved(images, warp, nearest=nearest, fill=fill)


def _in_parts(images: "Tensor", warp: Warp, *, nearest: bool, fill: float) -> "Tensor":
    """Return images of integers moved, each in the way that its own map allows: the pixels are the same."""
    import torch

    size = warp.size
    assert size is not None
    warp = replace(warp, matrix=warp.matrix.expand(len(images), -1, -1))
    if warp.form <= WarpForm.EXACT:
        return _placed(images, warp.matrix, size, fill)
    others = (~_moves_whole_pixels(warp.matrix)).nonzero().flatten()
    portion = max(_AT_ONCE // max(images.shape[1:].numel(), 1), 1) * torch.get_num_threads()
    portions = [others[start : start + portion] for start in range(0, len(others), portion)]
    moved = [_moved(images.index_select(0, some), warp[some], nearest=nearest, fill=fill) for some in portions]
    if moved and len(others) == len(images):
        return torch.cat(moved)
    result = _placed(images, warp.matrix, size, fill)  # those of others too, which is less to do than to leave them out
    for places, some in zip(portions, moved, strict=True):
        for place, image in zip(places.tolist(), some, strict=True):
            result[place] = image
    return result


def _moves_whole_pixels(matrix: "Tensor") -> "Tensor":
    """Return which maps, [B, 2, 3] or [B, 3, 3], do what the form EXACT may at most: bool [B]."""
    import torch

    kept = torch.eye(3, dtype=matrix.dtype)[: matrix.shape[1]]
    linear = (matrix[..., :2].abs() == kept[:, :2]).all(2).all(1)
    return linear & (matrix[:, :2, 2] == matrix[:, :2, 2].round()).all(1) & (matrix[:, 2:, 2] == 1).all(1)


def _placed(images: "Tensor", matrix: "Tensor", size: Size, fill: float) -> "Tensor":
    """Return images whose maps, [B, 2, 3], only mirror and shift by whole pixels: rows are copied as they are."""
    import torch

    count, channels, height, width = images.shape
    tall, wide = size
    mirrored, upside = matrix[:, 0, 0] < 0, matrix[:, 1, 1] < 0
    right, down = matrix[:, :2, 2].round().long()[..., None].unbind(1)
    right = (right - mirrored[:, None] * width).clamp(-width, wide)
    lines, columns = torch.arange(tall), torch.arange(wide) - right
    rows = torch.where(upside[:, None], down - 1 - lines, lines - down)
    # Each row of the result begins somewhere in the row of all pixels, and what it has of others' rows is then filled.
    margin = images.new_zeros(wide)
    others = images.index_select(0, mirrored.nonzero().flatten()).flip(3)
    pixels = torch.cat([margin, images.reshape(-1), others.reshape(-1), margin])
    numbers = torch.where(mirrored, count - 1 + mirrored.cumsum(0), torch.arange(count))
    planes = numbers[:, None, None] * channels + torch.arange(channels)[:, None]
    begins = (planes * height + rows.clamp(0, height - 1)[:, None]) * width + (wide - right)[:, None]
    windows = pixels.as_strided((len(pixels) - wide + 1, wide), (1, 1))
    moved = windows.index_select(0, begins.flatten()).view(count, channels, tall, wide)
    high, across = ((rows >= 0) & (rows < height)).byte(), ((columns >= 0) & (columns < width)).byte()
    inside = (high[:, :, None] * across[:, None])[:, None]  # of bytes, since bools are ten times as slow
    return moved.masked_fill_(inside == 0, fill) if fill else moved.mul_(inside)


def _moved(images: "Tensor", warp: Warp, *, nearest: bool, fill: float) -> "Tensor":
    """Return images moved by maps of the form that they have, whose numbers nobody has to know."""
    assert warp.size is not None
    if warp.form is WarpForm.MIRRORED:
        x, _ = _sources(warp, warp.size)
        return images.gather(3, x.floor().long()[:, None].expand_as(images))
    if nearest or warp.form is WarpForm.EXACT:
        return _picked(images, *_sources(warp, warp.size), fill)
    return _interpolated(images, warp, fill)


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


def _interpolated(images: "Tensor", warp: Warp, fill: float) -> "Tensor":
    """Return what is between the image's pixels for each of the result's."""
    import torch
    from torch.nn import functional as F

    pixels = images.to(torch.promote_types(images.dtype, torch.float32))
    if fill:
        pixels = pixels - fill  # what grid_sample reads outside is 0
    grid = _grid(warp, (images.shape[2], images.shape[3]), pixels.dtype).expand(len(images), -1, -1, -1)
    moved = F.grid_sample(pixels, grid, padding_mode="zeros", align_corners=False)
    if fill:
        moved = moved + fill
    if images.dtype is torch.uint8:
        return moved.round_().to(torch.int16).to(torch.uint8)  # on a CPU, a third of the time that one step takes
    return moved if images.dtype.is_floating_point else moved.round_().to(images.dtype)


def _grid(warp: Warp, source: Size, dtype: "torch.dtype") -> "Tensor":
    """Return where the result's pixels come from in grid_sample's terms, -1 to 1 in the source: [B, H, W, 2].

    What is between the image's rim and its outermost centres becomes that of these; what is outside goes far out.
    """
    import torch

    assert warp.size is not None
    if warp.form <= WarpForm.ALIGNED:
        places = zip(_sources(warp, warp.size), reversed(source), strict=True)
        sides = torch.broadcast_tensors(*(_in_grid(each, side).to(dtype) for each, side in places))  # type: ignore[no-untyped-call]
        return torch.stack(sides, dim=-1)
    back = square(warp.inverse().matrix).reshape(-1, 3, 3)
    w = back[:, 2:]
    scale = torch.stack([torch.full_like(back[0, 0, 0], 2 / side) for side in reversed(source)])
    across, down = (torch.arange(side, device=back.device, dtype=back.dtype) + 0.5 for side in reversed(warp.size))
    # Sums for each pixel are in float32: a ten-thousandth of a pixel in an image of 2,000.
    grid = _sums(back[:, :2] * scale[:, None] - w, across, down, dtype)  # 2 / side * place - 1
    if warp.form is WarpForm.PROJECTIVE:
        grid /= _sums(w, across, down, dtype)
    away = (grid - grid.clamp(-1, 1)).sign_()  # no mask: on a CPU, bools take ten times as long
    for axis, side in enumerate(reversed(source)):
        grid[..., axis].clamp_(1 / side - 1, 1 - 1 / side)
    return grid.add_(away, alpha=_OUTSIDE)


def _in_grid(places: "Tensor", side: int) -> "Tensor":
    """Return places, 0 to `side`, in grid_sample's terms, not beyond the outermost centres; or far outside."""
    inside = (places >= 0) & (places <= side)
    rim = 1 - 1 / side
    return (places * (2 / side) - 1).clamp_(-rim, rim).masked_fill_(~inside, _OUTSIDE)


def _sums(rows: "Tensor", across: "Tensor", down: "Tensor", dtype: "torch.dtype") -> "Tensor":
    """Return the rows of matrices, [B, N, 3], times (x, y, 1) for each pixel: [B, H, W, N]."""
    by_column = (rows[..., 0] * across[:, None, None]).transpose(0, 1)  # [B, W, N]
    by_row = (rows[..., 1] * down[:, None, None] + rows[..., 2]).transpose(0, 1)  # [B, H, N]
    return by_column.to(dtype)[:, None] + by_row.to(dtype)[:, :, None]


def _sources(warp: Warp, size: Size) -> "tuple[Tensor, Tensor]":
    """Return x and y, in the source, of each of the result's centres: [B, 1, W] and [B, H, 1], or both [B, H, W]."""
    import torch

    height, width = size
    matrix = warp.matrix.reshape(-1, *warp.matrix.shape[-2:])
    columns, rows = (torch.arange(side, device=matrix.device, dtype=matrix.dtype) + 0.5 for side in (width, height))
    rows = rows[:, None]
    if warp.form <= WarpForm.ALIGNED:
        x = (columns - matrix[:, 0, 2, None, None]) / matrix[:, 0, 0, None, None]
        return x, (rows - matrix[:, 1, 2, None, None]) / matrix[:, 1, 1, None, None]
    back = warp.inverse().matrix
    back = back.reshape(-1, *back.shape[-2:])[..., None, None]
    # Sums for each pixel are in float32: a ten-thousandth of a pixel in an image of 2,000.
    x, y, *w = (
        (back[:, axis, 0] * columns).float() + (back[:, axis, 1] * rows + back[:, axis, 2]).float()
        for axis in range(back.shape[1])
    )
    return (x / w[0], y / w[0]) if w else (x, y)
