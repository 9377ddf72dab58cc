"""Loss `poly`: cross-entropy with one more term."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

import ftrun

if TYPE_CHECKING:  # for annotations alone, which then stand in quotes
    from torch import Tensor, nn

FTRUN_API = "2.0"  # the version of ftrun's API that this is written for


class Poly(ftrun.Loss):
    """Cross-entropy plus a multiple of the probability of all wrong classes (PolyLoss)."""

    name: Literal["poly"]
    kinds = ("classes",)
    epsilon: float = Field(1.0, ge=-1, description="Weight of the added term; 0 for plain cross-entropy.")

    def build(self, target: ftrun.Target, values: "Tensor") -> "nn.Module":
        """Logits float [B, K] and labels int64 [B] -> scalar, the mean over the batch (Leng et al., 2022)."""
        from torch import nn  # here, not above: ftrun lists and checks parts without torch
        from torch.nn import functional as F

        epsilon = self.epsilon

        class PolyLoss(nn.Module):
            def forward(self, output: "Tensor", values: "Tensor") -> "Tensor":
                losses = F.cross_entropy(output.float(), values, reduction="none")
                return (losses + epsilon * (1 - (-losses).exp())).mean()

        return PolyLoss()


@ftrun.hookimpl
def ftrun_losses() -> list[type[ftrun.Loss]]:
    return [Poly]
