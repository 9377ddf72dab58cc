"""Backbone `plain-net`: a small convolutional net in three stages, a plain nn.Module of its own.

The part is here, and imports nothing heavy; the model, and how ftrun goes through it, are in `net`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field

import ftrun
import ftrun_inputs

if TYPE_CHECKING:
    from torch import nn

FTRUN_API = "2.0"


class PlainNetBackbone(ftrun.Backbone):
    """Three stages of convolutions with batch normalisation, each half the size of the one before; any image size."""

    name: Literal["plain-net"]
    input_type = ftrun_inputs.ImageInput
    any_size = True
    widths: tuple[
        Annotated[int, Field(ge=1)],
        Annotated[int, Field(ge=1)],
        Annotated[int, Field(ge=1)],
    ] = Field((32, 64, 128), description="Channels of each stage; the last ones are the embedding's length.")
    depth: int = Field(2, ge=1, description="Convolutions in each stage.")
    weights: Path | None = Field(
        None,
        description="Pretrained weights, a safetensors file, such as an earlier run's model.safetensors; its head is "
        "left out; random weights if not given.",
    )

    def build(self, overrides: Mapping[str, Any]) -> "ftrun.Net":
        """The net, with a head for 1000 classes. overrides: what the spec's `input` changes.

        Raises SpecError where the weights cannot be read or belong to a net of another shape.
        """
        from ftrun_plain_net.net import PlainNet, PlainNetParts

        images = ftrun_inputs.ImageInput(size=(32, 32), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
        images = images.changed(**overrides)
        model = PlainNet(channels=len(images.mean), widths=self.widths, depth=self.depth)
        if self.weights is not None:
            _load(model, self.weights)
        return PlainNetParts(
            model,
            input=images,
            num_features=self.widths[-1],
            head_path="classifier",
            stages={"stage1": ["stage1"], "stage2": ["stage2"], "stage3": ["stage3"]},
            pool_layers=["pool", "flatten"],
        )

    def without_weights(self) -> Self:
        """The same net, random: a resumed run has its weights from its checkpoint."""
        return self.model_copy(update={"weights": None})


def _load(model: "nn.Module", path: Path) -> None:
    """Put a file's weights into `model`, all but the head's, which may be another head's."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    head = {name: value for name, value in model.state_dict().items() if name.startswith("classifier.")}
    try:
        found = load_file(path)
        body = {name: value for name, value in found.items() if not name.startswith("classifier.")}
        model.load_state_dict(body | head)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise ftrun.SpecError(f"weights: {path} cannot be loaded: {error}") from None


@ftrun.hookimpl
def ftrun_backbones() -> list[type[ftrun.Backbone]]:
    return [PlainNetBackbone]
