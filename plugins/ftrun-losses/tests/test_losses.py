"""Losses against their formulas, and what they do with wrong options."""

import json
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional as F

import ftrun
from ftrun_losses import BCELoss, CrossEntropyLoss, FocalLoss, HuberLoss, MSELoss

PETS = ftrun.Classes(names=("cat", "dog", "newt"))
TRAIN = torch.tensor([0, 0, 0, 0, 0, 1, 1, 2])
OUTPUT = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)) * 3
LABELS = torch.tensor([0, 1, 2, 0, 0, 1])
SEVERAL = torch.tensor([[1.0, 0.0, 1.0]] * 3 + [[0.0, 0.0, 0.0]] * 3)


def cross_entropy(**options: Any) -> torch.nn.Module:
    return CrossEntropyLoss(name="cross-entropy", **options).build(PETS, TRAIN)


def per_sample() -> torch.Tensor:
    return -OUTPUT.log_softmax(dim=1)[torch.arange(6), LABELS]


def test_cross_entropy_is_the_mean_negative_log_likelihood() -> None:
    torch.testing.assert_close(cross_entropy()(OUTPUT, LABELS), per_sample().mean())


def test_label_smoothing_spreads_part_of_the_label() -> None:
    smooth = 0.9 * F.one_hot(LABELS, 3) + 0.1 / 3
    expected = -(smooth * OUTPUT.log_softmax(dim=1)).sum(dim=1).mean()
    torch.testing.assert_close(cross_entropy(label_smoothing=0.1)(OUTPUT, LABELS), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_sample_s_weight_is_that_of_its_class_smoothed_or_not(smoothing: float) -> None:
    """49 of class a to 1 of class b: torch's own weights would have a smoothed a teach b."""
    pair, rare = ftrun.Classes(names=("a", "b")), torch.tensor([0] * 49 + [1])
    loss = CrossEntropyLoss(name="cross-entropy", class_weights="auto", label_smoothing=smoothing).build(pair, rare)
    sample = torch.randn(8, 2, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 1] * 4)
    each = F.cross_entropy(sample, labels, label_smoothing=smoothing, reduction="none")
    torch.testing.assert_close(loss(sample, labels), (each * torch.tensor([50 / 98, 25.0])[labels]).mean())
    right = torch.tensor([[2.0, -2.0]])
    assert loss(right, torch.tensor([0])) < loss(-right, torch.tensor([0]))


def test_auto_weights_are_scikit_learn_s_balanced_ones() -> None:
    expected = compute_class_weight("balanced", classes=TRAIN.unique().numpy(), y=TRAIN.numpy())
    weights = cross_entropy(class_weights="auto").class_weights
    torch.testing.assert_close(weights, torch.tensor(expected).float())
    assert weights[TRAIN].mean().item() == pytest.approx(1)


def test_auto_weights_of_balanced_classes_change_nothing() -> None:
    even = CrossEntropyLoss(name="cross-entropy", class_weights="auto").build(PETS, torch.arange(3).repeat(4))
    torch.testing.assert_close(even(OUTPUT, LABELS), cross_entropy()(OUTPUT, LABELS))


def test_weights_by_name_count_for_their_classes_and_the_others_weigh_one() -> None:
    expected = (per_sample() * torch.tensor([1.0, 5.0, 0.5])[LABELS]).mean()
    loss = cross_entropy(class_weights={"newt": 0.5, "dog": 5.0})
    torch.testing.assert_close(loss(OUTPUT, LABELS), expected)


def test_a_batch_in_parts_weighs_as_the_whole() -> None:
    loss = cross_entropy(class_weights="auto", label_smoothing=0.1)
    parts = (loss(OUTPUT[:3], LABELS[:3]) + loss(OUTPUT[3:], LABELS[3:])) / 2
    torch.testing.assert_close(parts, loss(OUTPUT, LABELS))


def test_an_unknown_class_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(ftrun.SpecError, match=r"no class is called 'dogg'\. Did you mean 'dog'\?.*cat, dog, newt"):
        cross_entropy(class_weights={"dogg": 2.0})


def test_a_class_that_resembles_none_gets_the_list_only() -> None:
    with pytest.raises(ftrun.SpecError) as caught:
        cross_entropy(class_weights={"7": 2.0})
    assert "Did you mean" not in caught.value.message


