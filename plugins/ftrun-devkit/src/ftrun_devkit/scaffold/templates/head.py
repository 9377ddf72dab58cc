"""Head `template`: attention over the map, in place of its mean.

A head turns what a net makes of an input into the output for one target. It says what it
takes of the net; the net's own pooling is left out where that is not the embedding.
"""

from typing import TYPE_CHECKING, Literal

import ftrun
from pydantic import Field

if TYPE_CHECKING:  # for type checkers alone: ftrun lists and checks parts without torch
    from ftrun import Net
    from torch import Tensor, nn

FTRUN_API = "2.0"  # what it was written for, so that a later ftrun can tell


class Template(ftrun.Head):
    """A mean over the map that counts each place by a weight that is learned."""

    name: Literal["template"]
    takes = "map"  # [B, C, H, W]; others: "embedding", "tokens", "pyramid"
    kinds = ("classes", "labels", "values")  # of target, that it works on
    hidden: int = Field(64, ge=1, description="Width of the layer that weighs places.")

    def build(self, net: "Net", target: ftrun.Target) -> "nn.Module":
        """A map [B, C, H, W] -> [B, outputs].

        Ilse, Tomczak and Welling, "Attention-based deep multiple instance learning",
        ICML 2018.
        """
        import torch
        from torch import nn

        # The kinds that it works on are vectors.
        assert isinstance(target, ftrun.VectorTarget)

        class Attention(nn.Module):
            def __init__(self, channels: int, hidden: int, outputs: int) -> None:
                super().__init__()
                self.hidden = nn.Linear(channels, hidden)
                self.weight = nn.Linear(hidden, 1)
                self.output = nn.Linear(channels, outputs)

            def forward(self, features: "Tensor") -> "Tensor":
                places = features.flatten(2).transpose(1, 2)  # [B, H * W, C]
                weights = self.weight(torch.tanh(self.hidden(places))).softmax(1)
                output: Tensor = self.output((weights * places).sum(1))
                return output

        # The last level is the map; `levels` has the channels of each, and its stride.
        return Attention(net.levels[-1].channels, self.hidden, target.outputs)


@ftrun.hookimpl
def ftrun_heads() -> list[type[ftrun.Head]]:
    return [Template]
