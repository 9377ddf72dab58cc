"""Kinds of targets: what is missing, in which terms a head learns, and digits."""

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from ftrun.contracts.targets import Classes, Labels, Target, Values
from ftrun.train.supervised import Supervised

NAN = float("nan")
CLASSES = Classes(names=("a", "b", "c"))


@pytest.mark.parametrize(
    ("target", "values", "known", "present", "complete"),
    [
        (CLASSES, torch.tensor([0, -1, 2]), [True, False, True], [1, 0, 1], [1, 0, 1]),
        (
            Labels(names=("p", "q")),
            torch.tensor([[0, 1], [NAN, 1], [NAN, NAN]]),
            [[True, True], [False, True], [False, False]],
            [1, 1, 0],
            [1, 0, 0],
        ),
        (
            Values(names=("x", "y")),
            torch.tensor([[0, 1], [NAN, 1], [NAN, NAN]]).double(),
            [[True, True], [False, True], [False, False]],
            [1, 1, 0],
            [1, 0, 0],
        ),
    ],
    ids=["classes", "labels", "values"],
)
def test_what_is_known(target: Target, values: Any, known: Any, present: Any, complete: Any) -> None:
    assert target.known(values).tolist() == known
    assert target.present(values).tolist() == list(map(bool, present))
    assert target.complete(values).tolist() == list(map(bool, complete))
    assert target.same(values, values).all()
    other = values.clone()
    other[0] = 1 - other[0]
    other[2] = 0
    assert target.same(values, other).tolist() == [False, True, False]


