import copy

import pytest
import torch
from torch import nn

from ftrun import Classes, Heads, Net, Values
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
    return Small(model, input=ImageInput(size=(8, 8)), **(settings | changes))


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
        "stem": ("body.0.weight", "body.0.bias"),
        "norm": ("body.1.weight", "body.1.bias"),
        "head": ("top.1.weight", "top.1.bias"),
    }


def test_the_longest_path_decides_and_nothing_is_left_out():
    assert small(stages={"all": ["body"], "norm": ["body.1"]}).stages["all"] == ("body.0.weight", "body.0.bias")
    with pytest.raises(ValueError, match=r"'body\.1\.weight' belongs to no stage"):
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
