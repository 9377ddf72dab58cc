import copy
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision.models.convnext import LayerNorm2d

import ftrun
import ftrun_inputs
from ftrun_fc_to_conv import FcToConv, ftrun_modifiers
from ftrun_heads import AddLayers, ReplaceHead
from ftrun_timm import Timm
from ftrun_torchvision import Torchvision

ONE = {"label": ftrun.Classes(names=("cat", "dog", "owl"))}
TWO = {**ONE, "age": ftrun.Values()}
FC_TO_CONV = FcToConv(name="fc-to-conv")
ADD_LAYERS = AddLayers(name="add-layers", sizes=(16, 8), activation="gelu", dropout=0.2)
REPLACE_HEAD = ReplaceHead(name="replace-head", dropout=0.3)


class Plain(ftrun.Net):
    """Features by the library's own function; pool runs `pool_layers`, flattening where the contract says so."""

    def features(self, x: Tensor) -> Tensor:
        return (getattr(self.model, "forward_features", None) or self.model.features)(x)

    def pool(self, features: Tensor) -> Tensor:
        for path in self.pool_layers:
            layer = self.model.get_submodule(path)
            features = layer(features.flatten(1) if isinstance(layer, nn.Linear) else features)
        return features.flatten(1)


def net_of(
    model: nn.Module,
    size: int | tuple[int, int],
    num_features: int,
    head_path: str,
    pool_layers: Sequence[str],
    targets: dict[str, ftrun.Target] = ONE,
) -> ftrun.Net:
    stages = {name: (name,) for name, _ in model.named_children()}
    net = Plain(
        model,
        input=ftrun_inputs.ImageInput(size=size),
        num_features=num_features,
        head_path=head_path,
        stages=stages,
        pool_layers=pool_layers,
    )
    net.set_targets(targets)
    return net


class Toy(nn.Module):
    """A convolution of stride 4, then any head: quick, for what does not hang on a library's net."""

    def __init__(self, pool: nn.Module, channels: int = 6, **layers: nn.Module) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, channels, 4, stride=4)
        self.pool = pool
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.fc = nn.Identity()


def toy(
    *,
    pool: nn.Module | None = None,
    targets: dict[str, ftrun.Target] = ONE,
    size: tuple[int, int] = (16, 24),
    num_features: int = 6,
    **layers: nn.Module,
) -> ftrun.Net:
    model = Toy(pool or nn.AdaptiveAvgPool2d(1), **layers)
    return net_of(model, size, num_features, "fc", ("pool", *layers), targets)


