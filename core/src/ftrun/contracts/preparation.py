"""What prepares a net's inputs, as a module of the net."""

from typing import Any

from torch import nn

from ftrun.contracts.inputs import InputSpec


class Preparation(nn.Module):
    """An input's `prepare` as a module."""

    def __init__(self, input: InputSpec) -> None:  # noqa: A002  (the contract's word)
        super().__init__()
        self.input = input

    def forward(self, collated: Any) -> Any:
        return self.input.prepare(collated)
