"""Metric `template`: the Brier score.

A metric judges predictions. It sees them batch by batch, in an order and in portions that
are none of its business, and gives one figure on all of them.
"""

from typing import TYPE_CHECKING, Literal, Self

import ftrun

if TYPE_CHECKING:  # for type checkers alone: ftrun lists and checks parts without torch
    import torch
    from torch import Tensor

FTRUN_API = "2.0"  # what it was written for, so that a later ftrun can tell


class Template(ftrun.Metric):
    """How far the predicted probabilities are from the truth: 0 at best, 2 at worst."""

    name: Literal["template"]
    kinds = ("classes",)  # of target, that it works on; others: "labels", "values"
    higher_is_better = False  # `train.monitor` may name it

    def build(self, target: ftrun.Target) -> "BrierScore":
        """Brier, "Verification of forecasts expressed in terms of probability", 1950.

        target: what is predicted; for classes, `target.names` are theirs
        """
        return BrierScore()


class BrierScore:
    """The mean over samples of the squared distance of probabilities and truth.

    A metric of torchmetrics would do as well: these are its methods.
    """

    def __init__(self) -> None:
        import torch  # here, not above: ftrun lists and checks parts without torch

        # Tensors, so that counting does not wait for the device.
        self.total = torch.zeros(())
        self.count = torch.zeros((), dtype=torch.int64)

    def to(self, device: "torch.device | str") -> Self:
        """The same object, on `device`."""
        self.total, self.count = self.total.to(device), self.count.to(device)
        return self

    def update(self, output: "Tensor", values: "Tensor") -> None:
        """One batch: logits float32 [B, K], labels int64 [B]."""
        from torch.nn import functional as F

        truth = F.one_hot(values, output.shape[1])
        self.total = self.total + (output.softmax(dim=1) - truth).square().sum()
        self.count = self.count + len(values)

    def merge_state(self, other: Self) -> None:
        """Take in what another process has seen."""
        self.total = self.total + other.total
        self.count = self.count + other.count

    def compute(self) -> "Tensor":
        """A scalar: the figure on all batches since the last reset."""
        return self.total / self.count

    def reset(self) -> None:
        """Forget all batches."""
        self.total, self.count = self.total * 0, self.count * 0


@ftrun.hookimpl
def ftrun_metrics() -> list[type[ftrun.Metric]]:
    return [Template]
