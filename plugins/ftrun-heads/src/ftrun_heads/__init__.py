"""Heads `linear` and `mlp`, and modifiers `replace-head` and `add-layers`, which change those of all targets."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

import ftrun

if TYPE_CHECKING:
    from torch import nn

    from ftrun import Net

FTRUN_API = "2.0"

Dropout = Annotated[float, Field(ge=0, lt=1)]


Sizes = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
Activation = Literal["relu", "gelu", "silu", "tanh"]


class Linear(ftrun.LinearHead):
    """One linear layer on the embedding, with dropout before it."""

    name: Literal["linear"]
    dropout: Dropout = Field(0.0, description="Part of the embedding that is zeroed at random in training.")

    def build(self, net: "Net", target: ftrun.Target) -> "nn.Module":
        """[B, num_features] -> [B, outputs]."""
        from ftrun_heads.layers import with_dropout

        return with_dropout(super().build(net, target), self.dropout)


class Mlp(ftrun.Head):
    """Hidden layers, each followed by an activation, and a linear layer, on the embedding."""

    name: Literal["mlp"]
    sizes: Sizes = Field((256,), description="Width of each hidden layer, first to last.")
    activation: Activation = Field("relu", description="Activation after each hidden layer.")
    dropout: Dropout = Field(
        0.0, description="Part of each hidden layer's output that is zeroed at random in training."
    )

    def build(self, net: "Net", target: ftrun.Target) -> "nn.Module":
        """[B, num_features] -> [B, outputs]."""
        from ftrun_heads.layers import hidden_layers

        hidden = hidden_layers(net.num_features, self.sizes, self.activation, self.dropout)
        return hidden.append(net.new_output(self.sizes[-1], target.outputs))


class ReplaceHead(ftrun.Modifier):
    """One fresh linear layer for each target, with dropout before it."""

    name: Literal["replace-head"]
    dropout: Dropout = Field(0.0, description="Part of the embedding that is zeroed at random in training.")

    def build(self, net: "Net") -> "Net":
        """`net` with a fresh output layer, [B, num_features] -> [B, outputs], in the head's place."""
        from ftrun_heads.layers import with_dropout

        _needs_embedding(net, self.name)
        net.replace_head(with_dropout(net.output_layer(net.num_features), self.dropout))
        return net


class AddLayers(ftrun.Modifier):
    """Hidden layers, each followed by an activation, between the embedding and a fresh output layer."""

    name: Literal["add-layers"]
    sizes: Sizes = Field(description="Width of each hidden layer, first to last.")
    activation: Activation = Field("relu", description="Activation after each hidden layer.")
    dropout: Dropout = Field(
        0.0, description="Part of each hidden layer's output that is zeroed at random in training."
    )

    def build(self, net: "Net") -> "Net":
        """`net` with the hidden layers and its output layer for [B, sizes[-1]] in the head's place."""
        from ftrun_heads.layers import hidden_layers

        _needs_embedding(net, self.name)
        hidden = hidden_layers(net.num_features, self.sizes, self.activation, self.dropout)
        net.replace_head(hidden.append(net.output_layer(self.sizes[-1])))
        return net


def _needs_embedding(net: "Net", modifier: str) -> None:
    if not net.embeds:
        raise ftrun.SpecError(
            f"{modifier!r} makes a head that takes an embedding, but this net's head is convolutional and takes "
            f"a map. If 'fc-to-conv' made it so, put {modifier!r} before 'fc-to-conv' in `modifiers`; "
            f"otherwise leave {modifier!r} out, or take another backbone."
        )


@ftrun.hookimpl
def ftrun_heads() -> list[type[ftrun.Head]]:
    return [Linear, Mlp]


@ftrun.hookimpl
def ftrun_modifiers() -> list[type[ftrun.Modifier]]:
    return [ReplaceHead, AddLayers]
