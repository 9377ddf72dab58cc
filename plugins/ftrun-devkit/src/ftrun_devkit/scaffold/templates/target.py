"""Kind of target `template`: a direction, in degrees.

A dataset gives instances of it, by the targets' names. It says what a sample's value may be,
in which terms a net learns it, and what is predicted.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

import ftrun

if TYPE_CHECKING:  # for type checkers alone: ftrun lists and checks parts without torch
    from torch import Tensor

FTRUN_API = "2.0"  # what it was written for, so that a later ftrun can tell


class Template(ftrun.Target):
    """A direction. Values: float32 [B], degrees; NaN where a sample has none. Its head gives cosine and sine."""

    kind: Literal["template"] = "template"  # fmt: skip
    # Of the head for a sample: a linear layer, if the spec names no other.
    outputs: ClassVar[int] = 2

    def faults(self, values: "Tensor") -> Iterator[tuple[int, str]]:
        """Each sample whose value is none of this kind: its position, and what is wrong."""
        for sample in values.isinf().nonzero().flatten().tolist():
            yield sample, "has a direction that is not finite."

    def present(self, values: "Tensor") -> "Tensor":
        """Which samples have a direction: bool [B]. The others neither train nor count."""
        return ~values.isnan()

    def encode(self, values: "Tensor") -> "Tensor":
        """What a loss compares the head's output with: [B, 2], cosine and sine."""
        import torch  # here, not above: ftrun lists and checks parts without torch

        angle = values.deg2rad()
        return torch.stack([angle.cos(), angle.sin()], dim=1)

    def decode(self, output: "Tensor") -> "Tensor":
        """What metrics see of the head's output [B, 2]: degrees [B], 0 to 360."""
        return output[:, 1].atan2(output[:, 0]).rad2deg() % 360

    def predictions(self, decoded: "Tensor", *, top: int = 1) -> list[ftrun.Prediction]:
        """For each sample, JSON values."""
        return [ftrun.Prediction(round(degrees, 2)) for degrees in decoded.tolist()]

    def pack(self, decoded: "Tensor", values: "Tensor") -> "tuple[Tensor, Tensor]":
        """What a run keeps of each sample: of what is large, less."""
        return decoded, values

    def made_up(self) -> "tuple[Tensor, Tensor]":
        """Predictions and values of a few samples, always the same: losses and metrics are tried on them."""
        import torch

        values = torch.arange(0.0, 360.0, 15.0)
        return (values + 10) % 360, values


@ftrun.hookimpl
def ftrun_targets() -> list[type[ftrun.Target]]:
    return [Template]
