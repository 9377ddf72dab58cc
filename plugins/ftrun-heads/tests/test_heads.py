from collections.abc import Sequence

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torchvision.models import resnet18, vgg11

import ftrun
import ftrun_inputs
from ftrun_heads import AddLayers, Linear, Mlp, ReplaceHead, ftrun_modifiers

ONE = {"label": ftrun.Classes(names=("cat", "dog", "owl"))}
TWO = {**ONE, "age": ftrun.Values()}


class ResNetLike(ftrun.Net):
    def features(self, x: Tensor) -> Tensor:
        m = self.model
        x = m.maxpool(m.relu(m.bn1(m.conv1(x))))
        return m.layer4(m.layer3(m.layer2(m.layer1(x))))

    def pool(self, features: Tensor) -> Tensor:
        return self.model.avgpool(features).flatten(1)


def resnet(targets: dict[str, ftrun.Target] = ONE) -> ResNetLike:
    stages = {
        "stem": ("conv1", "bn1"),
        **{name: (name,) for name in ("layer1", "layer2", "layer3", "layer4")},
    }
    net = ResNetLike(
        resnet18(weights=None),
        input=ftrun_inputs.ImageInput(size=(32, 32)),
        num_features=512,
        head_path="fc",
        stages=stages,
        pool_layers=("avgpool",),
    )
    net.set_targets(targets)
    return net


class Small(ftrun.Net):
    """The embedding is the input itself; what matters here is the head."""

    def features(self, x: Tensor) -> Tensor:
        return x

    def pool(self, features: Tensor) -> Tensor:
        return features.flatten(1)


def small(targets: dict[str, ftrun.Target] = ONE, *, cls: type[Small] = Small, embeds: bool = True) -> Small:
    net = cls(
        nn.ModuleDict({"fc": nn.Identity()}),
        input=ftrun_inputs.ImageInput(size=(1, 1)),
        num_features=6,
        head_path="fc",
        stages={},
        embeds=embeds,
    )
    net.set_targets(targets)
    return net


def types(head: nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in head.children()]


def add_layers(*sizes: int, **options: object) -> AddLayers:
    return AddLayers(name="add-layers", sizes=sizes, **options)


def test_the_plugin_offers_both() -> None:
    assert ftrun_modifiers() == [ReplaceHead, AddLayers]