@pytest.mark.parametrize(
    "options",
    [{"label_smoothing": 1}, {"class_weights": "balanced"}, {"class_weights": {"cat": 0}}, {"class_weights": [1, 2]}],
)
def test_senseless_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CrossEntropyLoss.model_validate_json(json.dumps({"name": "cross-entropy", **options}))


def test_the_schema_says_what_class_weights_may_be() -> None:
    branches = CrossEntropyLoss.model_json_schema()["properties"]["class_weights"]["anyOf"]
    assert {"type": "object", "additionalProperties": {"type": "number", "exclusiveMinimum": 0}} in branches
    assert {"const": "auto", "type": "string"} in branches


def test_mse_of_values() -> None:
    loss = MSELoss(name="mse").build(ftrun.Values(names=("x", "y")), torch.zeros(4, 2))
    assert loss(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]])).item() == pytest.approx(2.5)


def test_mse_of_classes_is_against_one_hot() -> None:
    loss = MSELoss(name="mse").build(PETS, TRAIN)
    assert loss(torch.tensor([[0.0, 1.0, 3.0]]), torch.tensor([1])).item() == pytest.approx(3)


def test_bce_of_labels() -> None:
    loss = BCELoss(name="bce").build(ftrun.Labels(names=("a", "b", "c")), SEVERAL)
    chance = OUTPUT.sigmoid()
    expected = -(SEVERAL * chance.log() + (1 - SEVERAL) * (1 - chance).log()).mean()
    torch.testing.assert_close(loss(OUTPUT, SEVERAL), expected)


def test_bce_of_classes_is_against_one_hot() -> None:
    one_hot = F.one_hot(LABELS, 3).float()
    labels = BCELoss(name="bce").build(ftrun.Labels(names=PETS.names), one_hot)
    classes = BCELoss(name="bce").build(PETS, TRAIN)
    torch.testing.assert_close(classes(OUTPUT, LABELS), labels(OUTPUT, one_hot))


TAGS, SIZES = ftrun.Labels(names=("a", "b", "c")), ftrun.Values(names=("x", "y", "z"))
WEIGHED: dict[str, Any] = {"class_weights": "auto", "label_smoothing": 0.1, "logit_adjustment": 1.0}
ALL = [
    (CrossEntropyLoss(name="cross-entropy", **WEIGHED), PETS, LABELS),
    (FocalLoss(name="focal", alpha="auto"), PETS, LABELS),
    (FocalLoss(name="focal", gamma=0.5, alpha="auto"), TAGS, SEVERAL),
    (MSELoss(name="mse"), PETS, LABELS),
    (MSELoss(name="mse"), SIZES, SEVERAL),
    (HuberLoss(name="huber"), SIZES, SEVERAL),
    (BCELoss(name="bce", positive_weights="auto"), PETS, LABELS),
    (BCELoss(name="bce", positive_weights="auto"), TAGS, SEVERAL),
]


@pytest.mark.parametrize(("part", "target", "values"), ALL)
def test_of_bfloat16_is_a_float32_scalar_and_gives_a_gradient(
    part: ftrun.Loss, target: ftrun.Target, values: torch.Tensor
) -> None:
    assert target.kind in part.kinds
    layer = torch.nn.Linear(3, 3)
    loss = part.build(target, values)
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(OUTPUT)
    value = loss(output, values)
    assert output.dtype == torch.bfloat16
    assert value.dtype == torch.float32
    assert value.shape == ()
    torch.testing.assert_close(value, loss(output.float(), values))
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(loss(output, values), value)
    value.backward()
    assert layer.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(("part", "target", "values"), ALL)
def test_moves_between_devices_as_a_whole(part: ftrun.Loss, target: ftrun.Target, values: torch.Tensor) -> None:
    loss = part.build(target, values).to("meta")
    assert loss(OUTPUT.to("meta"), values.to("meta")).device.type == "meta"


@pytest.mark.parametrize(("part", "target", "values"), ALL)
def test_a_batch_of_one_will_do(part: ftrun.Loss, target: ftrun.Target, values: torch.Tensor) -> None:
    assert part.build(target, values)(OUTPUT[:1], values[:1]).isfinite()
