"""The levels of a net's features: which of its maps they are, and what they measure."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import torch
from torch import Tensor

from ftrun.contracts.stages import evaluation_mode
from ftrun.contracts.trees import moved

if TYPE_CHECKING:
    from ftrun.contracts.net import Net


class Level(NamedTuple):
    """A level of a net's features, [B, channels, H, W]; of tokens, [B, T, channels].

    stride: pixels of the input from one cell to the next; None of tokens
    """

    channels: int
    stride: int | None

    @classmethod
    def of(cls, features: Tensor, x: Any) -> Self:
        """Return that of `features`, which a net made of `x`."""
        if features.ndim != 4 or not isinstance(x, Tensor):
            return cls(features.shape[-1], None)
        stride = x.shape[-1] / features.shape[-1]  # but for borders, which are filled up or cut off
        power = 2 ** round(math.log2(stride))
        return cls(features.shape[1], power if 0.8 < stride / power < 1.25 else round(stride))


def distinct_levels(maps: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """Return the last map [B, C, H, W] of each resolution, of maps that follow each other from high to low.

    A resolution is another one where a side is two thirds of what it was, or less: not where a border is cut off.
    """
    levels: list[Tensor] = []
    for each in maps:
        if levels and not _reduced(levels[-1], each):
            levels.pop()
        levels.append(each)
    return tuple(levels)


def _reduced(before: Tensor, after: Tensor) -> bool:
    sides = zip(before.shape[2:], after.shape[2:], strict=True)
    return any(2 * larger >= 3 * smaller for larger, smaller in sides)


@torch.no_grad()
def measured(net: "Net") -> tuple[Level, ...]:
    """Run a net in evaluation mode on an example of its input; return the levels that heads outside `model` get."""
    device = next((each.device for each in net.parameters()), torch.device("cpu"))
    x = net.prepare(moved(net.input.collate(net.input.example(1)), device))
    with evaluation_mode(net):
        maps = net.pyramid(x)
        maps = maps if net.neck is None else net.neck(maps)
    return tuple(Level.of(each, x) for each in maps)