def test_the_mean_is_the_exact_one_whatever_the_threads() -> None:
    values = 1e9 + 37 * torch.rand(300_001, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    before, found = torch.get_num_threads(), set()
    try:
        for threads in (1, 2, 3, 7):
            torch.set_num_threads(threads)
            target = Values().fitted(values)
            found.add((target.mean, target.std))
    finally:
        torch.set_num_threads(before)
    ((mean, std),) = found
    assert mean == (math.fsum(values.flatten().tolist()) / len(values),)
    assert std == pytest.approx((37 / math.sqrt(12),), rel=1e-2)


def test_a_mean_is_of_what_is_known_of_each_value() -> None:
    target = Values(names=("x", "y")).fitted(torch.tensor([[1.0, NAN], [3.0, 5.0], [NAN, 5.0]]))
    assert target.mean == (2.0, 5.0)
    assert target.std == (1.0, 1.0)  # one that does not vary has 1
    assert Values().fitted(torch.tensor([[0.1], [0.1], [0.1]]).double()).std == (1.0,)
    assert Values().fitted(torch.tensor([[1e140], [-1e140]], dtype=torch.float64)).std == (1e140,)
    assert Values().fitted(torch.tensor([[1e-200], [-1e-200]], dtype=torch.float64)).std == (1e-200,)


def test_values_far_from_0_keep_their_digits() -> None:
    values = torch.arange(28, dtype=torch.float64)[:, None] / 16 + 1.7e9
    target = Values().fitted(values)
    encoded = target.encode(values)
    assert encoded.dtype == torch.float32
    assert encoded.unique().numel() == 28
    assert (target.decode(encoded) - values).abs().max() < 1e-6
    assert target.exported(encoded).dtype == torch.float64
    near = Values().fitted(values - 1.7e9)
    assert near.exported(encoded).dtype == torch.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean": (1.0,)}, "mean and std go together"),
        ({"std": (1.0,)}, "mean and std go together"),
        ({"mean": (1.0, 2.0), "std": (1.0, 1.0)}, "mean has 2 numbers for 1 names"),
        ({"mean": (1.0,), "std": (0.0,)}, "std has to be greater than 0"),
        ({"mean": (1.0,), "std": (-1.0,)}, "std has to be greater than 0"),
        ({"mean": (NAN,), "std": (1.0,)}, "should be a finite number"),
        ({"mean": (1.0,), "std": (math.inf,)}, "should be a finite number"),
    ],
)
def test_mean_and_std_fit(options: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Values(**options)


@pytest.mark.parametrize(
    ("target", "loss", "values"),
    [
        (Values(names=("x", "y"), mean=(3.0, 0.0), std=(2.0, 1.0)), nn.MSELoss(), torch.tensor([[5.0, NAN]])),
        (Values(names=("x", "y"), mean=(3.0, 0.0), std=(2.0, 1.0)), nn.HuberLoss(), torch.tensor([[5.0, NAN]])),
        (Labels(names=("p", "q")), nn.BCEWithLogitsLoss(), torch.tensor([[1.0, NAN]])),
    ],
    ids=["mse", "huber", "bce"],
)
def test_a_single_value_that_is_missing_has_no_gradient(target: Target, loss: nn.Module, values: torch.Tensor) -> None:
    output = torch.tensor([[0.25, 9.0]], requires_grad=True)
    value = Supervised({"t": loss}, {"t": target}, missing={"t"}).terms({"t": output}, {"t": values}).loss
    value.backward()
    alone = torch.tensor([[0.25]], requires_grad=True)
    expected = loss(alone, target.encode(values)[:, :1]) / 2  # the mean is over both
    expected.backward()
    assert float(value.detach()) == pytest.approx(float(expected.detach()))
    assert output.grad is not None
    assert alone.grad is not None
    assert output.grad[0].tolist() == pytest.approx([float(alone.grad), 0.0])


def test_classes_in_another_order_keep_what_is_missing() -> None:
    assert CLASSES.aligned(torch.tensor([0, -1, 1, 2]), ("c", "a", "b")).tolist() == [2, -1, 0, 1]
    assert Values(names=("x", "y")).aligned(torch.tensor([[1.0, NAN]]), ("y", "x")).nan_to_num(-9).tolist() == [[-9, 1]]


# Calibrated after training


def test_probabilities_and_decisions_go_by_what_was_calibrated():
    """Logits stay as they are: what is kept of a run is good under any temperature."""
    logits = torch.tensor([[2.0, -1.0, 0.5], [-3.0, 0.2, 4.0]])
    pets = Classes(names=("a", "b", "c"), temperature=2.5)
    assert torch.equal(pets.decode(logits), logits)
    torch.testing.assert_close(pets.scores(logits), (logits / 2.5).softmax(1))
    torch.testing.assert_close(pets.exported(logits), pets.scores(logits))
    tags = Labels(names=("p", "q", "r"), temperature=2.0, thresholds=(0.9, 0.4, 0.5))
    torch.testing.assert_close(tags.scores(logits), (logits / 2).sigmoid())
    assert torch.equal(tags.decided(logits), tags.scores(logits) > torch.tensor([0.9, 0.4, 0.5]))
    assert [each.holds for each in tags.predictions(logits)] == [("r",), ("q", "r")]
    plain = Labels(names=("p", "q", "r"))
    assert torch.equal(plain.decided(logits), logits > 0)
    assert [each.holds for each in plain.predictions(logits)] == [None, None]
    assert Values().decided(logits[:, :1]) is None


def test_a_calibrated_target_is_the_same_one():
    for plain in (Classes(names=("a", "b")), Labels(names=("a", "b"))):
        other = plain.model_copy(update={"temperature": 3.0})
        assert other != plain
        assert other.identity() == plain.identity()
        assert other.learned() == plain.learned()
    scaled = Values(names=("x",), mean=(1.0,), std=(2.0,))
    assert scaled.learned() != Values(names=("x",)).learned()  # a net that learned it gives other numbers


@pytest.mark.parametrize(
    "fields", [{"temperature": 0.0}, {"thresholds": (0.5,)}, {"thresholds": (0.5, 1.0)}, {"temperature": NAN}]
)
def test_senseless_calibrations_are_refused(fields):
    with pytest.raises(ValidationError):
        Labels(names=("a", "b"), **fields)
