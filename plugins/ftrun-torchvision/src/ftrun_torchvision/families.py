"""What the families of torchvision's models are made of, and the nets that run them in ftrun's three steps."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor, cat, nn
from torchvision import models

import ftrun


class Family(NamedTuple):
    """Paths in a model, in the order in which it runs them; `features.*` stands for all children of `features`.

    trunk: from the input to the last map or tokens
    pool: from there to the embedding
    head: the last layer
    added: layers that torchvision calls as functions; they are put into the model, without weights, to have a path
    """

    trunk: str
    pool: str
    head: str
    added: Mapping[str, Callable[[], nn.Module]] = {}


INCEPTION = " ".join(
    ["Conv2d_1a_3x3 Conv2d_2a_3x3 Conv2d_2b_3x3 maxpool1 Conv2d_3b_1x1 Conv2d_4a_3x3 maxpool2"]
    + [f"Mixed_{block}" for block in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c")]
)
GOOGLENET = (
    "conv1 maxpool1 conv2 conv3 maxpool2 inception3a inception3b maxpool3 inception4a inception4b inception4c "
    "inception4d inception4e maxpool4 inception5a inception5b"
)
AVERAGE = {"avgpool": partial(nn.AdaptiveAvgPool2d, 1)}

FAMILIES: dict[type[nn.Module], Family] = {
    models.AlexNet: Family("features.*", "avgpool classifier.*", "classifier.6"),
    models.ConvNeXt: Family("features.*", "avgpool classifier.*", "classifier.2"),
    models.DenseNet: Family("features.* relu", "avgpool", "classifier", {"relu": nn.ReLU, **AVERAGE}),
    models.EfficientNet: Family("features.*", "avgpool classifier.*", "classifier.1"),
    models.GoogLeNet: Family(GOOGLENET, "avgpool dropout", "fc"),
    models.Inception3: Family(INCEPTION, "avgpool dropout", "fc"),
    models.MaxVit: Family("stem blocks.*", "classifier.*", "classifier.5"),
    models.MNASNet: Family("layers.*", "avgpool classifier.*", "classifier.1", AVERAGE),
    models.MobileNetV2: Family("features.*", "avgpool classifier.*", "classifier.1", AVERAGE),
    models.MobileNetV3: Family("features.*", "avgpool classifier.*", "classifier.3"),
    models.RegNet: Family("stem trunk_output.*", "avgpool", "fc"),
    models.ResNet: Family("conv1 bn1 relu maxpool layer1 layer2 layer3 layer4", "avgpool", "fc"),
    models.ShuffleNetV2: Family("conv1 maxpool stage2 stage3 stage4 conv5", "avgpool", "fc", AVERAGE),
    models.SqueezeNet: Family("features.*", "", "classifier"),
    models.SwinTransformer: Family("features.* norm permute", "avgpool flatten", "head"),
    models.VGG: Family("features.*", "avgpool classifier.*", "classifier.6"),
    models.VisionTransformer: Family("conv_proj encoder.layers.* encoder.ln", "", "heads.head"),
}


class TorchvisionNet(ftrun.Net):
    """A model that runs its layers one after the other."""

    def __init__(self, model: nn.Module, input: ftrun.InputSpec) -> None:  # noqa: A002  (the contract's word)
        family = family_of(model)
        for path, layer in family.added.items():
            model.add_module(path, layer())
        self._trunk = _opened(model, family.trunk)
        pool_layers = [path for path in _opened(model, family.pool) if path != family.head]
        self._has_bias = any(path.endswith("bias") for path, _ in model.get_submodule(family.head).named_parameters())
        super().__init__(
            model,
            input=input,
            num_features=_num_features(model.get_submodule(family.head)),
            head_path=family.head,
            stages=self._stages(model, [*self._trunk, *pool_layers]),
            pool_layers=pool_layers,
        )

    def features(self, x: Tensor) -> Tensor:
        return self._run(self._trunk, x)

    def pyramid(self, x: Tensor) -> tuple[Tensor, ...]:
        return ftrun.distinct_levels(self._each(self._trunk, x))

    def pool(self, features: Tensor) -> Tensor:
        return self._run(self.pool_layers, features).flatten(1)

    def new_output(self, in_features: int, outputs: int) -> nn.Module:
        return nn.Linear(in_features, outputs, bias=self._has_bias)

    def _run(self, paths: Iterable[str], x: Tensor) -> Tensor:
        for output in self._each(paths, x):
            x = output
        return x

    def _each(self, paths: Iterable[str], x: Tensor) -> Iterator[Tensor]:
        """Yield what comes out of each layer, one after the other."""
        for path in paths:
            layer = self.model.get_submodule(path)
            linear = isinstance(getattr(layer, "base_layer", layer), nn.Linear)  # adapters wrap a layer
            x = layer(x.flatten(1) if linear else x)
            yield x

    @staticmethod
    def _stages(model: nn.Module, paths: Iterable[str]) -> dict[str, list[str]]:
        """A stage for each block and for the layers between two blocks or two poolings, named by its first path."""
        stages: dict[str, list[str]] = {}
        current = None
        for path in paths:
            layer = model.get_submodule(path)
            if isinstance(layer, _POOLING):
                current = None
            is_block = any(True for _ in layer.children())
            has_matrices = any(parameter.ndim > 1 for parameter in layer.parameters())
            if has_matrices and (is_block or current is None):
                current = stages.setdefault(path if stages else "stem", [])
            if any(True for _ in layer.parameters()):  # a norm after a block belongs to it
                (next(reversed(stages.values())) if current is None else current).append(path)
            if is_block:
                current = None
        return stages


class SqueezeNet(TorchvisionNet):
    """Its head is a convolution, a ReLU and an average over the map."""

    def __init__(self, model: nn.Module, input: ftrun.InputSpec) -> None:  # noqa: A002
        super().__init__(model, input)
        self.embeds = False
        self.head.append(nn.Flatten())

    def new_output(self, in_features: int, outputs: int) -> nn.Module:
        """The head of the paper (Iandola et al. 2016), on [B, in_features, H, W]."""
        convolution = nn.Conv2d(in_features, outputs, kernel_size=1)
        nn.init.normal_(convolution.weight, std=0.01)
        nn.init.zeros_(convolution.bias)
        return nn.Sequential(nn.Dropout(), convolution, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class SwinTransformer(TorchvisionNet):
    """Its maps are [B, H, W, C] up to the last layer of its trunk, which turns them."""

    def pyramid(self, x: Tensor) -> tuple[Tensor, ...]:
        *maps, last = self._each(self._trunk, x)
        return ftrun.distinct_levels([*(each.permute(0, 3, 1, 2) for each in maps), last])


class VisionTransformer(TorchvisionNet):
    """Tokens [B, 1 + patches, D], the class token first; the embedding is that one."""

    def pyramid(self, x: Tensor) -> tuple[Tensor, ...]:
        return (self.features(x),)

    def features(self, x: Tensor) -> Tensor:
        patches = self.model.conv_proj(x).flatten(2).transpose(1, 2)
        tokens = cat([self.model.class_token.expand(len(x), -1, -1), patches], dim=1)
        return self.model.encoder(tokens)

    def pool(self, features: Tensor) -> Tensor:
        return features[:, 0]

    @staticmethod
    def _stages(model: nn.Module, paths: Iterable[str]) -> dict[str, list[str]]:
        stages = TorchvisionNet._stages(model, paths)
        stages["stem"] += ["class_token", "encoder.pos_embedding"]
        return stages


class MNASNet(models.MNASNet):
    """Takes weights that carry no version, as safetensors files do, for those of the present one."""

    def _load_from_state_dict(self, state: Any, prefix: str, metadata: dict[str, Any], *rest: Any) -> None:
        metadata.setdefault("version", self._version)
        super()._load_from_state_dict(state, prefix, metadata, *rest)


_NETS = {
    models.SqueezeNet: SqueezeNet,
    models.SwinTransformer: SwinTransformer,
    models.VisionTransformer: VisionTransformer,
}
_POOLING = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)


def family_of(model: nn.Module) -> Family:
    """The family of a model of torchvision."""
    return next(family for kind, family in FAMILIES.items() if isinstance(model, kind))


def net_of(model: nn.Module, input: ftrun.InputSpec) -> ftrun.Net:  # noqa: A002
    """The net around a model of torchvision."""
    if type(model) is models.MNASNet:
        model.__class__ = MNASNet
    return _NETS.get(type(model), TorchvisionNet)(model, input)


def _num_features(head: nn.Module) -> int:
    """Channels that the head takes."""
    return next(parameter for parameter in head.parameters() if parameter.ndim > 1).shape[1]


def _opened(model: nn.Module, paths: str) -> list[str]:
    """The paths of a family, with `features.*` written out."""
    opened: list[str] = []
    for path in paths.split():
        parent = path.removesuffix(".*")
        children = [f"{parent}.{name}" for name, _ in model.get_submodule(parent).named_children()]
        opened += children if path != parent else [path]
    return opened
