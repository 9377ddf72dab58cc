"""Shares of classes, turns, and a whole run."""

import json

import pytest
import torch

import ftrun
from ftrun_devkit import tiny_run
from ftrun_samplers import BalancedSampler

LABELS = torch.tensor([0] * 90 + [1] * 8 + [2] * 3 + [-1] * 5)
TARGETS = {"label": ftrun.Classes(names=("a", "b", "c"))}


def built(**options):
    split = ftrun.TensorSplit(torch.zeros(len(LABELS), 1), {"label": LABELS})
    return BalancedSampler(name="balanced", **options).build(split, TARGETS)


@pytest.mark.parametrize("samples", [1, 2, 30, 100, None])
def test_each_class_has_its_share(samples):
    sampler = built(samples=samples)
    for epoch in (1, 2, 3):
        order = sampler.indices(0, epoch)
        counts = LABELS[order].bincount(minlength=3)
        assert len(order) == (samples or len(LABELS))
        assert counts.max() - counts.min() <= 1
        assert (LABELS[order] >= 0).all()


def test_all_of_a_class_come_before_one_comes_again():
    times = built(samples=99).indices(3, 1).bincount(minlength=len(LABELS))
    assert times[98:101].tolist() == [11, 11, 11]
    assert set(times[90:98].tolist()) == {4, 5}
    assert set(times[:90].tolist()) == {0, 1}


def test_an_epoch_is_a_function_of_seed_and_epoch():
    sampler = built()
    orders = [sampler.indices(*each) for each in ((0, 1), (0, 2), (1, 1), (0, 1))]
    assert torch.equal(orders[0], orders[3])
    assert not torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])


def test_labels_are_balanced_too():
    values = torch.tensor([[1.0, 0.0]] * 20 + [[1.0, 1.0]] * 2)
    split = ftrun.TensorSplit(torch.zeros(22, 1), {"tags": values})
    sampler = BalancedSampler(name="balanced").build(split, {"tags": ftrun.Labels(names=("x", "y"))})
    assert sampler.indices(0, 1).bincount(minlength=22)[20:].sum() >= 11


def test_targets_that_cannot_be_balanced():
    split = ftrun.TensorSplit(torch.zeros(4, 1), {"price": torch.ones(4, 1)})
    with pytest.raises(ftrun.SpecError, match="'price' has no classes or labels"):
        BalancedSampler(name="balanced").build(split, {"price": ftrun.Values()})
    with pytest.raises(ftrun.SpecError, match=r"no target 'prize'\. Did you mean 'price'"):
        BalancedSampler(name="balanced", target="prize").build(split, {"price": ftrun.Values()})


def test_a_run_has_as_many_steps_as_the_sampler_s_epochs(tmp_path):
    run = tiny_run(tmp_path, sampler={"name": "balanced", "samples": 20}, train={"epochs": 2, "batch_size": 8})
    assert [line["step"] for line in run.metrics] == [3, 6]
    resolved = json.loads((run.folder / "resolved.json").read_text())
    assert resolved["spec"]["sampler"] == {"name": "balanced", "target": None, "samples": 20}
