"""Backbone `template`: a small convolutional net.

A backbone gives an `ftrun.Net`: a model, and the way through it in three steps,
`head(pool(features(x)))`. The core puts the head in that the dataset's targets need.
"""

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import ftrun
import ftrun_inputs
from pydantic import Field

if TYPE_CHECKING:  # for type checkers alone: ftrun lists and checks parts without torch
    from torch import Tensor, nn

FTRUN_API = "2.0"  # what it was written for, so that a later ftrun can tell


class Template(ftrun.Backbone):
    """Three convolutions with batch normalisation, for images of any size."""

    name: Literal["template"]
    input_type = ftrun_inputs.ImageInput
    any_size = True  # leave it out where there is only one that will do
    width: int = Field(
        16,
        ge=1,
        description="Channels of the first convolution; each of the next two doubles them.",
    )
    weights: Path | None = Field(
        None,
        description="Pretrained weights, a safetensors file, such as the "
        "model.safetensors of an earlier run; random ones if not given.",
    )

    def build(self, overrides: Mapping[str, Any]) -> "ftrun.Net":
        """The net, with some head. overrides: what the spec's `input` changes.

        Raises SpecError where the weights are not to be had.
        """
        from torch import nn

        class ThreeConvolutions(ftrun.Net):
            def features(self, x: "Tensor") -> "Tensor":
                """float32 [B, C, H, W], as `input` prepares it -> [B, D, H/4, W/4]."""
                for layer in ("stem", "middle", "top"):
                    x = self.model.get_submodule(layer)(x)
                return x

            def pool(self, features: "Tensor") -> "Tensor":
                """[B, D, H/4, W/4] -> [B, D]."""
                pooled: Tensor = self.model.get_submodule("pool")(features)
                return pooled.flatten(1)

        # How the images were prepared that the weights were trained on.
        images = ftrun_inputs.ImageInput(
            size=(32, 32),
            mean=(0.5, 0.5, 0.5),
            std=(0.25, 0.25, 0.25),
        ).changed(**overrides)
        # Weights are saved under these names. Where the model is a library's, they are
        # that library's, and what ftrun trains can be loaded there.
        model = nn.Sequential(
            OrderedDict(
                stem=_convolution(len(images.mean), self.width, stride=1),
                middle=_convolution(self.width, 2 * self.width, stride=2),
                top=_convolution(2 * self.width, 4 * self.width, stride=2),
                pool=nn.AdaptiveAvgPool2d(1),
                head=nn.Linear(4 * self.width, 1000),
            )
        )
        if self.weights is not None:
            _load(model, self.weights)
        return ThreeConvolutions(
            model,
            input=images,
            num_features=4 * self.width,  # D
            head_path="head",
            # From input to output: what a spec may freeze, and where rates differ.
            stages={"stem": ["stem"], "middle": ["middle"], "top": ["top"]},
            pool_layers=["pool"],
        )

    def without_weights(self) -> Self:
        """For a resumed run, whose weights come from its checkpoint."""
        return self.model_copy(update={"weights": None})


def _convolution(inputs: int, outputs: int, stride: int) -> "nn.Module":
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def _load(model: "nn.Module", path: Path) -> None:
    """Put a file's weights into `model`, all but the head's."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    head = model.get_submodule("head").state_dict(prefix="head.")
    try:
        found = load_file(path)
        body = {name: found[name] for name in found if not name.startswith("head.")}
        model.load_state_dict(body | head)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise ftrun.SpecError(f"weights: {path} cannot be loaded: {error}") from None


@ftrun.hookimpl
def ftrun_backbones() -> list[type[ftrun.Backbone]]:
    return [Template]
