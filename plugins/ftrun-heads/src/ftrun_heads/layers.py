"""The layers that the modifiers put in the head's place."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

import ftrun

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


class DropoutLinear(nn.Linear):
    """A linear layer with dropout on its input: [B, in_features] -> [B, out_features].

    One layer and not a sequence of two, so that its parameters are still `weight` and `bias` in the place
    where the library that the net came from looks for them.
    """

    def __init__(self, in_features: int, out_features: int, dropout: float, **kwargs: Any) -> None:
        super().__init__(in_features, out_features, **kwargs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (torch's own name for it)
        return super().forward(self.dropout(input))


def with_dropout(output: nn.Module, dropout: float) -> nn.Module:
    """`output`, with dropout before it; where there are several targets, before the layer of each."""
    if dropout == 0:
        return output
    if isinstance(output, ftrun.Heads):
        return ftrun.Heads({target: with_dropout(layer, dropout) for target, layer in output.items()})
    if type(output) is nn.Linear:
        layer = DropoutLinear(output.in_features, output.out_features, dropout, device="meta")
        layer.weight, layer.bias = output.weight, output.bias
        return layer
    return nn.Sequential(nn.Dropout(dropout), output)  # a net whose output layer is of its own kind


def hidden_layers(in_features: int, sizes: Sequence[int], activation: str, dropout: float) -> nn.Sequential:
    """[B, in_features] -> [B, sizes[-1]]: Linear, activation and, unless it is 0, Dropout for each size."""
    layers: list[nn.Module] = []
    for size in sizes:
        layers += [nn.Linear(in_features, size), ACTIVATIONS[activation]()]
        layers += [nn.Dropout(dropout)] if dropout else []
        in_features = size
    return nn.Sequential(*layers)
