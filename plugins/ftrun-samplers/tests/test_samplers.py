"""Shares of classes, turns, and a whole run."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import ftrun
from ftrun_devkit import tiny_run
from ftrun_samplers import BalancedSampler, FewSampler, WeightedSampler

LABELS = torch.tensor([0] * 90 + [1] * 8 + [2] * 3 + [-1] * 5)
TARGETS = {"label": ftrun.Classes(names=("a", "b", "c"))}


TAGS = torch.tensor([[1.0, 0.0]] * 20 + [[1.0, 1.0]] * 2 + [[0.0, float("nan")]] * 8)


def built(part=BalancedSampler, name="balanced", **options):
    split = ftrun.TensorSplit(torch.zeros(len(LABELS), 1), {"label": LABELS})
    return part(name=name, **options).build(split, TARGETS)


def of_tags(part, **options):
    split = ftrun.TensorSplit(torch.zeros(len(TAGS), 1), {"tags": TAGS})
    return part(**options).build(split, {"tags": ftrun.Labels(names=("x", "y"))})


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


def test_an_epoch_is_what_it_was_before_there_were_weights():
    """A run that is repeated takes the same samples in the same order."""
    assert built(samples=7).indices(0, 1).tolist() == [98, 54, 100, 96, 90, 95, 57]


@pytest.mark.parametrize(
    "sampler",
    [built(), built(WeightedSampler, "weighted", weights={"c": 5}), built(FewSampler, "few", k=2)],
    ids=["balanced", "weighted", "few"],
)
def test_an_epoch_is_a_function_of_seed_and_epoch(sampler):
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
    with pytest.raises(ftrun.SpecError, match="'price' has no classes or labels that balanced could go by"):
        BalancedSampler(name="balanced").build(split, {"price": ftrun.Values()})
    with pytest.raises(ftrun.SpecError, match=r"no target 'prize'\. Did you mean 'price'"):
        BalancedSampler(name="balanced", target="prize").build(split, {"price": ftrun.Values()})


def test_a_run_has_as_many_steps_as_the_sampler_s_epochs(tmp_path):
    run = tiny_run(tmp_path, sampler={"name": "balanced", "samples": 20}, train={"epochs": 2, "batch_size": 8})
    assert [line["step"] for line in run.metrics] == [3, 6]
    resolved = json.loads((run.folder / "resolved.json").read_text())
    assert resolved["spec"]["sampler"] == {"name": "balanced", "target": None, "samples": 20}


# Weighted


def test_samples_come_by_the_weights_of_their_classes():
    """Of 90, 8, 3 and 5 without a class: b counts thrice, c ten times."""
    sampler = built(WeightedSampler, "weighted", weights={"b": 3, "c": 10}, samples=149)
    for epoch in (1, 2):
        order = sampler.indices(0, epoch)
        counts = LABELS[order].clamp(min=-1).add(1).bincount(minlength=4)
        assert counts[[2, 3]].tolist() == [24, 30]  # 149 is just the sum of 95 x 1, 8 x 3 and 3 x 10
        assert counts[0] + counts[1] == 95
        assert order.bincount(minlength=106)[:90].tolist() == [1] * 90


@given(
    weights=st.dictionaries(st.sampled_from("abc"), st.floats(0.01, 100), min_size=1),
    samples=st.integers(1, 300),
    seed=st.integers(0, 99),
)
def test_shares_are_right_to_the_nearest_sample(weights, samples, seed):
    order = built(WeightedSampler, "weighted", weights=weights, samples=samples).indices(seed, 1)
    of_sample = torch.tensor([weights.get("abc"[label], 1.0) if label >= 0 else 1.0 for label in LABELS.tolist()])
    assert len(order) == samples
    for weight in of_sample.unique().tolist():
        share = float(of_sample[of_sample == weight].double().sum() / of_sample.double().sum()) * samples
        assert abs(int((of_sample[order] == weight).sum()) - share) < 1 + 1e-6 * samples


def test_equal_weights_take_each_sample_once():
    order = built(WeightedSampler, "weighted", weights={"a": 1.0}).indices(0, 1)
    assert order.sort().values.tolist() == list(range(len(LABELS)))


def test_a_sample_with_several_labels_weighs_what_the_heaviest_does():
    order = of_tags(WeightedSampler, name="weighted", weights={"y": 14, "x": 0.5}, samples=46).indices(0, 1)
    counts = order.bincount(minlength=30)
    assert (counts[:20].sum(), counts[20:22].sum(), counts[22:].sum()) == (10, 28, 8)


def test_a_weight_of_an_unknown_class():
    with pytest.raises(ftrun.SpecError, match=r"weights: there is no 'bb'\. Did you mean 'b'.* There are a, b, c\."):
        built(WeightedSampler, "weighted", weights={"bb": 2})


# Few


def test_a_few_of_each_class_are_always_the_same():
    sampler = built(FewSampler, "few", k=5)
    order = sampler.indices(0, 1)
    assert LABELS[order].bincount().tolist() == [5, 5, 3]  # c has no more
    assert order.unique().numel() == len(order)
    assert sorted(order.tolist()) == sorted(sampler.indices(7, 9).tolist())
    others = {tuple(sorted(built(FewSampler, "few", k=5, subset=each).indices(0, 1).tolist())) for each in range(9)}
    assert len(others) == 9


def test_a_few_of_each_label():
    """The two that have y have x too: one more with x fills up."""
    order = of_tags(FewSampler, name="few", k=3).indices(0, 1)
    assert (TAGS[order] == 1).sum(0).tolist() == [3, 2]


def test_a_run_learns_from_a_few(tmp_path):
    run = tiny_run(tmp_path, sampler={"name": "few", "k": 4}, train={"epochs": 2, "batch_size": 6})
    assert [line["step"] for line in run.metrics] == [2, 4]
