"""What options of augmentations have in common, and what these build."""

from collections.abc import Callable
from typing import Annotated

from pydantic import Field

import ftrun

Change = Callable[[ftrun.Batch, ftrun.SampleRandom], ftrun.Batch]
Draw = Callable[[ftrun.SampleRandom, tuple[int, int]], ftrun.Warp]
Chance = Annotated[float, Field(ge=0, le=1)]


def in_order(bounds: tuple[float, float]) -> tuple[float, float]:
    """Return two bounds. Raises ValueError where the first is above the second."""
    if bounds[0] > bounds[1]:
        raise ValueError("the first bound must not be above the second")
    return bounds
