"""Backbone `torchvision`: the classification models of torchvision."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field

import ftrun
import ftrun_inputs

if TYPE_CHECKING:
    from ftrun import Net

FTRUN_API = "2.0"


class Torchvision(ftrun.Backbone):
    """A classification model of torchvision, with its ImageNet weights."""

    name: Literal["torchvision"]
    family = "model"
    input_type = ftrun_inputs.ImageInput

    model: str = Field(description="The model, by torchvision's name: resnet18.")
    weights: str | None = Field(
        "DEFAULT",
        description="Torchvision's name of the weights, DEFAULT for its best, or a weight file; null for random ones.",
    )

    def build(self, overrides: Mapping[str, Any]) -> "Net":
        """The net of `model`. Raises SpecError where the model, its weights or its input size are not to be had."""
        from ftrun_torchvision.build import build

        return build(self.model, self.weights, overrides)

    @classmethod
    def has_member(cls, name: str) -> bool:
        """Whether torchvision has a model of that name: looked up in its files, which takes no import."""
        spec = find_spec("torchvision")
        folder = Path(spec.origin or "").parent / "models" if spec else Path()
        return any(f"\ndef {name}(" in file.read_text(encoding="utf-8") for file in folder.glob("*.py"))

    def without_weights(self) -> Self:
        """The same model with random weights."""
        return self.model_copy(update={"weights": None})

    @property
    def recipe(self) -> ftrun.TrainingRanges:
        """The ranges of the model's family."""
        from ftrun_weights import image_ranges

        return image_ranges(self.model, pretrained=self.weights is not None, size=224)

    def library_code(self, net: "Net") -> str | None:
        """torchvision's own call, for a net with one target."""
        from ftrun_torchvision.build import library_code

        return library_code(self.model, net)


@ftrun.hookimpl
def ftrun_backbones() -> list[type[ftrun.Backbone]]:
    return [Torchvision]
