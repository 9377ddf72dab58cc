"""Modifier `lora`: low-rank adapters on linear layers, through peft."""

import re
from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

import ftrun

if TYPE_CHECKING:
    from ftrun import Net

FTRUN_API = "2.0"


class Lora(ftrun.Modifier):
    """Low-rank adapters on linear layers: they and the head learn, all else stays as it is (Hu et al., 2021)."""

    name: Literal["lora"]

    rank: int = Field(8, ge=1, description="Rank of the adapters.")
    alpha: float = Field(16.0, gt=0, description="What adapters give is multiplied by alpha / rank.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Part of an adapter's input that is zeroed in training.")
    layers: str = Field(
        ".*",
        description="Regular expression that is searched in the path of each linear layer before the head: "
        '"query|value", "attn.qkv".',
    )

    @field_validator("layers")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from None
        return pattern

    def build(self, net: "Net") -> "Net":
        """The net with adapters, which compute nothing yet. Raises SpecError where no layer matches."""
        from ftrun_peft.adapters import add_adapters

        return add_adapters(net, self)


@ftrun.hookimpl
def ftrun_modifiers() -> list[type[ftrun.Modifier]]:
    return [Lora]
