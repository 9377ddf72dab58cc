"""Modifier `fc-to-conv`: fully connected heads become convolutions."""

from typing import TYPE_CHECKING, Literal

import ftrun

if TYPE_CHECKING:
    from ftrun import Net

FTRUN_API = "2.0"


class FcToConv(ftrun.Modifier):
    """Turns the fully connected head into convolutions: any image size in, a map of class scores out."""

    name: Literal["fc-to-conv"]
    input_kinds = ("image",)

    def build(self, net: "Net") -> "Net":
        """`net`, whose head is a `ScoreMap` now. Its output is the mean of the map and, at the native size, unchanged.

        Raises SpecError where the head has a layer that no convolution stands for, or where the features at the net's
        input size are smaller than what its first linear layer takes.
        """
        from ftrun_fc_to_conv.convert import fully_convolutional

        return fully_convolutional(net)


@ftrun.hookimpl
def ftrun_modifiers() -> list[type[ftrun.Modifier]]:
    return [FcToConv]
