"""Backbones `efficientnet-lite0` to `-lite2` with ImageNet weights from Python packages."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import ftrun
import ftrun_inputs

if TYPE_CHECKING:
    from ftrun import Net

FTRUN_API = "2.0"


class EfficientNetLite(ftrun.Backbone):
    """What the three have in common; `number` tells them apart."""

    input_type = ftrun_inputs.ImageInput
    number: ClassVar[int]

    def build(self, overrides: Mapping[str, Any]) -> "Net":
        """The net with its weights. Raises PluginError where the package that holds them is not installed."""
        from ftrun_efficientnet_lite.build import build

        return build(self.number, overrides)

    @property
    def recipe(self) -> ftrun.TrainingRanges:
        """Those of EfficientNet-Lite."""
        return ftrun.TrainingRanges(
            "EfficientNet-Lite",
            lr=1e-3,
            head_lr=5e-3,
            head_first=False,
            lr_range=(3e-5, 3e-3),
            size=(224, 240, 260)[self.number],
        )

    def library_code(self, net: "Net") -> str | None:
        """timm's own call, for a net with one target."""
        target, name = net.plain_target, f"tf_efficientnet_lite{self.number}"
        return f"import timm\ntimm.create_model({name!r}, num_classes={target.outputs})" if target else None


class EfficientNetLite0(EfficientNetLite):
    """EfficientNet-Lite0: 4.7 M parameters, 224 pixels, ImageNet weights that come with the plugin."""

    name: Literal["efficientnet-lite0"]
    number = 0


class EfficientNetLite1(EfficientNetLite):
    """EfficientNet-Lite1: 5.4 M parameters, 240 pixels, ImageNet weights from a package of their own."""

    name: Literal["efficientnet-lite1"]
    number = 1


class EfficientNetLite2(EfficientNetLite):
    """EfficientNet-Lite2: 6.1 M parameters, 260 pixels, ImageNet weights from a package of their own."""

    name: Literal["efficientnet-lite2"]
    number = 2


@ftrun.hookimpl
def ftrun_backbones() -> list[type[ftrun.Backbone]]:
    return [EfficientNetLite0, EfficientNetLite1, EfficientNetLite2]
