"""Modifier `template`: a head that normalises the embedding first.

A modifier changes the net: its head, its layers, what of it learns. It is given the net
with the head that the targets need, or what the modifier before it has made of that.
"""

from typing import TYPE_CHECKING, Literal

import ftrun
from pydantic import Field

if TYPE_CHECKING:  # for type checkers alone: ftrun lists and checks parts without torch
    from ftrun import Net

FTRUN_API = "2.0"  # what it was written for, so that a later ftrun can tell


class Template(ftrun.Modifier):
    """Layer normalisation of the embedding before a fresh output layer."""

    name: Literal["template"]
    eps: float = Field(
        1e-5,
        gt=0,
        description="What is added to the variance before it divides.",
    )

    def build(self, net: "Net") -> "Net":
        """`net` with another head, [B, num_features] -> [B, outputs].

        The head is a LayerNorm and an output layer: Ba, Kiros and Hinton, "Layer
        normalization", 2016. Raises SpecError where the net has no embedding.
        """
        from torch import nn

        if not net.embeds:  # its head takes a map [B, C, H, W]
            raise ftrun.SpecError(
                f"{self.name!r} makes a head that takes an embedding, but this net's "
                f"head is convolutional and takes a map. Leave {self.name!r} out, or "
                "put it before the modifier that made the head so."
            )
        norm = nn.LayerNorm(net.num_features, eps=self.eps)
        # `output_layer` knows the targets, which stay as they are: one or several.
        net.replace_head(nn.Sequential(norm, net.output_layer(net.num_features)))
        return net


@ftrun.hookimpl
def ftrun_modifiers() -> list[type[ftrun.Modifier]]:
    return [Template]
