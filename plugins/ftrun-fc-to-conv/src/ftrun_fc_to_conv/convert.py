"""From a fully connected head to convolutions.

The layers of `pool` and of the head are one list. Its first one averages the features, to one vector or to a grid such
as VGG's 7 x 7; each of the others becomes a layer on maps. The head so becomes a function of a window of the features
that slides over them (Long, Shelhamer, Darrell, "Fully convolutional networks for semantic segmentation", CVPR 2015):

- after a grid, the window is the grid: the first linear layer becomes a convolution with a kernel of that size;
- after one vector, the window is the whole of the features at the net's own input size, averaged;
- but where all that follows is affine, averaging the features first or the scores last is the same, and the window
  shrinks to one location.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import singledispatch
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import ftrun
import ftrun_inputs
from ftrun_fc_to_conv.layers import MapNeck, MapNorm, ScoreMap

AFFINE = (nn.Linear, nn.Conv2d, nn.LayerNorm, nn.Dropout)
WORKS_ON = (
    "'fc-to-conv' works on nets that average a map of features and go on with linear layers, norms, dropout and "
    "activations: ResNet, EfficientNet, MobileNetV3, ConvNeXt, torchvision's VGG and AlexNet, and the like."
)

Shape = tuple[int, int]


def fully_convolutional(net: ftrun.Net) -> ftrun.Net:
    """`net` with its head converted in place, checked to give the output that it gave before."""
    if not net.embeds:
        raise ftrun.SpecError("the head of this net is convolutional already. Leave 'fc-to-conv' out.")
    with _evaluating(net), torch.no_grad():
        channels, native = _feature_shape(net)
        pool, *layers = _layers(net)
        grid = _averages_to(pool, channels, native)
        commutes = grid == (1, 1) and all(isinstance(layer, AFFINE) for _, layer in _flat(layers))
        head = _score_map(pool, layers, grid, native, commutes).eval()
        for size in [native, (native[0] + 1, native[1] + 2)] if commutes else [head.window]:
            _check_exact(net, head, torch.Size((2, channels, *size)))
    between = {_name(path) for path, _ in layers if not f"{path}.".startswith(f"{net.head_path}.")}
    neck = [layer for name, layer in head.named_children() if name in between]
    return _install(net, head.train(net.training), neck, channels)


class Named(NamedTuple):
    """A layer and its path in the model."""

    path: str
    layer: nn.Module


def _layers(net: ftrun.Net) -> list[Named]:
    """The layers of pool and head in order; what only changes shapes is left out."""
    if not net.pool_layers:
        raise ftrun.SpecError(
            f"this net's pooling is not a row of layers that run one after the other on a map [B, C, H, W]. {WORKS_ON}"
        )
    paths = (*net.pool_layers, net.head_path)
    return [each for path in paths for each in _unpack(path, net.model.get_submodule(path))]


def _unpack(path: str, layer: nn.Module) -> Iterator[Named]:
    if type(layer).forward is nn.Sequential.forward:
        for key, child in layer._modules.items():  # not named_children, which gives a layer that comes twice once
            if child is not None:
                yield from _unpack(f"{path}.{key}", child)
    elif isinstance(layer, nn.Linear):
        # A linear layer that holds a dropout is one that applies it to its input.
        yield from (Named(f"{path}.{key}", child) for key, child in layer.named_children() if _is_dropout(child))
        yield Named(path, layer)
    elif not isinstance(layer, nn.Identity | nn.Flatten):
        yield Named(path, layer)


def _flat(layers: list[Named]) -> Iterator[Named]:
    """The same layers, with those of each target's head in the place of Heads."""
    for path, layer in layers:
        if isinstance(layer, ftrun.Heads):
            for target, head in layer.items():
                yield from _flat(list(_unpack(f"{path}.{target}", head)))
        else:
            yield Named(path, layer)


