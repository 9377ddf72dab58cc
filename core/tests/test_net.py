import copy
from typing import Literal

import pytest
import torch
from torch import nn

from ftrun import Classes, Heads, Net, SpecError, Values
from ftrun_inputs import ImageInput


class Small(Net):
    def features(self, x):
        return self.model.body(x)

    def pool(self, features):
        return features.mean((2, 3))


def small(**changes) -> Small:
    model = nn.Module()
    model.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    model.top = nn.Sequential(nn.Dropout(0.1), nn.Linear(4, 1000))
    settings = {"head_path": "top.1", "stages": {"stem": ["body.0"], "norm": ["body.1"]}, "num_features": 4}
    return Small(model, **({"input": ImageInput(size=(8, 8)), **settings} | changes))


TARGETS = {"label": Classes(names=("a", "b", "c"))}


def test_forward_is_by_target_what_the_head_makes_of_pool_of_features():
    net = small().eval()
    x = torch.randn(2, 3, 8, 8)
    assert net(x) == {}, "there is no target yet"
    net.set_targets(TARGETS)
    embedding = net.pool(net.features(x))
    assert torch.equal(net.embed(x), embedding)
    assert list(net(x)) == ["label"]
    assert torch.equal(net(x)["label"], net.head(embedding))
    assert net(x)["label"].shape == (2, 3)