def seeded(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def converted(net: ftrun.Net, *first: ftrun.Modifier) -> tuple[ftrun.Net, ftrun.Net]:
    """The net after `first` and its converted copy, both in float64 and evaluation mode."""
    for modifier in first:
        net = modifier.build(net)
    result = FC_TO_CONV.build(copy.deepcopy(net))
    return net.double().eval(), result.double().eval()


def fresh(backbone: ftrun.Backbone, size: int) -> ftrun.Net:
    net = backbone.build({"size": (size, size)})
    net.set_targets(ONE)
    return net


def tv(model: str, size: int = 64) -> ftrun.Net:
    return fresh(Torchvision(name="torchvision", model=model, weights=None), size)


def of_timm(model: str, size: int = 64) -> ftrun.Net:
    return fresh(Timm(name="timm", model=model, pretrained=False), size)


GLOBAL = {
    **{f"timm {name}": partial(of_timm, name) for name in ("test_resnet", "test_efficientnet", "test_convnext")},
    **{f"torchvision {name}": partial(tv, name) for name in ("shufflenet_v2_x0_5", "mobilenet_v2")},
}
# Of 28 M weights: what they put between pool and head, timm's small ones and the toys put there too.
LARGE = {f"torchvision {name}": partial(tv, name) for name in ("convnext_tiny", "swin_t")}
WINDOWED = {
    **{f"timm {name}": partial(of_timm, name) for name in ("mobilenetv3_small_050", "mobilenetv4_conv_small_035")},
    "torchvision mobilenet_v3_small": partial(tv, "mobilenet_v3_small"),
}
GRID = {
    "alexnet": (partial(tv, "alexnet", 224), 6),
    "vgg11": (partial(tv, "vgg11", 224), 7),
}


def windows(features: Tensor, height: int, width: int) -> Iterator[tuple[int, int, Tensor]]:
    """Each window of the features, with its place: what a score map must agree with, one by one."""
    for i in range(features.shape[2] - height + 1):
        for j in range(features.shape[3] - width + 1):
            yield i, j, features[:, :, i : i + height, j : j + width]


def assert_slides(before: ftrun.Net, after: ftrun.Net, features: Tensor, height: int, width: int) -> None:
    """The map is the original head on each window; the output is the map's mean."""
    scores = after.head.map(features)
    assert scores.shape[2:] == (features.shape[2] - height + 1, features.shape[3] - width + 1)
    for i, j, window in windows(features, height, width):
        torch.testing.assert_close(scores[:, :, i, j], before.head(before.pool(window)), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(after.head(features), scores.mean((2, 3)), rtol=1e-12, atol=1e-12)


def test_the_plugin_offers_it() -> None:
    assert ftrun_modifiers() == [FcToConv]


class TestGlobalAverage:
    """Average pooling and then affine layers: the mean of the map is the output, at any size."""

    @pytest.mark.parametrize(
        "build",
        [
            pytest.param(each, id=name, marks=[pytest.mark.slow] * (name in LARGE))
            for name, each in (GLOBAL | LARGE).items()
        ],
    )
    @torch.no_grad()
    def test_exact_at_any_size(self, build: Callable[[], ftrun.Net]) -> None:
        """From images; and exactly, from the features on: convolutions in float64 are slow on a CPU."""
        before = build().eval()
        x = seeded(2, 3, 96, 64).float()
        after = FC_TO_CONV.build(copy.deepcopy(before))
        torch.testing.assert_close(after(x)["label"], before(x)["label"], rtol=1e-4, atol=1e-5)
        assert after.head.map(after.features(x)).shape == (2, 3, 3, 2)
        before.double(), after.double()
        for height, width in [(2, 2), (4, 5), (1, 1)]:
            features = seeded(2, after.num_features, height, width)
            scores = after.head.map(features)
            assert scores.shape == (2, 3, height, width)
            torch.testing.assert_close(after.head(features), scores.mean((2, 3)), rtol=1e-12, atol=1e-12)
            expected = before.head(before.pool(features))
            torch.testing.assert_close(after.head(features), expected, rtol=1e-10, atol=1e-10)

    @torch.no_grad()
    def test_with_hidden_layers_it_becomes_a_sliding_window(self) -> None:
        before, after = converted(GLOBAL["timm test_convnext"](), ADD_LAYERS)
        assert_slides(before, after, seeded(2, before.num_features, 3, 4), 2, 2)

    @torch.no_grad()
    def test_after_replace_head(self) -> None:
        before, after = converted(GLOBAL["timm test_resnet"](), REPLACE_HEAD)
        features = seeded(2, before.num_features, 3, 4)
        expected = before.head(before.pool(features))
        torch.testing.assert_close(after.head(features), expected, rtol=1e-10, atol=1e-10)
        assert [layer.p for layer in after.head if isinstance(layer, nn.Dropout2d)] == [0.3]

    def test_dropout_drops_the_same_thing_as_before(self) -> None:
        # A dropped feature is gone everywhere, so that the mean of the map is still the head of a dropped embedding.
        _, after = converted(toy(), REPLACE_HEAD)
        after.head.train()
        conv = after.head[-1]
        conv.weight.data.fill_(0)
        conv.weight.data[0, 0] = 1
        conv.bias.data.fill_(0)
        scores = after.head.map(torch.ones(100, 6, 4, 6, dtype=torch.float64))[:, 0]
        assert torch.equal(scores, scores[:, :1, :1].expand_as(scores))
        assert sorted(scores.unique().tolist()) == pytest.approx([0, 1 / 0.7])


class TestGrid:
    """VGG and AlexNet: the first linear layer becomes a convolution with a kernel as large as the grid it takes."""

    @pytest.mark.slow  # of 60 M weights and more, and the same layers as below
    @pytest.mark.parametrize(("build", "side"), GRID.values(), ids=GRID)
    @torch.no_grad()
    def test_exact_at_native_size_and_larger_beyond(self, build: Callable[[], ftrun.Net], side: int) -> None:
        net = build().eval()
        linear = [each for each in net.model.classifier if isinstance(each, nn.Linear)]
        parameters = sum(p.numel() for p in net.parameters())
        x = seeded(2, 3, 224, 224).float()
        native, larger = net.features(x), seeded(1, net.features(x[:1]).shape[1], side + 1, side + 2).float()
        expected = net(x)["label"]
        expected_windows = {(i, j): net.head(net.pool(each)) for i, j, each in windows(larger, side, side)}
        net = FC_TO_CONV.build(net)
        assert net.head.map(native).shape == (2, 3, 1, 1)
        torch.testing.assert_close(net(x)["label"], expected, rtol=1e-5, atol=1e-6)
        scores = net.head.map(larger)
        assert scores.shape == (1, 3, 2, 3)
        for (i, j), expected in expected_windows.items():
            # Sums of 25,088 products in another order: 2e-6 apart on some processors, where windows differ by 0.07.
            torch.testing.assert_close(scores[:, :, i, j], expected, rtol=1e-4, atol=1e-5)
        assert net.head.map(net.features(x.new_zeros(1, 3, 288, 256))).shape == (1, 3, 3, 2)
        self.assert_of_the_same_weights(net, linear, (side, side))
        assert sum(p.numel() for p in net.parameters()) == parameters

    def assert_of_the_same_weights(self, net: ftrun.Net, linear: list[nn.Linear], side: tuple[int, int]) -> None:
        """The pretrained layers are there with their weights, and in no other place."""
        convs = [each for each in net.head if isinstance(each, nn.Conv2d)]
        assert [conv.kernel_size for conv in convs] == [side, (1, 1), (1, 1)]
        for conv, layer in zip(convs, linear, strict=True):
            assert torch.equal(conv.weight.flatten(1), layer.weight)
            assert (conv.bias is None) == (layer.bias is None)
            assert layer.bias is None or torch.equal(conv.bias, layer.bias)
        assert not any(isinstance(each, nn.Linear) for each in net.modules())

    @torch.no_grad()
    def test_exact_in_double(self) -> None:
        net = toy(
            pool=nn.AdaptiveAvgPool2d((4, 6)),
            num_features=10,
            drop=nn.Dropout(0.5),
            fc6=nn.Linear(6 * 4 * 6, 10, bias=False),
            relu=nn.ReLU(inplace=True),
            drop7=nn.Dropout(0.5),
            fc7=nn.Linear(10, 10),
            relu7=nn.ReLU(inplace=True),
        )
        before, after = converted(net)
        layers = [each for each in before.model.modules() if isinstance(each, nn.Linear)]
        self.assert_of_the_same_weights(after, layers, (4, 6))
        assert sum(p.numel() for p in after.parameters()) == sum(p.numel() for p in before.parameters())
        assert_slides(before, after, seeded(2, 6, 6, 8), 4, 6)
        x = seeded(2, 3, 16, 24)
        torch.testing.assert_close(after(x)["label"], before(x)["label"], rtol=1e-10, atol=1e-10)

    def test_dropout_on_the_grid_drops_single_cells(self) -> None:
        net = toy(pool=nn.AdaptiveAvgPool2d((4, 6)), num_features=10, drop=nn.Dropout(0.5), fc6=nn.Linear(144, 10))
        kinds = [type(layer).__name__ for layer in FC_TO_CONV.build(REPLACE_HEAD.build(net)).head]
        assert kinds == ["Dropout", "Conv2d", "Dropout2d", "Conv2d"]

    def test_features_smaller_than_the_grid_are_refused(self) -> None:
        net = toy(pool=nn.AdaptiveAvgPool2d(6), size=(12, 12), num_features=10, fc6=nn.Linear(216, 10))
        with pytest.raises(ftrun.SpecError, match=r"features are 3 x 3, .* takes 6 x 6 .* larger `input.size`"):
            FC_TO_CONV.build(net)

    @torch.no_grad()
    def test_an_input_size_above_the_grid_gives_a_larger_map(self) -> None:
        net = toy(pool=nn.AdaptiveAvgPool2d(2), num_features=10, fc6=nn.Linear(24, 10))
        before, after = converted(net)
        assert after.head.map(after.features(seeded(1, 3, 16, 24))).shape == (1, 3, 3, 5)
        assert_slides(before, after, seeded(1, 6, 4, 6), 2, 2)


class TestWindow:
    """Average pooling and then layers that are not affine: the window of the native size slides."""

    @pytest.mark.parametrize("build", WINDOWED.values(), ids=WINDOWED)
    @torch.no_grad()
    def test_exact_at_native_size_and_larger_beyond(self, build: Callable[[], ftrun.Net]) -> None:
        before, after = converted(build())
        assert_slides(before, after, seeded(2, after.num_features, 2, 2), 2, 2)
        assert_slides(before, after, seeded(2, after.num_features, 3, 4), 2, 2)
        before, after = before.float(), after.float()
        x = seeded(2, 3, 64, 64).float()
        torch.testing.assert_close(after(x)["label"], before(x)["label"], rtol=1e-4, atol=1e-6)
        assert after.head.map(after.features(x)).shape == (2, 3, 1, 1)
        assert after.head.map(after.features(seeded(1, 3, 96, 128).float())).shape == (1, 3, 2, 3)

    @torch.no_grad()
    def test_a_native_size_that_is_not_square(self) -> None:
        before, after = converted(toy(), ADD_LAYERS)
        assert_slides(before, after, seeded(2, 6, 6, 7), 4, 6)

    @torch.no_grad()
    def test_a_native_map_of_one_cell(self) -> None:
        before, after = converted(toy(size=(4, 4)), ADD_LAYERS)
        assert_slides(before, after, seeded(2, 6, 2, 3), 1, 1)

    def test_an_image_smaller_than_the_window_is_an_error(self) -> None:
        _, net = converted(toy(), ADD_LAYERS)
        with pytest.raises(ftrun.DataError, match="features are 3 x 6, and the head sees windows of 4 x 6"):
            net(seeded(1, 3, 12, 24))


class TestSeveralTargets:
    @pytest.mark.parametrize("first", [[], [REPLACE_HEAD], [ADD_LAYERS]], ids=["plain", "replace-head", "add-layers"])
    @torch.no_grad()
    def test_a_map_for_each(self, first: list[ftrun.Modifier]) -> None:
        before, after = converted(toy(targets=TWO), *first)
        x = seeded(2, 3, 16, 24)
        expected, output = before(x), after(x)
        assert list(output) == ["label", "age"]
        for name in output:
            torch.testing.assert_close(output[name], expected[name], rtol=1e-10, atol=1e-10)
        maps = after.head.map(after.features(seeded(2, 3, 24, 24)))
        size = (3, 1) if first == [ADD_LAYERS] else (6, 6)
        assert {name: each.shape for name, each in maps.items()} == {"label": (2, 3, *size), "age": (2, 1, *size)}


class TestTheNet:
    def test_what_it_declares(self) -> None:
        net = toy(hidden=nn.Linear(6, 10), num_features=10)
        image, targets, kind = net.input, net.targets, type(net)
        net = FC_TO_CONV.build(net)
        assert type(net) is kind
        assert (net.input, net.targets, net.head_path) == (image, targets, "fc")
        assert (net.embeds, net.pool_layers, net.num_features) == (False, (), 6)
        x = seeded(1, 3, 16, 24).to(next(net.parameters()))
        assert torch.equal(net.embed(x), net.features(x)), "its head takes the map itself"

    def test_stages_and_names(self) -> None:
        net = FC_TO_CONV.build(ADD_LAYERS.build(toy(norm=LayerNorm2d(6), conv=nn.Conv2d(6, 6, 1))))
        assert net.stages == {
            "features": ("model.features.weight", "model.features.bias"),
            "head": tuple(
                f"model.fc.{layer}.{each}"
                for layer in ("norm", "conv", "fc_0", "fc_3", "fc_6")
                for each in ("weight", "bias")
            ),
        }

    def test_frozen_parameters_stay_frozen(self) -> None:
        net = toy(hidden=nn.Linear(6, 10), num_features=10)
        net.model.hidden.requires_grad_(False)
        net = FC_TO_CONV.build(net)
        assert {name for name, p in net.model.named_parameters() if not p.requires_grad} == {
            "fc.hidden.weight",
            "fc.hidden.bias",
        }

    def test_each_module_keeps_its_mode(self) -> None:
        net = toy(norm=nn.BatchNorm2d(6)).train()
        net.model.features.eval()
        before = net.model.norm.running_mean.clone()
        net = FC_TO_CONV.build(net)
        assert all(module.training for module in net.head.modules())
        assert not net.model.features.training
        assert torch.equal(net.head.norm.running_mean, before)
        assert not any(module.training for module in FC_TO_CONV.build(toy().eval()).modules())

    def test_draws_nothing(self) -> None:
        net = ADD_LAYERS.build(toy())
        torch.manual_seed(5)
        FC_TO_CONV.build(net)
        drawn = torch.rand(3)
        torch.manual_seed(5)
        assert torch.equal(drawn, torch.rand(3))

    @torch.no_grad()
    def test_weights_make_a_round_trip(self, tmp_path: Path) -> None:
        build = GLOBAL["timm test_convnext"]
        net, other = FC_TO_CONV.build(build()).eval(), FC_TO_CONV.build(build()).eval()
        save_file(net.model.state_dict(), tmp_path / "model.safetensors")
        other.model.load_state_dict(load_file(tmp_path / "model.safetensors"))
        x = seeded(2, 3, 64, 96).float()
        assert torch.equal(other(x)["label"], net(x)["label"])

    @torch.no_grad()
    def test_a_copy_is_its_own(self) -> None:
        net = FC_TO_CONV.build(toy()).eval()
        other = copy.deepcopy(net)
        x = seeded(2, 3, 16, 24).float()
        expected = net(x)["label"]
        assert torch.equal(other(x)["label"], expected)
        for parameter in other.parameters():
            parameter.zero_()
        assert torch.equal(net(x)["label"], expected)
        assert torch.equal(other.head.map(other.features(x)), torch.zeros(2, 3, 4, 6))

    @pytest.mark.parametrize("first", [[], [REPLACE_HEAD], [ADD_LAYERS]], ids=["plain", "replace-head", "add-layers"])
    def test_it_learns(self, first: list[ftrun.Modifier]) -> None:
        torch.manual_seed(0)
        net = toy(norm=LayerNorm2d(6))
        for modifier in [*first, FC_TO_CONV]:
            net = modifier.build(net)
        x, label = torch.randn(48, 3, 20, 24), torch.arange(48) % 3
        x[torch.arange(48), label] += 0.5
        start = {name: p.detach().clone() for name, p in net.named_parameters()}
        optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
        losses = []
        for _ in range(60):
            loss = nn.functional.cross_entropy(net(x)["label"], label)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.3 * losses[0]
        assert all(not torch.equal(p, start[name]) for name, p in net.named_parameters())

    def test_gradients_are_those_of_the_original(self) -> None:
        before, after = converted(toy(norm=LayerNorm2d(6)))
        x = seeded(2, 3, 24, 20)
        for net in (before, after):
            net(x)["label"].square().sum().backward()
        torch.testing.assert_close(after.model.features.weight.grad, before.model.features.weight.grad)
        torch.testing.assert_close(after.head.fc.weight.grad.flatten(1), before.head.weight.grad)
        torch.testing.assert_close(after.head.norm.weight.grad, before.model.norm.weight.grad.flatten())

    @pytest.mark.parametrize("name", ["timm test_resnet", "timm test_convnext", "timm mobilenetv3_small_050"])
    @torch.no_grad()
    def test_autocast(self, name: str) -> None:
        net = (GLOBAL | WINDOWED)[name]()
        before, after = net.eval(), FC_TO_CONV.build(copy.deepcopy(net)).eval()
        features = seeded(2, after.num_features, 2, 2).float()
        with torch.autocast("cpu", torch.bfloat16):
            assert after(seeded(1, 3, 64, 64).float())["label"].isfinite().all()
            output = after.head(features)
        torch.testing.assert_close(output.float(), before.head(before.pool(features)), rtol=0.05, atol=0.05)


class CosineLinear(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        return nn.functional.linear(nn.functional.normalize(input), self.weight, self.bias)


class LowRank(nn.Linear):
    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.down = nn.Linear(in_features, 2)


class Doubles(LayerNorm2d):
    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        return 2 * super().forward(input)


class TestRefuses:
    @pytest.mark.parametrize(
        ("layer", "message"),
        [
            (nn.Conv2d(6, 6, 3, padding=1), r"'layer' \(Conv2d\) cannot be turned into a convolution"),
            (nn.GroupNorm(2, 6), r"'layer' \(GroupNorm\) cannot"),
            (LowRank(6, 6), r"'layer' \(LowRank\) cannot"),
            (nn.LayerNorm([6, 1, 1]), r"'layer' \(LayerNorm\) cannot"),
            (nn.Softmax(-1), r"'layer' \(Softmax\) cannot"),
            (nn.Sequential(nn.ReLU(), nn.Sequential(nn.PReLU())), r"'layer.1.0' \(PReLU\) cannot"),
            (CosineLinear(6, 6), "other scores .* does more than its class says: CosineLinear, Linear"),
            (Doubles(6), "other scores .* does more than its class says: Doubles, Linear"),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
    )
    def test_a_layer_that_no_convolution_stands_for(self, layer: nn.Module, message: str) -> None:
        with pytest.raises(ftrun.SpecError, match=message) as error:
            FC_TO_CONV.build(toy(layer=layer))
        assert "works on nets that average" in str(error.value)

    @pytest.mark.parametrize(
        "pool",
        [nn.AdaptiveMaxPool2d(1), nn.AvgPool2d(2), nn.Conv2d(6, 6, 1), timm.layers.SelectAdaptivePool2d(pool_type="")],
        ids=["max", "fixed windows", "conv", "identity"],
    )
    def test_a_pooling_that_is_not_an_average(self, pool: nn.Module) -> None:
        with pytest.raises(ftrun.SpecError, match=rf"'pool' \({type(pool).__name__}\).* not an average pooling"):
            FC_TO_CONV.build(toy(pool=pool))

    def test_features_that_are_not_a_map(self) -> None:
        with pytest.raises(ftrun.SpecError, match=r"not a map \[B, C, H, W\] but have shape \[1, 5, 64\]"):
            FC_TO_CONV.build(of_timm("test_vit", 32))

    def test_a_pool_without_layers(self) -> None:
        net = toy()
        net.pool_layers = ()
        with pytest.raises(ftrun.SpecError, match="not a row of layers"):
            FC_TO_CONV.build(net)

    @pytest.mark.parametrize("build", [partial(tv, "squeezenet1_1"), lambda: FC_TO_CONV.build(toy())])
    def test_a_head_that_is_convolutional(self, build: Callable[[], ftrun.Net]) -> None:
        with pytest.raises(ftrun.SpecError, match="convolutional already"):
            FC_TO_CONV.build(build())

    @pytest.mark.parametrize("modifier", [REPLACE_HEAD, ADD_LAYERS], ids=lambda part: part.name)
    def test_a_head_modifier_after_it(self, modifier: ftrun.Modifier) -> None:
        with pytest.raises(ftrun.SpecError, match="before 'fc-to-conv'"):
            modifier.build(FC_TO_CONV.build(toy()))

    def test_a_net_that_is_refused_is_left_as_it_was(self) -> None:
        net = toy(layer=nn.GroupNorm(2, 6)).train()
        net.model.layer.eval()
        names = dict(net.model.named_modules())
        with pytest.raises(ftrun.SpecError):
            FC_TO_CONV.build(net)
        assert dict(net.model.named_modules()) == names
        assert [name for name, module in names.items() if not module.training] == ["layer"]


class TestHeadsThatTakeAMap:
    """They see at each location what the library's last layer sees of the whole."""

    def dense(self, *, label: bool = True, **layers: nn.Module) -> ftrun.Net:
        net = toy(num_features=10 if layers else 6, **layers)
        embedded = {"label": nn.Linear(net.num_features, 3)} if label else {}
        net.set_targets(TWO if label else {"age": TWO["age"]}, embedded, {"age": "map"})
        net = FC_TO_CONV.build(net)
        net.add_head("age", nn.Conv2d(net.levels[-1].channels, 1, 1))
        return net.double().eval()

    @torch.no_grad()
    def test_of_a_net_that_pools_and_no_more_it_is_the_features(self) -> None:
        net = self.dense()
        x = seeded(2, 3, 32, 40)
        assert net.neck is None
        assert torch.equal(net(x)["age"], net.heads["age"](net.features(x)))
        assert net(x)["label"].shape == (2, 3)

    @torch.no_grad()
    def test_layers_between_pooling_and_head_are_the_neck(self) -> None:
        net = self.dense(hidden=nn.Linear(6, 10), relu=nn.ReLU())
        x = seeded(2, 3, 16, 24)
        hidden = net.head[1](net.head[0](net.features(x))).relu()
        torch.testing.assert_close(net(x)["age"], net.heads["age"](hidden), rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(net(x)["label"], net.head[-1](hidden).mean((2, 3)), rtol=1e-10, atol=1e-10)
        assert net.neck[1].weight is net.head[1].weight, "there once"
        assert not any(name.startswith("neck") for name in net.stages["head"])
        with pytest.raises(ftrun.DataError, match="the image is too small"):
            net(seeded(1, 3, 12, 24))

    @torch.no_grad()
    def test_without_a_target_of_the_librarys_own_kind_there_is_no_score_map(self) -> None:
        net = self.dense(label=False, hidden=nn.Linear(6, 10))
        assert isinstance(net.head, nn.Identity)
        assert net.levels[-1].channels == 10
        assert {name: each.shape for name, each in net(seeded(2, 3, 32, 32)).items()} == {"age": (2, 1, 8, 8)}
        assert {"neck.0.weight", "heads.age.weight"} <= {*net.stages["head"]}
