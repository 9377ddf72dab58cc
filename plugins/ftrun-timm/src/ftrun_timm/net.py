"""A model of timm as a Net: `forward_features`, then `forward_head` up to the classifier, then the classifier.

Where the classifier begins is found by watching: its layers run in `forward_head(x)` and not in
`forward_head(x, pre_logits=True)`. In most families that is one linear layer; in some, a norm or an MLP goes before
it, and belongs to `pool` then.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

import torch
from timm.layers import Format, PatchEmbed
from timm.models import group_parameters
from torch import Tensor, nn
from torch.nn import functional as F

import ftrun
import ftrun_inputs

# What torch and timm raise where shapes do not fit.
MISFIT = (AssertionError, IndexError, RuntimeError, TypeError, ValueError)


class TimmNet(ftrun.Net):
    """A model that can be split so; it is run once to make sure. Raises SpecError for the few that cannot."""

    def __init__(self, model: nn.Module, input: ftrun_inputs.ImageInput) -> None:  # noqa: A002  (the contract's word)
        images = torch.randn(1, len(input.mean), *input.size, generator=torch.Generator().manual_seed(0))
        training = model.training
        model.eval()
        with torch.no_grad():
            expected = model(images)
            raw_features = _features(model, images)
            *before_head, head_path = _classifier(model, raw_features)
            model.set_submodule(head_path, _flat_head(model.get_submodule(head_path)))
            super().__init__(model, input=input, num_features=0, head_path=head_path, stages=_stages(model, head_path))
            self._channels_last = raw_features.ndim == 4 and getattr(model, "output_fmt", None) == "NHWC"
            self._has_maps = raw_features.ndim == 4
            self._before_head = tuple(before_head)
            self._check(images, expected)
            features = self.features(images)
            self.num_features = self.pool(features).shape[1]
            self.pool_layers = self._pool_layers(features)
        model.train(training)

    def features(self, x: Tensor) -> Tensor:
        features = self.model.forward_features(x)
        return features.permute(0, 3, 1, 2) if self._channels_last else features

    def pyramid(self, x: Tensor) -> tuple[Tensor, ...]:
        """A map for each resolution, by timm's `forward_intermediates`; the last level alone of models without it."""
        if not (self._has_maps and hasattr(self.model, "forward_intermediates")):
            return super().pyramid(x)
        last, maps = self.model.forward_intermediates(x, output_fmt="NCHW")
        return ftrun.distinct_levels([*maps, last.permute(0, 3, 1, 2) if self._channels_last else last])

    def pool(self, features: Tensor) -> Tensor:
        if self._channels_last:
            features = features.permute(0, 2, 3, 1)
        return _run(self.model, self._before_head, self.model.forward_head(features, pre_logits=True))

    def take_other_sizes(self) -> None:
        """Interpolate positions in `forward`, as timm's `dynamic_img_size` does, in transformers that have it."""
        patches = getattr(self.model, "patch_embed", None)
        if isinstance(patches, PatchEmbed) and getattr(self.model, "dynamic_img_size", None) is False:
            patches.strict_img_size, patches.flatten, patches.output_fmt = False, False, Format.NHWC
            self.model.dynamic_img_size = True

    def new_output(self, in_features: int, outputs: int) -> nn.Module:
        if isinstance(self.head, PointwiseLinear):
            return PointwiseLinear(in_features, outputs)
        return nn.Linear(in_features, outputs)

    def _check(self, images: Tensor, expected: Tensor) -> None:
        if not _gives(lambda: self.head(self.embed(images)), expected):
            raise unsplittable(
                self.model, "it has several classifiers, or layers between its embedding and its classifier"
            )

    def _pool_layers(self, features: Tensor) -> tuple[str, ...]:
        """The layers of `pool`, if running them one after the other is all that it does."""
        if features.ndim != 4:
            return ()
        run = _outermost(_layers_run(self.model, lambda: self.pool(features)), self.head_path)
        layers = [path for path in run if not isinstance(self.model.get_submodule(path), nn.Identity)]
        same = _gives(lambda: _run(self.model, layers, features).flatten(1), self.pool(features))
        return tuple(layers) if same else ()


