"""Metric `mean-recall`: the mean recall of the classes that occur."""

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field

import ftrun

if TYPE_CHECKING:  # for type checkers alone: ftrun lists and checks parts without torch
    import torch
    from torch import Tensor

FTRUN_API = "2.0"  # what it was written for, so that a later ftrun can tell


class MeanRecall(ftrun.Metric):
    """Mean recall of the classes that occur, so that rare ones count as much as frequent ones."""

    name: Literal["mean-recall"]
    kinds = ("classes",)
    higher_is_better = True
    adjusted: bool = Field(False, description="Whether guessing scores 0 and all right 1: adjusted for chance.")

    @property
    def key(self) -> str:
        """Its name in the results: the adjusted figure is another one, and a spec may ask for both."""
        return "mean_recall_adjusted" if self.adjusted else "mean_recall"

    def build(self, target: ftrun.Target) -> "RecallCounts":
        """Of logits float32 [B, K] and labels int64 [B], K being the number of `target.names`.

        As scikit-learn's `balanced_accuracy_score` has it (Brodersen et al., "The balanced accuracy and its posterior
        distribution", 2010).
        """
        return RecallCounts(len(target.names), adjusted=self.adjusted)


class RecallCounts:
    """Counts right predictions and samples of each class; at the top of the module, because it is pickled."""

    def __init__(self, classes: int, *, adjusted: bool) -> None:
        import torch  # here, not above: ftrun lists and checks parts without torch

        self.adjusted = adjusted
        self.counts = torch.zeros(2, classes, dtype=torch.int64)  # right ones, all: int64 [2, K]

    def to(self, device: "torch.device | str") -> Self:
        """The same object, on `device`."""
        self.counts = self.counts.to(device)
        return self

    def update(self, output: "Tensor", values: "Tensor") -> None:
        """One batch: logits float32 [B, K], labels int64 [B]."""
        import torch

        right = (output.argmax(dim=1) == values).to(torch.int64)
        # No mask and no bincount: neither this nor the rest waits for the device.
        self.counts = self.counts.index_add(1, values, torch.stack((right, torch.ones_like(right))))

    def merge_state(self, other: Self) -> None:
        """Take in what another process has seen."""
        self.counts = self.counts + other.counts.to(self.counts.device)

    def compute(self) -> "Tensor":
        """A float32 scalar, on all batches since the last reset.

        With C the classes that occur and r_c the recall of class c, it is s = sum(r_c for c in C) / |C|, and adjusted
        (s - 1/|C|) / (1 - 1/|C|). Where only one class occurs, chance is 1 and there is nothing to adjust by: it is 0
        then, where scikit-learn divides by 0. Before any batch it is nan.
        """
        import torch

        right, seen = self.counts
        occurring = (seen > 0).sum()
        score = (right / seen.clamp(min=1)).sum() / occurring  # a class that does not occur adds 0
        if not self.adjusted:
            return score
        chance = 1 / occurring
        return torch.where(occurring == 1, torch.zeros_like(score), (score - chance) / (1 - chance))

    def reset(self) -> None:
        """Forget all batches."""
        self.counts = self.counts * 0


@ftrun.hookimpl
def ftrun_metrics() -> list[type[ftrun.Metric]]:
    return [MeanRecall]
