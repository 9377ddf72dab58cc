"""Backbone `timm`: the models of timm."""

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, Strict

import ftrun
import ftrun_inputs

if TYPE_CHECKING:
    from ftrun import Net

FTRUN_API = "2.0"


class Timm(ftrun.Backbone):
    """A model of timm, with the weights that its tag names."""

    name: Literal["timm"]
    family = "model"
    input_type = ftrun_inputs.ImageInput

    model: str = Field(description="The model and the tag of its weights, by timm's names: resnet18.a1_in1k.")
    pretrained: bool = Field(True, description="Whether to take the pretrained weights; random ones otherwise.")
    checkpoint: Annotated[Path, Strict(False)] | None = Field(
        None, description="A weight file of the same model, .safetensors or .pth; nothing is downloaded then."
    )

    def build(self, overrides: Mapping[str, Any]) -> "Net":
        """The net of `model`. Raises SpecError where the model, its weights or its input size are not to be had."""
        from ftrun_timm.build import build

        return build(self.model, self.pretrained, self.checkpoint, overrides)

    @classmethod
    def has_member(cls, name: str) -> bool:
        """Whether timm has a model of that name, tag or not: looked up in its files, which takes no import."""
        spec = find_spec("timm")
        folder = Path(spec.origin or "").parent / "models" if spec else Path()
        defined = f"\ndef {name.partition('.')[0]}("
        return any(defined in file.read_text(encoding="utf-8") for file in folder.glob("*.py"))

    def without_weights(self) -> Self:
        """The same model with random weights."""
        return self.model_copy(update={"pretrained": False, "checkpoint": None})

    @property
    def recipe(self) -> ftrun.TrainingRanges:
        """The ranges of the model's family."""
        from ftrun_weights import image_ranges

        said = re.search(r"_(\d{3})(?![\d])(?:[._]|$)", self.model)  # vit_base_patch16_384
        size = int(said[1]) if said and int(said[1]) % 16 == 0 else 224
        return image_ranges(self.model, pretrained=self.pretrained or self.checkpoint is not None, size=size)

    @property
    def base_model(self) -> str | None:
        """The Hub's name of the weights, unless they are random or from a file."""
        if not self.pretrained or self.checkpoint is not None:
            return None
        from ftrun_timm.build import hub_name

        return hub_name(self.model)

    def library_code(self, net: "Net") -> str | None:
        """timm's own call, for a net with one target."""
        from ftrun_timm.build import library_code

        return library_code(self.model, net)


@ftrun.hookimpl
def ftrun_backbones() -> list[type[ftrun.Backbone]]:
    return [Timm]
