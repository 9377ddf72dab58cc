"""Loss `template`: focal loss.

A loss is what training makes small: a module that takes the net's output and the true
values of one target, and gives one number.
"""

from typing import TYPE_CHECKING, Literal

import ftrun
from pydantic import Field

if TYPE_CHECKING:  # for type checkers alone: ftrun lists and checks parts without torch
    from torch import Tensor, nn

FTRUN_API = "2.0"  # what it was written for, so that a later ftrun can tell


class Template(ftrun.Loss):
    """Cross-entropy that counts the less, the surer the net is of the right class."""

    name: Literal["template"]
    kinds = ("classes",)  # of target, that it works on; others: "labels", "values"
    gamma: float = Field(
        2.0,
        ge=0,
        description="How much less what is sure counts; 0 for plain cross-entropy.",
    )

    def build(self, target: ftrun.Target, values: "Tensor") -> "nn.Module":
        """Logits [B, K] and labels int64 [B] -> scalar, the mean over the batch.

        Lin et al., "Focal loss for dense object detection", 2017.

        values: the training split's labels, int64 [N], for weights that depend on them
        """
        from torch import nn
        from torch.nn import functional as F

        gamma = self.gamma

        class Focal(nn.Module):
            def forward(self, output: "Tensor", values: "Tensor") -> "Tensor":
                # In float32, whatever the net computes in. The mean over samples, and
                # nothing that depends on the others: a batch may come in parts.
                losses = F.cross_entropy(output.float(), values, reduction="none")
                doubt = 1 - (-losses).exp()  # the probability of all other classes
                # Below 1, a power of 0 has no finite gradient.
                return (doubt.clamp(min=1e-7) ** gamma * losses).mean()

        return Focal()


@ftrun.hookimpl
def ftrun_losses() -> list[type[ftrun.Loss]]:
    return [Template]