def test_a_net_that_does_not_embed_hands_its_features_to_the_head():
    net = small(embeds=False)
    net.set_targets(TARGETS)
    net.replace_head(nn.Sequential(nn.Conv2d(4, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(net.embed(x), net.features(x))
    assert net(x)["label"].shape == (2, 3)


def test_the_head_stays_in_the_librarys_module_under_its_name():
    net = small()
    net.set_targets(TARGETS)
    assert net.head is net.model.top[1]
    assert net.model.state_dict()["top.1.weight"].shape == (3, 4)


def test_stages_hold_every_parameter_once_in_order():
    net = small()
    assert net.stages == {
        "stem": ("model.body.0.weight", "model.body.0.bias"),
        "norm": ("model.body.1.weight", "model.body.1.bias"),
        "head": ("model.top.1.weight", "model.top.1.bias"),
    }


def test_the_longest_path_decides_and_nothing_is_left_out():
    stages = small(stages={"all": ["body"], "norm": ["body.1"]}).stages
    assert stages["all"] == ("model.body.0.weight", "model.body.0.bias")
    with pytest.raises(ValueError, match=r"'model\.body\.1\.weight' belongs to no stage"):
        _ = small(stages={"stem": ["body.0"]}).stages


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stages": {"stem": ["body.0", "bodi.1"]}}, r"stages: stem: Module has no 'bodi.1'. Did you mean 'body.1'\?"),
        ({"head_path": "top.2"}, r"head_path: Module has no layer 'top.2'. Did you mean 'top.\d'\?"),
    ],
    ids=["stages", "head_path"],
)
def test_a_path_that_leads_nowhere_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        small(**changes)


def test_several_targets_get_a_head_each():
    net = small()
    net.set_targets({**TARGETS, "price": Values()})
    assert isinstance(net.head, Heads)
    output = net(torch.randn(2, 3, 8, 8))
    assert {name: tuple(value.shape) for name, value in output.items()} == {"label": (2, 3), "price": (2, 1)}
    net.set_targets(TARGETS)
    assert list(net(torch.randn(2, 3, 8, 8))) == ["label"]


def test_a_copy_is_a_net_of_its_own():
    net = small()
    net.set_targets(TARGETS)
    twin = copy.deepcopy(net)
    nn.init.zeros_(twin.head.weight)
    assert net.head.weight.abs().sum() > 0
    assert twin.stages == net.stages


class Stepped(Small):
    """Two levels: of the stem, and the same at half the resolution."""

    def pyramid(self, x):
        stem = self.model.body(x)
        return stem, self._halved(stem)

    def features(self, x):
        return self._halved(self.model.body(x))

    def _halved(self, stem):
        return nn.functional.avg_pool2d(stem, 2)


def stepped() -> Stepped:
    plain = small()
    return Stepped(plain.model, input=plain.input, head_path="top.1", stages={"stem": ["body"]}, num_features=4)


class Reduced(nn.Module):
    """A head of a pyramid: the mean of each level, side by side."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, outputs)

    def forward(self, levels):
        return self.linear(torch.cat([level.mean((2, 3)) for level in levels], 1))


def test_levels_are_measured_and_nothing_is_changed_by_that():
    net = stepped().train()
    assert net.levels == ((4, 1), (4, 3)), "8 pixels, less a border of 2, and half of that"
    assert all(module.training for module in net.weights.modules())
    assert not net.model.body[1].num_batches_tracked
    assert small().levels == ((4, 1),)


def test_heads_beside_the_model_take_what_they_say():
    net = stepped().eval()
    targets = {"boxes": Values(names=("x", "y")), **TARGETS, "mask": Values()}
    net.set_targets(targets, {"label": nn.Linear(4, 3)}, {"boxes": "pyramid", "mask": "map"})
    net.add_head("boxes", Reduced(8, 2))
    net.add_head("mask", nn.Conv2d(4, 1, 1))
    x = torch.randn(2, 3, 8, 8)
    output = net(x)
    assert list(output) == ["boxes", "label", "mask"]
    assert torch.equal(output["label"], net.model.top[1](net.embed(x)))
    assert torch.equal(output["boxes"], net.heads["boxes"](net.pyramid(x)))
    assert torch.equal(output["mask"], net.heads["mask"](net.features(x)))
    assert isinstance(net.head, nn.Linear), "the only head in the library's module has the library's names"
    assert net.stages["head"][:2] == ("model.top.1.weight", "model.top.1.bias")
    assert {"heads.mask.weight", "heads.boxes.linear.bias"} <= {*net.stages["head"]}
    assert all(net.in_head(name) for name in net.stages["head"])
    net.freeze([stage for stage in net.stages if stage != "head"])
    net.train()
    assert net.heads["mask"].training
    assert not net.model.body.training
    assert [name for name, each in net.named_parameters() if each.requires_grad] == list(net.stages["head"])


def test_a_plain_target_is_the_only_one_of_a_vector_with_its_head_in_the_model():
    net = small()
    assert net.plain_target is None
    net.set_targets(TARGETS)
    assert net.plain_target is TARGETS["label"]
    net.set_targets({**TARGETS, "price": Values()})
    assert net.plain_target is None
    net.set_targets(TARGETS, {}, {"label": "map"})
    assert net.plain_target is None


def test_where_no_head_takes_the_embedding_the_librarys_place_is_empty():
    net = stepped()
    net.set_targets({"mask": Values()}, {}, {"mask": "map"})
    net.add_head("mask", nn.Conv2d(4, 1, 1))
    assert isinstance(net.head, nn.Identity)
    assert list(net(torch.randn(2, 3, 8, 8))) == ["mask"]
    assert net.stages["head"] == ("heads.mask.weight", "heads.mask.bias")
    with pytest.raises(SpecError, match=r"no head of this net takes the embedding, but the map\."):
        net.output_layer(4)


def test_a_neck_is_between_the_levels_and_the_heads_beside_the_model():
    class Doubled(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 6, 1)

        def forward(self, levels):
            return tuple(self.conv(level) for level in levels)

    net = stepped().eval()
    net.set_targets({**TARGETS, "mask": Values()}, {"label": nn.Linear(4, 3)}, {"mask": "map"})
    assert net.levels[-1].channels == 4
    net.set_neck(Doubled())
    assert net.levels == ((6, 1), (6, 3))
    net.add_head("mask", nn.Conv2d(6, 1, 1))
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(net(x)["mask"], net.heads["mask"](net.neck.conv(net.features(x))))
    assert torch.equal(net(x)["label"], net.head(net.embed(x)))
    assert "neck.conv.weight" in net.stages["head"]
    assert {*net.extra_modules.state_dict()} == {
        "heads.mask.weight",
        "heads.mask.bias",
        "neck.conv.weight",
        "neck.conv.bias",
    }


class Doubled(ImageInput):
    """Images, prepared by a module with weights of its own."""

    kind: Literal["doubled"] = "doubled"
    times: float = 2.0

    def preparation(self) -> nn.Module:
        return Times(self.times)


class Times(nn.BatchNorm2d):
    def __init__(self, times: float) -> None:
        super().__init__(3)
        self.register_buffer("times", torch.tensor(times))

    def forward(self, pixels):
        return pixels * self.times


def test_what_an_input_prepares_with_goes_with_the_net_and_never_learns():
    net = small(input=Doubled(size=(8, 8)))
    net.set_targets(TARGETS)
    net.train()
    assert not net.preparation.training
    assert not any(each.requires_grad for each in net.preparation.parameters())
    assert not any("preparation" in name for name in net.weights.state_dict())
    assert {name for names in net.stages.values() for name in names} == dict(net.weights.named_parameters()).keys()
    pixels = torch.ones(1, 3, 8, 8)
    assert torch.equal(net.prepare(pixels), pixels * 2)
    assert torch.equal(net.input.prepare(pixels), pixels * 2)
    assert torch.equal(copy.deepcopy(net).prepare(pixels), pixels * 2)
    net.set_input(net.input.changed(times=3.0))
    assert torch.equal(net.prepare(pixels), pixels * 3)
    assert net.to("meta").preparation.times.device.type == "meta"
