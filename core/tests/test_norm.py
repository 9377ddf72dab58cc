"""Whose statistics batch normalisation goes by, and batches of one sample."""

import pytest
import torch
from torch import nn

from ftrun import Batch, Classes, Net, SpecError
from ftrun.spec.trainspec import Phase, Train
from ftrun.train.norm import FEWEST_STEPS, SMALLEST_BATCH, LoneSamples, choose, reason
from ftrun_inputs import ImageInput


class Normed(Net):
    def features(self, x):
        return self.model.body(x)

    def pool(self, features):
        return features.mean((2, 3))


def normed(*, pretrained: bool = True, norm: bool = True, head_norm: bool = False) -> Normed:
    model = nn.Module()
    model.body = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4) if norm else nn.Identity())
    model.head = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 2)) if head_norm else nn.Linear(4, 2)
    if pretrained and norm:
        nn.init.uniform_(model.body[1].running_mean)
    return Normed(model, input=ImageInput(size=(1, 1)), num_features=4, head_path="head", stages={"body": ["body"]})


def train(*phases: Phase, batch_size: int = 32, epochs: int = 10) -> Train:
    options = {"phases": phases} if phases else {"epochs": epochs}
    return Train(batch_size=batch_size, **options)


ALL, HEAD = Phase(epochs=10), Phase(epochs=10, freeze="features")


@pytest.mark.parametrize(
    ("net", "settings", "steps", "expected"),
    [
        (normed(), train(), 1, ["train"]),
        (normed(), train(batch_size=2), 1, ["train"]),
        (normed(), train(batch_size=1), 1, ["frozen"]),
        (normed(), train(ALL, HEAD, ALL), 1, ["train", "train", "frozen"]),
        (normed(), train(HEAD, ALL), FEWEST_STEPS // 10, ["train", "train"]),
        (normed(), train(HEAD, ALL), FEWEST_STEPS // 10 - 1, ["train", "frozen"]),
        (normed(), train(HEAD, ALL, batch_size=SMALLEST_BATCH - 1), 10_000, ["train", "frozen"]),
        (normed(), train(Phase(epochs=10, freeze="body"), ALL), 1, ["train", "frozen"]),
        (normed(), train(HEAD, ALL, ALL), FEWEST_STEPS // 10 - 1, ["train"] * 3),
        (normed(), train(HEAD, Phase(epochs=1, norm="train"), Phase(epochs=1)), 1, ["train", "train", "frozen"]),
        (normed(), train(Phase(epochs=99, norm="frozen")), 10_000, ["frozen"]),
        (normed(pretrained=False), train(HEAD, ALL), 1, ["train", "train"]),
        (normed(norm=False), train(HEAD, ALL), 1, ["train", "train"]),
        (normed(head_norm=True), train(HEAD, ALL), 1, ["train", "frozen"]),
    ],
)
def test_statistics_are_learned_where_steps_are_many_and_batches_not_small(net, settings, steps, expected):
    assert choose(net, settings, steps) == expected
    told = reason(net, settings, steps, expected)
    auto = any(each.norm == "auto" for each in settings.each_phase) and "frozen" in expected
    assert (told is not None) == auto


@pytest.mark.parametrize(
    ("net", "phases", "layer"),
    [
        (normed(pretrained=False), [], "body.1"),
        (normed(), [Phase(epochs=1, norm="train")], "body.1"),
        (normed(head_norm=True), [HEAD], "head.0"),
        (normed(), [], None),
        (normed(pretrained=False), [HEAD], None),
        (normed(pretrained=False), [Phase(epochs=1, norm="frozen")], None),
        (normed(norm=False), [], None),
    ],
)
def test_batch_norm_does_not_learn_from_batches_of_one_sample(net, phases, layer):
    settings = train(*phases, batch_size=1)
    if layer is None:
        choose(net, settings, 1)
        return
    with pytest.raises(SpecError, match=rf"train\.batch_size: 1: {layer} is batch normalisation"):
        choose(net, settings, 1)


def test_frozen_statistics_stay_while_scale_and_shift_learn():
    net = normed(head_norm=True)
    net.freeze([], statistics=True)
    net.train()
    before = net.model.body[1].running_mean.clone()
    net.head(net.embed(torch.randn(8, 3, 1, 1))).square().sum().backward()
    assert torch.equal(net.model.body[1].running_mean, before)
    assert net.model.head[0].running_mean.any(), "the head's are fresh, and learn"
    assert all(bool(parameter.grad.any()) for parameter in net.model.body[1].parameters())
    net.freeze([])
    assert net.model.body[1].training


def test_a_lone_sample_goes_by_the_running_statistics_and_is_told_once():
    net, told = normed(), []
    net.set_targets({"label": Classes(names=("a", "b"))})
    net.train()
    lone = LoneSamples([net], told.append)
    for samples in (1, 1, 2):
        batch = Batch(torch.randn(samples, 3, 1, 1), {}, torch.arange(samples))
        before = net.model.body[1].running_mean.clone()
        with lone.allowed(batch):
            net(batch.inputs)
        assert torch.equal(net.model.body[1].running_mean, before) == (samples == 1)
        assert net.model.body[1].training
    assert len(told) == 1