class PointwiseLinear(nn.Linear):
    """A linear layer with the weight of a 1 x 1 convolution, [outputs, inputs, 1, 1], for families that store it so."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.weight = nn.Parameter(self.weight.detach()[:, :, None, None])

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.flatten(1), self.weight.flatten(1), self.bias)


def unsplittable(model: nn.Module, why: str) -> ftrun.SpecError:
    name = model.pretrained_cfg["architecture"]
    module = type(model).__module__.rsplit(".", 1)[1]
    instead = _INSTEAD.get(module, "resnet18.a1_in1k")
    return ftrun.SpecError(
        f"timm's {name} does not split into features, pool and head: {why}. Take another model, such as {instead!r}."
    )


# Near relatives, by timm's module, of models that do not split.
_INSTEAD = {
    "coat": "coat_lite_tiny.in1k",
    "crossvit": "deit_tiny_patch16_224.fb_in1k",
    "deepseek_vit": "vit_large_patch14_dinov2.lvd142m",
    "deit": "deit_tiny_patch16_224.fb_in1k",
    "efficientformer": "poolformerv2_s12.sail_in1k",
    "efficientformer_v2": "fastvit_t8.apple_in1k",
    "efficientvim": "efficientvit_m0.r224_in1k",
    "levit": "efficientvit_m0.r224_in1k",
    "repvit": "repghostnet_050.in1k",
    "pit": "pit_ti_224.in1k",
    "swiftformer": "edgenext_xx_small.in1k",
    "volo": "cait_xxs24_224.fb_dist_in1k",
}


def _features(model: nn.Module, images: Tensor) -> Tensor:
    if not hasattr(model, "get_classifier"):
        raise unsplittable(model, "it is an encoder without a head")
    features = model.forward_features(images)
    if not isinstance(features, Tensor):
        raise unsplittable(model, "its features are several maps")
    return features


def _classifier(model: nn.Module, features: Tensor) -> list[str]:
    """Paths of the layers that turn timm's embedding into the output; the last one is to be the head."""
    embedding = _layers_run(model, lambda: model.forward_head(features, pre_logits=True))
    layers = [path for path in _layers_run(model, lambda: model.forward_head(features)) if path not in embedding]
    for kinds in (nn.Linear | nn.Conv2d, nn.Identity):  # a net without classes has nothing in the head's place
        heads = [path for path in layers if isinstance(model.get_submodule(path), kinds)]
        if heads:
            return [*_outermost(layers, heads[-1]), heads[-1]]
    raise unsplittable(model, "it has no classifier")


def _flat_head(head: nn.Module) -> nn.Module:
    """`head` for an embedding [B, D]: a 1 x 1 convolution, which wants a map, becomes linear."""
    if not isinstance(head, nn.Conv2d):
        return head
    linear = PointwiseLinear(head.in_channels, head.out_channels)
    linear.weight, linear.bias = head.weight, head.bias
    return linear


def _layers_run(model: nn.Module, call: Callable[[], object]) -> list[str]:
    """Paths of the modules that `call` runs, in order, each before those inside it."""
    run: list[str] = []
    hooks = [
        module.register_forward_pre_hook(lambda *_, path=path: run.append(path))
        for path, module in model.named_modules()
        if path
    ]
    try:
        call()
    finally:
        for hook in hooks:
            hook.remove()
    return run


def _outermost(paths: Iterable[str], head_path: str) -> list[str]:
    """`paths` without those that are inside another one. The head and what holds it do not count."""
    outermost: list[str] = []
    for path in paths:
        inside_another = any(path.startswith(f"{other}.") for other in outermost)
        if not inside_another and not f"{head_path}.".startswith(f"{path}."):
            outermost.append(path)
    return outermost


def _run(model: nn.Module, paths: Iterable[str], x: Tensor) -> Tensor:
    for path in paths:
        layer = model.get_submodule(path)
        linear = isinstance(getattr(layer, "base_layer", layer), nn.Linear)  # adapters wrap a layer
        x = layer(x.flatten(1) if linear else x)
    return x


def _gives(call: Callable[[], Tensor], expected: Tensor) -> bool:
    try:
        output = call()
    except MISFIT:
        return False
    tolerance = 1e-4 * max(1.0, float(expected.abs().max()))
    return output.shape == expected.shape and torch.allclose(output, expected, rtol=1e-4, atol=tolerance)


def _stages(model: nn.Module, head_path: str) -> dict[str, list[str]]:
    """timm's coarse groups of parameters from input to output, as paths, each named by its first one."""
    parameters = [name for name, _ in model.named_parameters() if not name.startswith(f"{head_path}.")]
    try:
        groups = group_parameters(model, model.group_matcher(coarse=True), reverse=True)
    except (AttributeError, AssertionError):  # a few models have no matcher, or no coarse one
        groups = _groups_by_child(model, parameters)
    group_of = {name: groups[name] for name in parameters}
    stages: dict[int, list[str]] = {group: [] for group in sorted(set(group_of.values()))}
    for path, group in _common_paths(group_of, head_path):
        stages[group].append(path)
    return {_stage_name(i, paths[0]): paths for i, paths in enumerate(stages.values())}


def _stage_name(index: int, path: str) -> str:
    if index == 0:
        return "stem"
    return (
        "neck" if path == "head" else path
    )  # SelecSLS calls its last convolutions so; here the classifier is the head


def _groups_by_child(model: nn.Module, parameters: Iterable[str]) -> dict[str, int]:
    """A group for each child of the model, and for each block in a child that is a list of blocks."""
    groups: dict[str, int] = {}
    numbers: dict[str, int] = {}
    for name in parameters:
        path = name.split(".")
        child = getattr(model, path[0])
        is_list = isinstance(child, nn.Sequential | nn.ModuleList)
        has_blocks = is_list and all(any(True for _ in block.children()) for block in child)
        groups[name] = numbers.setdefault(".".join(path[: 2 if has_blocks else 1]), len(numbers))
    return groups


def _common_paths(group_of: Mapping[str, int], head_path: str, depth: int = 1) -> Iterator[tuple[str, int]]:
    """The shortest paths all of whose parameters are in one group, with it; none of them has the head inside."""
    inside: dict[str, dict[str, int]] = {}
    for name, group in group_of.items():
        inside.setdefault(".".join(name.split(".")[:depth]), {})[name] = group
    for path, groups in inside.items():
        if len(set(groups.values())) > 1 or f"{head_path}.".startswith(f"{path}."):
            yield from _common_paths(groups, head_path, depth + 1)
        else:
            yield path, next(iter(groups.values()))