def _feature_shape(net: ftrun.Net) -> tuple[int, Shape]:
    """Channels, and height and width of the features at the net's own input size."""
    if not isinstance(net.input, ftrun_inputs.ImageInput):
        raise ftrun.SpecError(f"this net does not take images. {WORKS_ON}")
    parameter = next(net.parameters())
    features = net.features(parameter.new_zeros(1, len(net.input.mean), *net.input.size))
    if features.ndim != 4:
        raise ftrun.SpecError(
            f"the features of this net are not a map [B, C, H, W] but have shape {list(features.shape)}. {WORKS_ON}"
        )
    channels, height, width = features.shape[1:]
    return channels, (height, width)


def _averages_to(pool: Named, channels: int, native: Shape) -> Shape:
    """Height and width of what `pool` gives, found by running it: libraries have many classes of average pooling."""
    if next(pool.layer.parameters(), None) is None:
        x = _random(torch.Size((1, channels, 2 * native[0] + 1, 2 * native[1] + 3)))
        output = pool.layer(x)
        if output.ndim == 2:
            output = output[:, :, None, None]
        grid = output.shape[2:]
        if grid != x.shape[2:] and output.ndim == 4:
            average = F.adaptive_avg_pool2d(x, (grid[0], grid[1]))
            if output.shape == average.shape and torch.allclose(output, average, atol=1e-5):
                return grid[0], grid[1]
    raise ftrun.SpecError(
        f"the layer {pool.path!r} ({type(pool.layer).__name__}), with which this net pools its features, is not an "
        f"average pooling. {WORKS_ON}"
    )


def _score_map(pool: Named, layers: list[Named], grid: Shape, native: Shape, commutes: bool) -> ScoreMap:
    """commutes: whether the average of the scores is the score of the average"""
    if grid != (1, 1):
        if native[0] < grid[0] or native[1] < grid[1]:
            raise ftrun.SpecError(
                f"the input size is too small: the features are {native[0]} x {native[1]}, and the first linear layer "
                f"takes {grid[0]} x {grid[1]} of them. Give a larger `input.size`, or leave it out to have the one "
                "that the net was pretrained at."
            )
        return ScoreMap(_chain(layers, grid, pooled=False), grid)
    if commutes:
        return ScoreMap(_chain(layers, grid, pooled=True), (1, 1))
    window = {_name(pool.path): nn.AvgPool2d(native, stride=1)}
    return ScoreMap(window | _chain(layers, grid, pooled=False), native)


class Place(NamedTuple):
    """What there is to know of where a layer stands.

    grid: height and width of what the layer sees of a map; (1, 1) from the first linear layer on
    pooled: whether the average over the map is what the original layer saw
    """

    path: str
    grid: Shape
    pooled: bool


def _chain(layers: list[Named], grid: Shape, *, pooled: bool) -> dict[str, nn.Module]:
    converted: dict[str, nn.Module] = {}
    for path, layer in layers:
        converted[_name(path)] = _on_maps(layer, Place(path, grid, pooled))
        if isinstance(layer, nn.Linear):
            grid = (1, 1)
    return converted


def _name(path: str) -> str:
    """A module's name may not hold a dot."""
    return path.replace(".", "_")


@singledispatch
def _on_maps(layer: nn.Module, place: Place) -> nn.Module:
    """The layer on maps [B, C, H, W] that stands for `layer` on vectors [B, C]; parameters are the same ones."""
    if next(layer.parameters(), None) is not None or not _acts_on_each_location(layer):
        raise _unconvertible(layer, place)
    return layer


@_on_maps.register
def _linear(layer: nn.Linear, place: Place) -> nn.Module:
    if not all(_is_dropout(child) for child in layer.children()):
        raise _unconvertible(layer, place)
    height, width = place.grid
    channels = layer.in_features // (height * width)
    # On the meta device, so that there is nothing to allocate, to fill or to draw.
    conv = nn.Conv2d(channels, layer.out_features, place.grid, bias=layer.bias is not None, device="meta")
    weight = layer.weight.detach().view(-1, channels, height, width)
    conv.weight = nn.Parameter(weight, requires_grad=layer.weight.requires_grad)
    conv.bias = layer.bias
    return conv


@_on_maps.register
def _conv(layer: nn.Conv2d, place: Place) -> nn.Module:
    if (layer.kernel_size, layer.stride, layer.padding) != ((1, 1), (1, 1), (0, 0)):
        raise _unconvertible(layer, place)
    return layer