class TestReplaceHead:
    @pytest.mark.parametrize("dropout", [0.0, 0.5])
    def test_the_library_loads_the_weights(self, dropout: float) -> None:
        net = ReplaceHead(name="replace-head", dropout=dropout).build(resnet())
        assert net.stages["head"] == ("model.fc.weight", "model.fc.bias")
        library = resnet18(weights=None, num_classes=3)
        library.load_state_dict(net.model.state_dict())
        x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(net.eval()(x)["label"], library.eval()(x))

    def test_the_layer_is_fresh(self) -> None:
        net = small()
        before = net.head.weight.clone()
        assert not torch.equal(ReplaceHead(name="replace-head").build(net).head.weight, before)

    def test_dropout_zeroes_the_embedding_in_training_only(self) -> None:
        net = ReplaceHead(name="replace-head", dropout=0.25).build(small())
        nn.init.eye_(net.head.weight)
        nn.init.zeros_(net.head.bias)
        x = torch.ones(4000, 6)
        kept = net.train()(x)["label"]
        assert kept.unique().tolist() == pytest.approx([0, 1 / 0.75])
        assert (kept == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
        assert torch.equal(net.eval()(x)["label"], torch.ones(4000, 3))

    def test_without_dropout_it_is_a_plain_linear_layer(self) -> None:
        assert type(ReplaceHead(name="replace-head").build(small()).head) is nn.Linear

    def test_several_targets_draw_their_dropout_apart(self) -> None:
        net = ReplaceHead(name="replace-head", dropout=0.5).build(small(TWO))
        assert isinstance(net.head, ftrun.Heads)
        seen: dict[str, Tensor] = {}
        for name, head in net.head.items():
            head.dropout.register_forward_hook(lambda _m, _i, output, name=name: seen.update({name: output}))
        output = net.train()(torch.ones(50, 6))
        assert {name: value.shape for name, value in output.items()} == {"label": (50, 3), "age": (50, 1)}
        assert not torch.equal(seen["label"], seen["age"])
        assert sorted(net.model.state_dict()) == [
            "fc.age.bias", "fc.age.weight", "fc.label.bias", "fc.label.weight",
        ]  # fmt: skip

    def test_an_output_layer_of_the_nets_own_kind_is_kept(self) -> None:
        class Own(Small):
            def new_output(self, in_features: int, outputs: int) -> nn.Module:
                return nn.Bilinear(in_features, 1, outputs)

        assert types(ReplaceHead(name="replace-head", dropout=0.5).build(small(cls=Own)).head) == [
            "Dropout",
            "Bilinear",
        ]

    def test_an_output_layer_without_bias_stays_without(self) -> None:
        class NoBias(Small):
            def new_output(self, in_features: int, outputs: int) -> nn.Module:
                return nn.Linear(in_features, outputs, bias=False)

        net = ReplaceHead(name="replace-head", dropout=0.5).build(small(cls=NoBias))
        assert list(net.model.state_dict()) == ["fc.weight"]
        assert net(torch.randn(2, 6))["label"].shape == (2, 3)

    def test_dropout_of_one_is_refused(self) -> None:
        with pytest.raises(ValidationError, match="dropout"):
            ReplaceHead(name="replace-head", dropout=1.0)


class TestAddLayers:
    def test_layers_in_order(self) -> None:
        net = add_layers(5, 4, activation="gelu", dropout=0.1).build(small())
        assert types(net.head) == ["Linear", "GELU", "Dropout", "Linear", "GELU", "Dropout", "Linear"]
        widths = [layer.weight.shape for layer in net.head if isinstance(layer, nn.Linear)]
        assert widths == [(5, 6), (4, 5), (3, 4)]
        assert net.head[2].p == 0.1
        assert net(torch.randn(7, 6))["label"].shape == (7, 3)

    def test_without_dropout_there_is_no_dropout_layer(self) -> None:
        assert types(add_layers(5).build(small()).head) == ["Linear", "ReLU", "Linear"]

    @pytest.mark.parametrize(
        ("activation", "function"),
        [
            ("relu", torch.relu),
            ("gelu", nn.functional.gelu),
            ("silu", nn.functional.silu),
            ("tanh", torch.tanh),
        ],
    )
    def test_computes_what_it_says(self, activation: str, function: object) -> None:
        net = add_layers(5, activation=activation).build(small())
        x = torch.randn(4, 6)
        first, last = net.head[0], net.head[-1]
        by_hand = function(x @ first.weight.T + first.bias) @ last.weight.T + last.bias
        torch.testing.assert_close(net(x)["label"], by_hand)

    def test_several_targets_share_the_hidden_layers(self) -> None:
        net = add_layers(5).build(small(TWO))
        assert types(net.head) == ["Linear", "ReLU", "Heads"]
        output = net(torch.randn(2, 6))
        assert {name: value.shape for name, value in output.items()} == {"label": (2, 3), "age": (2, 1)}

    def test_learns_what_a_linear_head_cannot(self) -> None:
        torch.manual_seed(0)
        x = torch.randn(200, 6)
        label = ((x[:, 0] > 0) != (x[:, 1] > 0)).long()

        def accuracy(net: ftrun.Net) -> float:
            optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
            for _ in range(150):
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(x)["label"], label).backward()
                optimizer.step()
            return (net(x)["label"].argmax(1) == label).float().mean().item()

        assert accuracy(add_layers(32).build(small())) > 0.95
        assert accuracy(small()) < 0.75

    @pytest.mark.parametrize("sizes", [(), (0,), (16, -1)])
    def test_wrong_sizes_are_refused(self, sizes: Sequence[int]) -> None:
        with pytest.raises(ValidationError, match="sizes"):
            add_layers(*sizes)

    def test_reads_a_list_from_json(self) -> None:
        part = AddLayers.model_validate_json('{"name": "add-layers", "sizes": [256, 128]}')
        assert part.sizes == (256, 128)

    def test_a_vgg_keeps_its_fully_connected_layers(self) -> None:
        with torch.device("meta"):
            model = vgg11(weights=None)
        net = Small(
            model,
            input=ftrun_inputs.ImageInput(size=(224, 224)),
            num_features=4096,
            head_path="classifier.6",
            stages={"features": ("features",), "fc": ("classifier",)},
        )
        net.set_targets(ONE)
        add_layers(8).build(net)
        assert net.stages["fc"] == tuple(f"model.classifier.{i}.{p}" for i in (0, 3) for p in ("weight", "bias"))
        assert net.stages["head"] == tuple(f"model.classifier.6.{i}.{p}" for i in (0, 2) for p in ("weight", "bias"))


class TestTogether:
    def test_the_last_one_counts(self) -> None:
        layers, plain = add_layers(5), ReplaceHead(name="replace-head")
        assert type(plain.build(layers.build(small())).head) is nn.Linear
        assert types(layers.build(plain.build(small())).head) == ["Linear", "ReLU", "Linear"]
        assert len(add_layers(4, 3).build(layers.build(small())).head) == 5

    @pytest.mark.parametrize("part", [ReplaceHead(name="replace-head"), add_layers(5)], ids=lambda part: part.name)
    def test_a_net_without_an_embedding_is_refused(self, part: ftrun.Modifier) -> None:
        with pytest.raises(ftrun.SpecError, match=f"put '{part.name}' before 'fc-to-conv' in `modifiers`"):
            part.build(small(embeds=False))

    @pytest.mark.parametrize(
        "part", [ReplaceHead(name="replace-head", dropout=0.3), add_layers(5)], ids=lambda part: part.name
    )
    def test_the_same_seed_gives_the_same_head(self, part: ftrun.Modifier) -> None:
        def built() -> dict[str, Tensor]:
            net = small()
            torch.manual_seed(3)
            return part.build(net).state_dict()

        first, second = built(), built()
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first)


class TestHeads:
    def test_each_target_has_its_own(self) -> None:
        net = small()
        linear, mlp = Linear(name="linear", dropout=0.5), Mlp(name="mlp", sizes=(5,), activation="gelu")
        net.set_targets(TWO, {"label": linear.build(net, TWO["label"]), "age": mlp.build(net, TWO["age"])})
        assert isinstance(net.head, ftrun.Heads)
        assert isinstance(net.head["label"], nn.Linear)
        assert net.head["label"].dropout.p == 0.5
        assert types(net.head["age"]) == ["Linear", "GELU", "Linear"]
        assert {name: each.shape for name, each in net(torch.randn(2, 6)).items()} == {"label": (2, 3), "age": (2, 1)}

    def test_linear_is_what_a_target_has_by_itself(self) -> None:
        assert type(Linear(name="linear").build(small(), ONE["label"])) is nn.Linear
