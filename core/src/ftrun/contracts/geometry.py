"""Where pixels go: maps between images, as values that are composed, inverted and applied. No torch at import.

Coordinates are those of the plane that the pixels tile: x to the right and y down from the top left corner of an image,
in pixels. An image of W x H pixels covers 0 to W and 0 to H; the pixel in row i and column j is the square from (j, i)
to (j + 1, i + 1), its centre (j + 0.5, i + 0.5). So the corners of a picture of 640 x 480 resized to 320 x 240 go from
(0, 0) and (640, 480) to (0, 0) and (320, 240), and a box around the whole of it is (0, 0, 640, 480).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Size = tuple[int, int]
"""Height and width in pixels."""


class WarpForm(IntEnum):
    """What a map may do, known without its numbers. Of two maps one after the other, it is the larger form."""

    MIRRORED = 0
    """Leaves an image as it is, or mirrors it left to right."""
    EXACT = 1
    """Mirrors, and shifts by whole pixels: each pixel of the result is one of the source, or outside of it."""
    ALIGNED = 2
    """Scales and shifts along the axes: rows stay rows, columns columns."""
    AFFINE = 3
    """Rotates, shears: parallel lines stay parallel."""
    PROJECTIVE = 4
    """Moves an image as if it were seen from elsewhere: lines stay lines."""


@dataclass(frozen=True, eq=False)
class Warp:
    """A map from the pixels of one image to those of another, or of a batch to another one: affine, most often.

    Where its numbers lie on a GPU, nothing here waits for it.

    matrix: [2, 3], or [B, 2, 3] with a map for each sample: (x, y, 1) -> (x, y), invertible. Of the form PROJECTIVE
        [3, 3] or [B, 3, 3]: (x, y, 1) -> (x w, y w, w), w above 0 wherever the image is. float64, in which an image of
        100,000 pixels a side comes back to a millionth of a pixel; float32 on a device without it
    size: height and width of the result in pixels; None where results are of several sizes: they cannot be resampled
    form: what `matrix` may do at most; a smaller form is resampled more quickly
    """

    matrix: "Tensor"
    size: Size | None
    form: WarpForm = WarpForm.AFFINE

    @classmethod
    def identity(cls, size: Size, device: "torch.device | str" = "cpu") -> "Warp":
        """Return the map that leaves an image of this size as it is."""
        return cls.resized(size, size, device)

    @classmethod
    def resized(cls, source: Size, size: Size, device: "torch.device | str" = "cpu") -> "Warp":
        """Return the map of the whole of an image of size `source` to the whole of one of `size`."""
        import torch

        scale_y, scale_x = (new / old for new, old in zip(size, source, strict=True))
        form = WarpForm.MIRRORED if tuple(size) == tuple(source) else WarpForm.ALIGNED
        return cls(_constant(scale_x, 0, scale_y, torch.device(device)), size, form)

    @classmethod
    def mirrored(cls, mirrored: "Tensor", size: Size) -> "Warp":
        """Return the map that mirrors an image left to right where `mirrored`, bool [B], is true."""
        import torch

        mirror, same = _constant(-1, size[1], 1, mirrored.device), _constant(1, 0, 1, mirrored.device)
        return cls(torch.where(mirrored[:, None, None], mirror, same), size, WarpForm.MIRRORED)

    @classmethod
    def shifted(cls, offsets: "Tensor", size: Size) -> "Warp":
        """Return the map that shifts an image by whole pixels: `offsets`, int64 [B, 2], to the right and down."""
        matrix = _constant(1, 0, 1, offsets.device).repeat(len(offsets), 1, 1)
        matrix[:, :, 2] = offsets
        return cls(matrix, size, WarpForm.EXACT)

    @classmethod
    def cropped(cls, boxes: "Tensor", size: Size) -> "Warp":
        """Return the map of what is in each box, float [B, 4] as `boxes` takes them, stretched to the whole result."""
        boxes = _real(boxes)
        sides = boxes[:, 2:] - boxes[:, :2]
        matrix = boxes.new_zeros(len(boxes), 2, 3)
        for axis, side in enumerate((size[1], size[0])):
            matrix[:, axis, axis] = side / sides[:, axis]
            matrix[:, axis, 2] = -boxes[:, axis] * matrix[:, axis, axis]
        return cls(matrix, size, WarpForm.ALIGNED)

    @classmethod
    def linear(cls, linear: "Tensor", size: Size, form: WarpForm = WarpForm.AFFINE) -> "Warp":
        """Return the map that keeps the centre of an image of this size and moves all around it by `linear` [.., 2, 2].

        form: what `linear` may do at most, such as ALIGNED where it is diagonal
        """
        import torch

        linear = _real(linear)
        centre_x, centre_y = size[1] / 2, size[0] / 2
        moved = linear[..., 0] * centre_x + linear[..., 1] * centre_y
        shift_x, shift_y = (centre - each for centre, each in zip((centre_x, centre_y), moved.unbind(-1), strict=True))
        return cls(torch.cat([linear, torch.stack([shift_x, shift_y], -1)[..., None]], dim=-1), size, form)

    @classmethod
    def projected(cls, corners: "Tensor", size: Size) -> "Warp":
        """Return the map of the corners of an image of this size to `corners`: float [B, 4, 2], x and y.

        They are in the order top left, top right, bottom right, bottom left, and make a convex quadrilateral. After
        Heckbert, "Fundamentals of texture mapping and image warping", 1989, section 2.2.3.
        """
        import torch

        x, y = _real(corners).unbind(-1)
        (x0, x1, x2, x3), (y0, y1, y2, y3) = x.unbind(-1), y.unbind(-1)
        sum_x, sum_y = x0 - x1 + x2 - x3, y0 - y1 + y2 - y3
        right_x, down_x, right_y, down_y = x1 - x2, x3 - x2, y1 - y2, y3 - y2
        area = right_x * down_y - down_x * right_y
        g, h = (sum_x * down_y - down_x * sum_y) / area, (right_x * sum_y - sum_x * right_y) / area
        rows = [
            x1 - x0 + g * x1,
            x3 - x0 + h * x3,
            x0,
            y1 - y0 + g * y1,
            y3 - y0 + h * y3,
            y0,
            g,
            h,
            torch.ones_like(g),
        ]
        unit = torch.stack(rows, -1).reshape(-1, 3, 3)  # from the square of side 1
        sides = torch.stack([torch.full_like(g, size[1]), torch.full_like(g, size[0]), torch.ones_like(g)], -1)
        return cls(unit / sides[:, None], size, WarpForm.PROJECTIVE)

    def then(self, other: "Warp") -> "Warp":
        """Return this map and then the other, as one; a single map is that of each sample of the other's batch."""
        if max(self.form, other.form) is WarpForm.PROJECTIVE:
            return Warp(square(other.matrix) @ square(self.matrix), other.size, WarpForm.PROJECTIVE)
        moved = other.matrix[..., :2] @ self.matrix
        moved[..., 2] += other.matrix[..., 2]
        return Warp(moved, other.size, max(self.form, other.form))

    def inverse(self, size: Size | None = None) -> "Warp":
        """Return the map back; `size` is that of the image that this one is from, if it is known."""
        import torch

        if self.form is WarpForm.PROJECTIVE:  # the adjugate: a factor on all of it changes nothing
            first, second, third = self.matrix.unbind(-2)
            cross = torch.linalg.cross
            columns = [cross(second, third), cross(third, first), cross(first, second)]
            back = torch.stack(columns, -1) / (first * columns[0]).sum(-1)[..., None, None]
            return Warp(back, size, self.form)
        a, b, _, c, d, _ = self.matrix.flatten(-2).unbind(-1)
        linear = torch.stack([torch.stack([d, -b], dim=-1), torch.stack([-c, a], dim=-1)], dim=-2)
        linear = linear / (a * d - b * c)[..., None, None]
        return Warp(torch.cat([linear, -(linear @ self.matrix[..., 2:])], dim=-1), size, self.form)

    def points(self, points: "Tensor") -> "Tensor":
        """Return where points go: float [.., 2], x and y, of the dtype that they have.

        Maps of a batch, [B, 2, 3], take [B, .., 2]: those of each sample by its own map.
        """
        import torch

        a, b, tx, c, d, ty, *last = (_spread(each, points.ndim - 1) for each in self.matrix.flatten(-2).unbind(-1))
        x, y = points.to(self.matrix.dtype).unbind(-1)
        moved = torch.stack([a * x + b * y + tx, c * x + d * y + ty], dim=-1)
        if last:
            moved = moved / (last[0] * x + last[1] * y + last[2])[..., None]
        return moved.to(points.dtype)

    def boxes(self, boxes: "Tensor") -> "Tensor":
        """Return the boxes around what is in boxes, float [.., 4]: left, top, right, bottom (x0, y0, x1, y1).

        They are not cut to the result's size. A rotated box has a larger one around it, so that only maps of at most
        the form ALIGNED bring boxes back exactly. Maps of a batch, [B, 2, 3], take [B, .., 4].
        """
        import torch

        left, top, right, bottom = boxes.unbind(-1)
        x, y = torch.stack([left, right, right, left], dim=-1), torch.stack([top, top, bottom, bottom], dim=-1)
        moved = self.points(torch.stack([x, y], dim=-1))
        return torch.cat([moved.amin(-2), moved.amax(-2)], dim=-1)

    def of_items(self, lengths: "Tensor", total: int) -> "Warp":
        """Return the map of each item, [total, 2, 3], where sample number i has `lengths[i]` items (see Ragged)."""
        return replace(self, matrix=self.matrix.repeat_interleave(lengths, dim=0, output_size=total))

    def to(self, device: "torch.device") -> "Warp":
        """Return this map on a device, in the precision that it has."""
        return replace(self, matrix=_real(self.matrix, device))

    def __len__(self) -> int:
        return self.matrix.size(0)

    def __getitem__(self, index: "int | slice | Tensor") -> "Warp":
        """Return the map of one sample of a batch, or those of some."""
        return replace(self, matrix=self.matrix[index])


