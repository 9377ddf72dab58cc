"""What is fitted against a search by other means."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

import ftrun
from ftrun_calibrate.fitting import best_threshold, fit_classes, fit_labels

quick = settings(max_examples=settings.default.max_examples * 2 // 5)
PETS = ftrun.Classes(names=("cat", "dog", "newt"))
TAGS = ftrun.Labels(names=("p", "q"))


@quick
@given(seed=st.integers(0, 999), scale=st.sampled_from([0.3, 1.0, 5.0]))
def test_no_temperature_has_a_smaller_log_loss(seed: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(0, 3, (60,), generator=generator)
    logits = scale * (torch.randn(60, 3, generator=generator) + torch.nn.functional.one_hot(truth, 3))
    fitted = fit_classes(PETS, logits, truth, None)

    def loss(logarithm: float) -> float:
        z = logits.double().numpy() / math.exp(logarithm)
        return float(np.mean(logsumexp(z, axis=1) - z[np.arange(60), truth.numpy()]))

    best = minimize_scalar(loss, bounds=(-4, 4), method="bounded", options={"xatol": 1e-10})
    assert math.log(fitted.fields["temperature"]) == pytest.approx(best.x, abs=1e-5)
    assert fitted.after == pytest.approx(best.fun, abs=1e-9)
    assert fitted.before == pytest.approx(loss(0.0))


def test_a_temperature_is_found_again() -> None:
    """Labels are drawn by the probabilities of logits, which then are made three times as sure."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(20000, 3, generator=generator)
    truth = torch.multinomial(logits.softmax(1), 1, generator=generator).squeeze(1)
    assert fit_classes(PETS, 3 * logits, truth, None).fields["temperature"] == pytest.approx(3, rel=0.05)
    drawn = (torch.rand(20000, 2, generator=generator) < logits[:, :2].sigmoid()).float()
    drawn[torch.rand(20000, 2, generator=generator) < 0.3] = math.nan
    assert fit_labels(TAGS, 3 * logits[:, :2], drawn, None).fields["temperature"] == pytest.approx(3, rel=0.05)


def test_what_has_no_temperature_keeps_1_and_says_so() -> None:
    right = torch.eye(3) * 2
    sure = fit_classes(PETS, right, torch.arange(3), None)
    assert (sure.fields, sure.before) == ({"temperature": 1.0}, sure.after)
    assert "val has no mistake" in sure.notes[0]
    wrong = fit_classes(PETS, -right, torch.arange(3), None)
    assert "the logits tell nothing" in wrong.notes[0]
    assert fit_classes(PETS, right, torch.arange(3), "thresholds").notes == []


def f1_score(true: torch.Tensor, decided: torch.Tensor) -> float:
    return 2 * int((true & decided).sum()) / int(true.sum() + decided.sum())


@quick
@given(seed=st.integers(0, 999), samples=st.integers(1, 20))
def test_no_threshold_has_a_larger_f1(seed: int, samples: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randint(-4, 5, (samples,), generator=generator).double()
    true = torch.randint(0, 2, (samples,), generator=generator).bool()
    chosen = best_threshold(logits, true)
    if not true.any():
        assert chosen == 0.5
        return
    bounds = [-math.inf, *(value + 0.5 for value in range(-5, 5))]
    best = max(f1_score(true, logits > bound) for bound in bounds)
    target = ftrun.Labels(names=("p",), thresholds=(chosen,))
    decided = target.decided(logits.float()[:, None])[:, 0]
    assert f1_score(true, decided) == pytest.approx(best)
    if f1_score(true, logits > 0) == pytest.approx(best):
        assert chosen == 0.5


def test_labels_that_no_sample_has_keep_their_threshold() -> None:
    truth = torch.tensor([[1.0, math.nan], [0.0, 0.0], [1.0, 0.0]])
    fitted = fit_labels(TAGS, torch.tensor([[-1.0, 0.0], [-3.0, 0.0], [-2.0, 0.0]]), truth, "thresholds")
    assert fitted.fields["temperature"] == 1.0
    assert fitted.fields["thresholds"] == [pytest.approx(1 / (1 + math.exp(2.5))), 0.5]
    assert fitted.notes == ["1 labels that no val sample has keep 0.5: q"]
    assert fitted.samples == 3
