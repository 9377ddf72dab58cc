"""The parts that `ftrun new-plugin` hands out do what their docstrings say."""

import copy
import math

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

import ftrun
from ftrun_devkit.scaffold.templates import (
    augmentation,
    backbone,
    dataset,
    loss,
    metric,
    modifier,
    observer,
    optimizer,
    scheduler,
)

NAME = {"name": "template"}
TARGET = ftrun.Classes(names=("a", "b", "c"))


def noise(*shape):
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# Dataset


def test_the_dataset_has_three_splits_of_both_shapes():
    splits = dataset.Template(**NAME, samples=40, size=20).build()
    assert [(name, len(split)) for name, split in splits.items()] == [("train", 40), ("val", 10), ("test", 10)]
    for _, split in splits.items():
        assert split.inputs.shape[1:] == (3, 20, 20)
        assert split.inputs.dtype == torch.uint8
        assert split.columns["label"].bincount().tolist() == [len(split) // 2] * 2
    assert splits.targets == {"label": ftrun.Classes(names=("disc", "square"))}


def test_the_datasets_images_follow_from_the_seed_and_differ_between_splits():
    first, again, other = (dataset.Template(**NAME, samples=40, seed=seed).build() for seed in (0, 0, 1))
    for (_, one), (_, same), (_, another) in zip(first.items(), again.items(), other.items(), strict=True):
        assert torch.equal(one.inputs, same.inputs)
        assert not torch.equal(one.inputs, another.inputs)
    assert not torch.equal(first.val.inputs, first.test.inputs)


@pytest.mark.parametrize("size", [8, 32, 64])
def test_the_datasets_shapes_are_whole_and_brightness_does_not_tell_them_apart(size):
    split = dataset.Template(**NAME, samples=400, size=size).build().train
    bright = (split.inputs >= 150).all(dim=1)
    border = torch.ones(size, size, dtype=torch.bool)
    border[1:-1, 1:-1] = False
    discs, squares = bright[split.columns["label"] == 0], bright[split.columns["label"] == 1]
    assert bright.flatten(1).any(dim=1).all()
    assert not bright[:, border].all(dim=1).any()
    area = [shapes.float().mean() for shapes in (discs, squares)]
    assert abs(area[0] / area[1] - 1) < 0.1
    assert split.inputs.max() <= 249


# Backbone


@pytest.mark.parametrize("size", [(1, 1), (7, 12), (32, 32), (64, 48)])
def test_the_backbone_takes_any_size_and_keeps_the_nets_promises(size):
    net = backbone.Template(**NAME, width=4).build({"size": size})
    net.set_targets({"label": TARGET})
    x = net.input.prepare(noise(2, 3, *size))
    features = net.features(x)
    assert features.shape == (2, 16, -(-size[0] // 4), -(-size[1] // 4))
    assert net.pool(features).shape == (2, net.num_features)
    assert net(x)["label"].shape == (2, 3)
    assert torch.equal(net(x)["label"], net.head(net.pool(net.features(x))))
    assert list(net.stages) == ["stem", "middle", "top", "head"]
    assert net.input.mean == (0.5, 0.5, 0.5)


def test_the_backbone_takes_as_many_channels_as_its_input_has():
    net = backbone.Template(**NAME, width=4).build({"mean": (0.5,), "std": (0.5,)})
    assert net.head(net.embed(net.input.prepare(noise(2, 1, 8, 8)))).shape == (2, 1000)


def test_the_backbones_net_can_be_copied():
    net = backbone.Template(**NAME, width=4).build({})
    x = normal(2, 3, 8, 8)
    assert torch.equal(copy.deepcopy(net).eval().embed(x), net.eval().embed(x))


def test_the_backbone_starts_from_a_file_s_weights_whatever_its_head(tmp_path):
    net = backbone.Template(**NAME, width=4).build({})
    net.set_targets({"label": TARGET})
    net.replace_head(nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 3)))
    file = tmp_path / "model.safetensors"
    save_file(net.model.state_dict(), file)
    part = backbone.Template(**NAME, width=4, weights=file)
    again = part.build({})
    assert torch.equal(again.features(normal(2, 3, 8, 8)), net.features(normal(2, 3, 8, 8)))
    assert again.head.out_features == 1000
    file.unlink()
    assert part.without_weights().build({}).num_features == 16


def test_weights_that_the_backbone_cannot_load_are_the_specs_fault(tmp_path):
    file = tmp_path / "model.safetensors"
    with pytest.raises(ftrun.SpecError, match=r"weights: .*model.safetensors cannot be loaded: No such file"):
        backbone.Template(**NAME, weights=file).build({})
    file.write_bytes(b"no weights")
    with pytest.raises(ftrun.SpecError, match=r"weights: .*model.safetensors cannot be loaded: "):
        backbone.Template(**NAME, weights=file).build({})
    save_file(backbone.Template(**NAME, width=4).build({}).model.state_dict(), file)
    with pytest.raises(ftrun.SpecError, match=r"size mismatch for stem\.0\.weight"):
        backbone.Template(**NAME, width=5, weights=file).build({})


# Modifier


def test_the_modifiers_head_normalises_the_embedding_for_one_target_or_several():
    net = backbone.Template(**NAME, width=4).build({})
    net.set_targets({"label": TARGET})
    targets = net.targets
    changed = modifier.Template(**NAME).build(net)
    assert changed is net
    assert changed.targets == targets
    embedding = normal(5, 16)
    expected = net.head[1](F.layer_norm(embedding, (16,)))
    assert torch.equal(net.head(embedding), expected)
    net.set_targets({"label": TARGET, "age": ftrun.Values()})
    outputs = modifier.Template(**NAME).build(net).head(embedding)
    assert {name: tuple(output.shape) for name, output in outputs.items()} == {"label": (5, 3), "age": (5, 1)}


def test_the_modifier_refuses_a_net_without_embedding():
    net = backbone.Template(**NAME).build({})
    net.embeds = False
    with pytest.raises(ftrun.SpecError, match="this net's head is convolutional"):
        modifier.Template(**NAME).build(net)


# Augmentation


def covered(images, ids=None, **options):
    ids = torch.arange(len(images)) if ids is None else torch.tensor(ids)
    batch = ftrun.Batch(images, {"label": ids}, ids)
    return augmentation.Template(**NAME, **options).build()(batch, ftrun.SampleRandom(7, ids)).inputs


def test_the_augmentation_blackens_one_square_at_most():
    images = torch.full((300, 3, 12, 20), 200, dtype=torch.uint8)
    result = covered(images)
    assert images.min() == 200, "the batch that it is given stays as it is"
    assert result.unique().tolist() == [0, 200]
    black = result[:, 0] == 0
    assert torch.equal(black, (result == 0).all(dim=1)), "all channels alike"
    assert 0.4 < black.flatten(1).any(dim=1).float().mean() < 0.6
    heights, widths = black.any(dim=2).sum(dim=1), black.any(dim=1).sum(dim=1)
    assert torch.equal(heights * widths, black.sum(dim=(1, 2)))
    assert (heights.max(), widths.max()) == (6, 6)
    assert len(black.unique(dim=0)) > 50


def test_the_augmentation_draws_each_sample_alike_in_any_batch():
    images = noise(8, 3, 12, 12)
    together = covered(images)
    for index in range(8):
        assert torch.equal(covered(images[[index]], [index])[0], together[index])
    assert torch.equal(covered(images, p=0.0), images)


# Loss


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_the_loss_is_the_papers(gamma):
    output, values = normal(20, 3), torch.arange(20) % 3
    found = loss.Template(**NAME, gamma=gamma).build(TARGET, values)(output, values)
    right = output.softmax(dim=1)[torch.arange(20), values]
    expected = (-((1 - right) ** gamma) * right.log()).mean()
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_the_losss_gradient_is_finite_where_the_net_is_sure(gamma):
    for output in ([[100.0, 0.0, -100.0]], [[-100.0, 0.0, 100.0]]):
        logits = torch.tensor(output, requires_grad=True)
        loss.Template(**NAME, gamma=gamma).build(TARGET, torch.tensor([0]))(logits, torch.tensor([0])).backward()
        assert logits.grad.isfinite().all()


# Optimizer


def test_the_optimizer_is_the_papers():
    weight = nn.Parameter(normal(7, 5).double())
    frozen = nn.Parameter(torch.ones(3))
    part = optimizer.Template(**NAME, lr=0.01, betas=(0.8, 0.9), weight_decay=0.5)
    lion = part.build([{"params": [weight, frozen], "lr": 0.02}])
    expected, momentum = weight.detach().clone(), torch.zeros(7, 5).double()
    for step in range(5):
        gradient = normal(7, 5, seed=step + 1).double()
        weight.grad = gradient.clone()
        lion.step()
        update = (0.8 * momentum + 0.2 * gradient).sign()
        expected = expected - 0.02 * (update + 0.5 * expected)
        momentum = 0.9 * momentum + 0.1 * gradient
        torch.testing.assert_close(weight.detach(), expected)
        assert torch.equal(weight.grad, gradient)
    assert frozen not in lion.state
    assert frozen.tolist() == [1, 1, 1]


def test_the_optimizer_goes_on_exactly_from_its_state():
    straight, stopped = (nn.Parameter(normal(6)) for _ in range(2))
    optimizers = [optimizer.Template(**NAME, lr=0.1).build([each]) for each in (straight, stopped)]
    for step in range(6):
        if step == 3:
            resumed = optimizer.Template(**NAME, lr=0.1).build([stopped])
            resumed.load_state_dict(copy.deepcopy(optimizers[1].state_dict()))
            optimizers[1] = resumed
        for weight, each in zip((straight, stopped), optimizers, strict=True):
            weight.grad = normal(6, seed=step)
            each.step()
    assert torch.equal(straight, stopped)


def test_the_optimizer_takes_a_closure_as_torch_has_it():
    weight = nn.Parameter(torch.ones(2))
    lion = optimizer.Template(**NAME, lr=0.25).build([weight])

    def closure():
        lion.zero_grad()
        value = weight.square().sum()
        value.backward()
        return value

    assert lion.step(closure).item() == 2
    assert weight.tolist() == [0.75, 0.75]


# Scheduler


@pytest.mark.parametrize("warmup", [0.0, 0.25])
@pytest.mark.parametrize("floor", [0.0, 0.5, 1.0])
def test_the_scheduler_rises_and_falls_in_straight_lines(warmup, floor):
    factor = scheduler.Template(**NAME, warmup=warmup, floor=floor).build()
    assert factor(warmup) == 1
    assert factor(1) == floor
    assert math.isclose(factor((1 + warmup) / 2), (1 + floor) / 2)
    if warmup:
        assert factor(0) == scheduler.START
        assert math.isclose(factor(warmup / 2), (1 + scheduler.START) / 2)


# Metric


def test_the_metric_is_the_brier_score_in_one_batch_or_many():
    output, values = normal(50, 3), torch.arange(50) % 3
    score = metric.Template(**NAME).build(TARGET).to("cpu")
    truth = F.one_hot(values, 3)
    expected = (output.softmax(dim=1) - truth).square().sum(dim=1).mean()
    for portions in ([50], [1, 9, 40], [10] * 5):
        for logits, labels in zip(output.split(portions), values.split(portions), strict=True):
            score.update(logits, labels)
        torch.testing.assert_close(score.compute(), expected)
        assert score.compute().shape == ()
        score.reset()
    halves = [metric.Template(**NAME).build(TARGET) for _ in range(2)]
    for half, logits, labels in zip(halves, output.split((20, 30)), values.split((20, 30)), strict=True):
        half.update(logits, labels)
    halves[0].merge_state(halves[1])
    torch.testing.assert_close(halves[0].compute(), expected)
    score.update(torch.tensor([[100.0, 0, 0]]), torch.tensor([0]))
    assert score.compute() == 0
    score.update(torch.tensor([[100.0, 0, 0]]), torch.tensor([2]))
    assert score.compute() == 1


# Observer


def follow(watcher, run, epochs):
    watcher.ftrun_before_run(run=run)
    for number in epochs:
        figures = {"train/loss": 1 / number, "val/loss": 0.5, "val/accuracy": 0.25}
        watcher.ftrun_after_epoch(run=run, epoch=ftrun.EpochInfo(number, 5 * number, figures, number == 1))


def run_info(folder, epochs_done=0):
    return ftrun.RunInfo("run-1", folder, {}, "cpu", {"train": 10}, 3, 5, epochs_done)


def test_the_observer_writes_a_line_an_epoch_and_goes_on_where_the_run_does(tmp_path):
    part = observer.Template(**NAME, figures=("val/accuracy", "train/loss", "val/other"))
    follow(part.build(), run_info(tmp_path), [1, 2])
    second = part.build()
    follow(second, run_info(tmp_path, epochs_done=1), [2, 3])
    second.ftrun_after_run(run=run_info(tmp_path), results={"best_epoch": 1})
    assert (tmp_path / "epochs.txt").read_text() == (
        "epoch 1  val/accuracy 0.2500  train/loss 1.0000  best\n"
        "epoch 2  val/accuracy 0.2500  train/loss 0.5000\n"
        "epoch 3  val/accuracy 0.2500  train/loss 0.3333\n"
        "finished  best epoch 1\n"
    )
    third = part.build()
    follow(third, run_info(tmp_path), [])
    third.ftrun_on_error(run=run_info(tmp_path), error=ftrun.DataError("torn"))
    assert (tmp_path / "epochs.txt").read_text() == "stopped  DataError: torn\n"


# Options


@pytest.mark.parametrize(
    ("part", "wrong"),
    [
        (dataset.Template, {"samples": 4}),
        (backbone.Template, {"width": 0}),
        (modifier.Template, {"eps": 0.0}),
        (augmentation.Template, {"p": 1.5}),
        (loss.Template, {"gamma": -1.0}),
        (optimizer.Template, {"betas": (0.9, 1.0)}),
        (scheduler.Template, {"warmup": 1.0}),
        (metric.Template, {"zzz": 1}),
        (observer.Template, {"figures": 5}),
    ],
)
def test_options_that_make_no_sense_are_refused(part, wrong):
    with pytest.raises(ValidationError):
        part(**NAME, **wrong)