def stacked(warps: "Sequence[Warp]") -> Warp:
    """Return the maps of single images, to images of one size, as those of a batch."""
    import torch

    form = max(warp.form for warp in warps)
    return Warp(torch.stack([warp.matrix for warp in warps]), warps[0].size, form)


def _real(values: "Tensor", device: "torch.device | None" = None) -> "Tensor":
    import torch

    device = device or values.device
    if device.type == "mps":  # has no float64
        return values.to(torch.float32).to(device)
    return values.to(device, torch.float64, non_blocking=True)


def square(matrix: "Tensor") -> "Tensor":
    """Return a matrix of an affine map, [.., 2, 3], as [.., 3, 3]; one that is so already as it is."""
    import torch

    if matrix.shape[-2] == 3:
        return matrix
    last = torch.zeros_like(matrix[..., :1, :])
    last[..., 2] = 1
    return torch.cat([matrix, last], dim=-2)


@lru_cache(maxsize=64)
def _constant(scale_x: float, right: float, scale_y: float, device: "torch.device") -> "Tensor":
    """Return a matrix, not to be written to, [2, 3]: a GPU is not waited for where one is made again."""
    import torch

    matrix = torch.tensor([[scale_x, 0.0, right], [0.0, scale_y, 0.0]], dtype=torch.float64)
    return _real(matrix, device)


def _spread(number: "Tensor", dims: int) -> "Tensor":
    """Return one of the numbers of a batch, [B], so that it goes with what has `dims` dimensions, [B, ..]."""
    return number if number.ndim == 0 else number.reshape(number.shape + (1,) * (dims - number.ndim))
