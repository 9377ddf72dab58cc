"""The operations that trivial-augment and rand-augment draw from: torchvision's, with its magnitudes."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import torch
from torch import Tensor

import ftrun
from ftrun_augment import filters, levels, maps

BINS = 31
"""Magnitudes of each operation, from none to the largest."""

_AT_ONCE = 2**18
"""Levels that each thread of a CPU changes at once: what lies between fits into its cache."""


class Operation(IntEnum):
    """In the order of torchvision's."""

    IDENTITY = 0
    SHEAR_X = 1
    SHEAR_Y = 2
    TRANSLATE_X = 3
    TRANSLATE_Y = 4
    ROTATE = 5
    BRIGHTNESS = 6
    COLOR = 7
    CONTRAST = 8
    SHARPNESS = 9
    POSTERIZE = 10
    SOLARIZE = 11
    AUTO_CONTRAST = 12
    EQUALIZE = 13


@dataclass(frozen=True)
class Space:
    """The largest magnitudes.

    shear: shift of a row for each row, in pixels
    translate: in pixels, or, up to 1, in parts of the image's side
    degrees: of rotation
    factor: change of the factor on brightness, colour, contrast and sharpness
    bits: that posterizing takes off the eight
    """

    shear: float
    translate: float
    degrees: float
    factor: float
    bits: int


@dataclass(frozen=True)
class Drawn:
    """Operations for each of B images, applied in order: int64 [B, N] each.

    signs: 0 for as much more, 1 for as much less, of operations that have a direction
    """

    operations: Tensor
    bins: Tensor
    signs: Tensor


def draw(random: ftrun.SampleRandom, count: int, magnitude: int | None = None) -> Drawn:
    """Draw `count` operations for each image. magnitude: the bin of each of them, 0 to 30; drawn too if not given."""
    bins = BINS if magnitude is None else 1
    numbers = random.integers(count, high=2 * bins * len(Operation))
    operations, rest = numbers % len(Operation), numbers // len(Operation)
    signs, drawn = rest % 2, rest // 2
    return Drawn(operations, drawn if magnitude is None else torch.full_like(drawn, magnitude), signs)


def warp(drawn: Drawn, space: Space, size: tuple[int, int]) -> ftrun.Warp:
    """Return where pixels go by the operations that move them: one map for all N of an image."""
    table = _matrices(space, size, drawn.operations.device)
    first, *others = (
        ftrun.Warp(table[each], size)
        for each in zip(drawn.operations.unbind(1), drawn.bins.unbind(1), drawn.signs.unbind(1), strict=True)
    )
    for other in others:
        first = first.then(other)
    return first


def change(images: Tensor, drawn: Drawn, space: Space) -> Tensor:
    """Return images uint8 [B, C, H, W] after the operations that move no pixels, one after the other."""
    table = _magnitudes(space, images.device)
    for operations, bins, signs in zip(*(each.unbind(1) for each in vars(drawn).values()), strict=True):
        magnitudes = table[operations, bins, signs]
        images = (_of_each if images.device.type == "cpu" else _of_all)(images, operations, magnitudes)
    return images


def _of_each(images: Tensor, operations: Tensor, magnitudes: Tensor) -> Tensor:
    """Apply each operation to its images alone: their number has to be known, for which a GPU would be waited for."""
    kinds = (operations - _STILL).clamp_(min=0)
    order = kinds.argsort(stable=True)
    counts = kinds.bincount(minlength=len(CHANGES) + 1).tolist()
    still, *groups = images.index_select(0, order).split(counts)
    amounts, at = magnitudes.index_select(0, order), len(still)
    portion, changed = max(_AT_ONCE // images.shape[1:].numel(), 1) * torch.get_num_threads(), [still]
    for change, group in zip(CHANGES.values(), groups, strict=True):
        for start in range(0, len(group), portion):
            part = group[start : start + portion]
            changed.append(change(part, amounts[at : at + len(part)]))
            at += len(part)
    places = torch.empty_like(order).scatter_(0, order, torch.arange(len(order)))
    return torch.cat(changed).index_select(0, places)


def _of_all(images: Tensor, operations: Tensor, magnitudes: Tensor) -> Tensor:
    """Apply every operation to all images, and keep of each what was drawn."""
    changed = images
    for operation, function in CHANGES.items():
        chosen = operations == operation
        amounts = torch.where(chosen, magnitudes, 1)
        changed = torch.where(chosen[:, None, None, None], function(images, amounts), changed)
    return changed


CHANGES: dict[Operation, Callable[[Tensor, Tensor], Tensor]] = {
    Operation.BRIGHTNESS: levels.brightness,
    Operation.COLOR: levels.saturation,
    Operation.CONTRAST: levels.contrast,
    Operation.SHARPNESS: filters.sharpness,
    Operation.POSTERIZE: levels.posterize,
    Operation.SOLARIZE: levels.solarize,
    Operation.AUTO_CONTRAST: lambda images, _: levels.autocontrast(images),
    Operation.EQUALIZE: lambda images, _: levels.equalize(images),
}
"""What changes images, by what was drawn for each, float32 [B]."""

_STILL = len(Operation) - len(CHANGES) - 1
"""The last operation that changes no colours."""


@lru_cache(maxsize=8)
def _magnitudes(space: Space, device: torch.device) -> Tensor:
    """Return what `CHANGES` take: float32 [14, 31, 2], by operation, bin and sign."""
    table = torch.zeros(len(Operation), BINS, 2)
    steps = torch.linspace(0, space.factor, BINS)
    factors = torch.stack([1 + steps, 1 - steps], dim=1)
    for operation in (Operation.BRIGHTNESS, Operation.COLOR, Operation.CONTRAST, Operation.SHARPNESS):
        table[operation] = factors
    table[Operation.POSTERIZE] = (8 - torch.arange(BINS) / ((BINS - 1) / space.bits)).round()[:, None]
    table[Operation.SOLARIZE] = 255 * torch.linspace(1, 0, BINS)[:, None]
    return table.to(device)


@lru_cache(maxsize=8)
def _matrices(space: Space, size: tuple[int, int], device: torch.device) -> Tensor:
    """Return maps [14, 31, 2, 2, 3], by operation, bin and sign; those that move nothing keep all in place."""
    height, width = size
    table = torch.eye(2, 3, dtype=torch.float64).repeat(len(Operation), BINS, 2, 1, 1)
    shears = _signed(torch.linspace(0, space.shear, BINS))
    table[Operation.SHEAR_X, :, :, 0, 1] = -shears
    table[Operation.SHEAR_Y, :, :, 1, 0] = -shears
    for operation, axis, side in ((Operation.TRANSLATE_X, 0, width), (Operation.TRANSLATE_Y, 1, height)):
        most = space.translate * (side if space.translate <= 1 else 1)
        table[operation, :, :, axis, 2] = _signed(torch.linspace(0, most, BINS).trunc())
    angles = _signed(torch.linspace(0, space.degrees, BINS))
    turned = ftrun.Warp.linear(maps.rotation(-angles.flatten()), size)
    table[Operation.ROTATE] = turned.matrix.unflatten(0, (BINS, 2))
    return ftrun.Warp(table, size).to(device).matrix


def _signed(values: Tensor) -> Tensor:
    return torch.stack([values, -values], dim=1).double()
