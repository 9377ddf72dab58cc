"""Losses for what is rare: focal, positive weights, logit adjustment; against independent computations."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss

import ftrun
from ftrun_devkit import tiny_run
from ftrun_losses import BCELoss, CrossEntropyLoss, FocalLoss, HuberLoss

PETS = ftrun.Classes(names=("cat", "dog", "newt"))
TAGS = ftrun.Labels(names=("red", "green"))
TRAIN = torch.tensor([0, 0, 0, 0, 0, 1, 1, 2])
TAGGED = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, float("nan")], [0.0, 1.0]])

quick = settings(max_examples=settings.default.max_examples * 2 // 5)
gammas = st.sampled_from([0.0, 0.5, 1.0, 2.0, 5.0])


def focal(target: ftrun.Target = PETS, values: Tensor | None = TRAIN, **options: Any) -> torch.nn.Module:
    return FocalLoss(name="focal", **options).build(target, values)


def case(seed: int, scale: float = 4.0) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of three classes, and labels; and labels of two names, with the first two as logits."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(7, 3, generator=generator) * scale
    labels = torch.randint(0, 3, (7,), generator=generator)
    return logits, labels, torch.randint(0, 2, (7, 2), generator=generator).float()


# Focal


@quick
@given(seed=st.integers(0, 999), gamma=gammas, alpha=st.sampled_from([None, 0.25, 0.9]))
def test_of_labels_it_is_torchvision_s(seed: int, gamma: float, alpha: float | None) -> None:
    logits, _, tags = case(seed)
    named = None if alpha is None else {"red": alpha, "green": alpha}
    loss = focal(TAGS, TAGGED, gamma=gamma, alpha=named)
    theirs = sigmoid_focal_loss(logits[:, :2], tags, alpha=-1 if alpha is None else alpha, gamma=gamma)
    torch.testing.assert_close(loss(logits[:, :2], tags), theirs.mean())


@quick
@given(seed=st.integers(0, 999), gamma=gammas)
def test_of_classes_it_is_the_formula(seed: int, gamma: float) -> None:
    logits, labels, _ = case(seed)
    p = logits.double().softmax(1)[torch.arange(7), labels]
    weights = torch.tensor([1.0, 2.0, 3.5], dtype=torch.float64)
    expected = (weights[labels] * (1 - p) ** gamma * -p.log()).mean()
    loss = focal(gamma=gamma, alpha={"dog": 2, "newt": 3.5})
    assert float(loss(logits, labels)) == pytest.approx(float(expected), rel=1e-4)
    torch.testing.assert_close(loss(logits, F.one_hot(labels, 3).float()), loss(logits, labels))


def test_of_mixed_classes_it_is_the_mean_of_theirs() -> None:
    logits, labels, _ = case(0)
    loss, other = focal(alpha="auto"), labels.roll(1)
    shares = 0.3 * F.one_hot(labels, 3) + 0.7 * F.one_hot(other, 3)
    torch.testing.assert_close(loss(logits, shares), 0.3 * loss(logits, labels) + 0.7 * loss(logits, other))


def test_gamma_0_is_cross_entropy() -> None:
    logits, labels, tags = case(1)
    weighed = CrossEntropyLoss(name="cross-entropy", class_weights="auto").build(PETS, TRAIN)
    torch.testing.assert_close(focal(gamma=0, alpha="auto")(logits, labels), weighed(logits, labels))
    plain = F.binary_cross_entropy_with_logits(logits[:, :2], tags)
    torch.testing.assert_close(focal(TAGS, gamma=0)(logits[:, :2], tags), plain)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("logit", [-100.0, 100.0, 1e4, 0.0])
def test_what_is_sure_has_a_finite_gradient(gamma: float, logit: float) -> None:
    """A label that is not known comes as one that does not hold, with the logit -100."""
    for target, values in ((PETS, torch.tensor([0])), (TAGS, torch.tensor([[0.0, 1.0]]))):
        logits = torch.full((1, target.outputs), 0.0)
        logits[0, 0] = logit
        logits.requires_grad_()
        focal(target, gamma=gamma)(logits, values).backward()
        assert logits.grad.isfinite().all()


def test_alpha_of_labels_follows_from_what_is_rare() -> None:
    """Red holds in 1 of 5, green in 2 of the 4 that are known."""
    torch.testing.assert_close(focal(TAGS, TAGGED, alpha="auto").alpha, torch.tensor([0.8, 0.5]))
    torch.testing.assert_close(focal(TAGS, None, alpha={"red": 0.9}).alpha, torch.tensor([0.9, 0.5]))


def test_wrong_alphas() -> None:
    with pytest.raises(ftrun.SpecError, match=r"alpha: no class is called 'newd'\. Did you mean 'newt'"):
        focal(alpha={"newd": 2.0})
    with pytest.raises(ftrun.SpecError, match=r"alpha: no label is called 'gren'\..*The labels are red, green"):
        focal(TAGS, TAGGED, alpha={"gren": 0.5})
    with pytest.raises(ftrun.SpecError, match=r"'red' has 2, and what a label counts .* is between 0 and 1"):
        focal(TAGS, TAGGED, alpha={"red": 2.0})


# Positive weights


@quick
@given(seed=st.integers(0, 999))
def test_positive_weights_are_torch_s(seed: int) -> None:
    logits, labels, tags = case(seed)
    weights = {"red": 3.0}
    loss = BCELoss(name="bce", positive_weights=weights).build(TAGS, TAGGED)
    theirs = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor([3.0, 1.0]))
    torch.testing.assert_close(loss(logits[:, :2], tags), theirs(logits[:, :2], tags))
    of_classes = BCELoss(name="bce", positive_weights={"newt": 7.0}).build(PETS, TRAIN)
    theirs = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1.0, 1.0, 7.0]))
    torch.testing.assert_close(of_classes(logits, labels), theirs(logits, F.one_hot(labels, 3).float()))


def test_positive_weights_from_the_training_samples() -> None:
    def auto(target: ftrun.Target, values: Tensor) -> list[float]:
        return BCELoss(name="bce", positive_weights="auto").build(target, values).positive_weights.tolist()

    assert auto(TAGS, TAGGED) == [4.0, 1.0]  # 4 to 1, and 2 to 2: what is not known is neither
    assert auto(PETS, TRAIN) == pytest.approx([3 / 5, 3.0, 7.0])
    assert auto(TAGS, torch.tensor([[1.0, 0.0], [1.0, 0.0]])) == [1.0, 1.0]  # nothing to weigh


# Logit adjustment


@quick
@given(seed=st.integers(0, 999), tau=st.sampled_from([0.5, 1.0, 2.0]))
def test_logit_adjustment_is_the_paper_s_loss(seed: int, tau: float) -> None:
    """log(1 + sum over other classes y' of (prior y' / prior y)^tau exp(f_y' - f_y)): equation 10."""
    logits, labels, _ = case(seed, scale=2.0)
    prior = TRAIN.bincount() / len(TRAIN)
    each = []
    for row, label in zip(logits.double(), labels.tolist(), strict=True):
        others = [k for k in range(3) if k != label]
        terms = [(prior[k] / prior[label]) ** tau * (row[k] - row[label]).exp() for k in others]
        each.append(torch.log1p(sum(terms)))
    loss = CrossEntropyLoss(name="cross-entropy", logit_adjustment=tau).build(PETS, TRAIN)
    assert float(loss(logits, labels)) == pytest.approx(float(torch.stack(each).mean()), rel=1e-5)
    torch.testing.assert_close(loss.eval()(logits, labels), F.cross_entropy(logits, labels))


# Values, and whole runs


@quick
@given(seed=st.integers(0, 999), delta=st.sampled_from([0.1, 1.0, 3.0]))
def test_huber_is_the_formula(seed: int, delta: float) -> None:
    outputs, _, _ = case(seed)
    values = outputs.flip(0)
    errors = (outputs - values).double().abs()
    expected = torch.where(errors <= delta, errors**2 / 2, delta * (errors - delta / 2)).mean()
    loss = HuberLoss(name="huber", delta=delta).build(ftrun.Values(names=("x", "y", "z")), values)
    assert float(loss(outputs, values)) == pytest.approx(float(expected), rel=1e-5)


def test_auto_needs_values_that_are_known_beforehand() -> None:
    for part in (
        FocalLoss(name="focal", alpha="auto"),
        CrossEntropyLoss(name="cross-entropy", class_weights="auto"),
        CrossEntropyLoss(name="cross-entropy", logit_adjustment=1.0),
        BCELoss(name="bce", positive_weights="auto"),
    ):
        with pytest.raises(ftrun.SpecError, match="does not tell their values before"):
            part.build(PETS, None)


def test_a_checkpoint_has_the_weights_of_its_training(tmp_path: Path) -> None:
    """Evaluated on other data, a run has the loss that it was trained with."""
    loss = {"name": "cross-entropy", "logit_adjustment": 1.0, "class_weights": "auto"}
    run = tiny_run(tmp_path, loss=loss)
    kept = json.loads((run.folder / "checkpoints" / "best" / "net.json").read_text())["objective"]
    assert {"losses.0.adjustment", "losses.0.class_weights"} <= kept.keys()