@_on_maps.register
def _layer_norm(layer: nn.LayerNorm, place: Place) -> nn.Module:
    if len(layer.normalized_shape) != 1 or place.grid != (1, 1):
        raise _unconvertible(layer, place)
    norm = MapNorm(layer.normalized_shape, eps=layer.eps, device="meta")
    norm.weight, norm.bias = layer.weight, layer.bias
    norm.pooled = place.pooled
    return norm


@_on_maps.register
def _batch_norm(layer: nn.BatchNorm2d, place: Place) -> nn.Module:
    return layer


@_on_maps.register
def _dropout(layer: nn.Dropout, place: Place) -> nn.Module:
    # An entry of a vector is a whole channel of a map; before the first linear layer it is one cell of the grid.
    return nn.Dropout2d(layer.p, layer.inplace) if place.grid == (1, 1) else layer


@_on_maps.register
def _heads(layer: ftrun.Heads, place: Place) -> nn.Module:
    def convert(target: str, head: nn.Module) -> nn.Module:
        converted = _chain(list(_unpack(f"{place.path}.{target}", head)), place.grid, pooled=place.pooled)
        return next(iter(converted.values())) if len(converted) == 1 else nn.Sequential(*converted.values())

    return ftrun.Heads({target: convert(target, head) for target, head in layer.items()})


def _is_dropout(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Dropout)


def _unconvertible(layer: nn.Module, place: Place) -> ftrun.SpecError:
    return ftrun.SpecError(
        f"the layer {place.path!r} ({type(layer).__name__}) cannot be turned into a convolution. {WORKS_ON}"
    )


def _acts_on_each_location(layer: Callable[[Tensor], Tensor]) -> bool:
    """Whether `layer` gives each location of a map what it gives the vector there."""
    x = _random(torch.Size((2, 4, 2, 6)))
    vectors = x.movedim(1, 3)
    at_each = layer(vectors.reshape(-1, 4)).reshape(*vectors.shape[:3], -1).movedim(3, 1)
    on_map = layer(x.clone())
    return on_map.shape == at_each.shape and torch.allclose(on_map, at_each, atol=1e-5)


def _check_exact(net: ftrun.Net, head: ScoreMap, shape: torch.Size) -> None:
    """Compare with the original, on random features: this finds layers that are not what their class says."""
    features = _random(shape).to(next(net.parameters()))
    before, after = net.head(net.pool(features.clone())), head(features.clone())
    for name in before if isinstance(before, dict) else [None]:
        expected, actual = (before, after) if name is None else (before[name], after[name])
        error, scale = (expected - actual).abs().max().item(), expected.abs().max().item()
        if not error <= 1e-4 * scale + 1e-6:
            kinds = sorted({type(layer).__name__ for _, layer in _flat(_layers(net)[1:])})
            raise ftrun.SpecError(
                f"as convolutions the head of this net would give other scores (off by {error:.2g} of {scale:.2g}). "
                f"One of its layers does more than its class says: {', '.join(kinds)}. {WORKS_ON}"
            )


def _random(shape: torch.Size) -> Tensor:
    """Standard normal float32, always the same: building a net draws nothing from the global generator here."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def _install(net: ftrun.Net, head: ScoreMap, neck: list[nn.Module], channels: int) -> ftrun.Net:
    """Put `head` into `net`. Its layers live under `head_path`, so that each parameter is in the library's module once.

    neck: those of its layers that are not the head's own: heads that take a map get what comes out of them, so that
        they see what the library's last layer sees, at each location
    """
    if neck and net.takes:
        if head[0] is not neck[0]:  # an average over a window
            neck = [head[0], *neck]
        net.set_neck(MapNeck(neck, head.window).train(net.training))
    for path in net.pool_layers:
        net.model.set_submodule(path, nn.Identity().train(net.training))
    net.replace_head(head if net.embedded_targets or not net.targets else nn.Identity())
    net.pool_layers, net.embeds, net.num_features = (), False, channels
    return net


@contextmanager
def _evaluating(net: nn.Module) -> Iterator[None]:
    """Evaluation mode inside, and after it each module's own mode again."""
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
