"""Sampler `template`: a random part of the training samples in each epoch.

A sampler says which training samples an epoch takes, and in which order. It is a pure
function of seed and epoch: so there is nothing to save, and a resumed run goes on with
the samples that come next.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import ftrun
from pydantic import Field

if TYPE_CHECKING:  # for type checkers alone: ftrun lists and checks parts without torch
    from torch import Tensor

FTRUN_API = "2.0"  # what it was written for, so that a later ftrun can tell


class Template(ftrun.Sampler):
    """Shorter epochs, of another part of the samples each."""

    name: Literal["template"]
    part: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Part of the training samples that an epoch takes.",
    )

    def build(self, split: ftrun.Split, targets: Mapping[str, Any]) -> "SomeOf":
        """Return an object whose indices(seed, epoch) are positions in the split."""
        return SomeOf(len(split), max(1, round(len(split) * self.part)))


class SomeOf:
    def __init__(self, samples: int, length: int) -> None:
        self.samples, self.length = samples, length

    def indices(self, seed: int, epoch: int) -> "Tensor":
        """Return int64 [M]; M is the same in every epoch."""
        import torch

        # A generator of its own, from seed and epoch alone.
        generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
        return torch.randperm(self.samples, generator=generator)[: self.length]


@ftrun.hookimpl
def ftrun_samplers() -> list[type[ftrun.Sampler]]:
    return [Template]
