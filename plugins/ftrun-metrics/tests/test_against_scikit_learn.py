"""Metrics of chance, ranks and probabilities against scikit-learn, and where they are undefined."""

import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn
from torch import Tensor

import ftrun
from ftrun_devkit import tiny_run
from ftrun_metrics import (
    AUROC,
    AveragePrecision,
    BalancedAccuracy,
    ExpectedCalibrationError,
    Matthews,
    QuadraticKappa,
)

NAN = math.nan
quick = settings(max_examples=settings.default.max_examples * 2 // 5)


def figure(part: type[ftrun.Metric], target: ftrun.Target, outputs: Tensor, values: Tensor, **options: Any) -> float:
    """What a run would note, fed batch by batch."""
    metric = part(name=part.model_fields["name"].annotation.__args__[0], **options).build(target)
    for start in range(0, len(values), 3):
        metric.update(outputs[start : start + 3], values[start : start + 3])
    value = metric.compute()
    assert value.dtype == torch.float64
    return float(value)


def classes(count: int) -> ftrun.Classes:
    return ftrun.Classes(names=tuple("abcdef"[:count]))


@st.composite
def of_classes(draw: st.DrawFn, least: int = 2) -> tuple[Tensor, Tensor]:
    """Logits [B, K], with ties, and labels [B], often with classes that are absent."""
    samples, count = draw(st.integers(1, 14)), draw(st.integers(least, 5))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    logits = torch.randint(-3, 4, (samples, count), generator=generator).float()
    return logits, torch.randint(0, draw(st.integers(1, count)), (samples,), generator=generator)


@st.composite
def of_labels(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Logits [B, L], with ties, and labels [B, L], some of them not known."""
    samples, count = draw(st.integers(1, 12)), draw(st.integers(1, 3))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    logits = torch.randint(-3, 4, (samples, count), generator=generator).float()
    values = torch.randint(0, 2, (samples, count), generator=generator).float()
    missing = torch.rand(samples, count, generator=generator) < draw(st.sampled_from([0.0, 0.3]))
    return logits, values.masked_fill(missing, NAN)


def known(logits: Tensor, values: Tensor) -> list[tuple[np.ndarray, np.ndarray]]:
    """Scores and truth of each label, of the samples of which it is known."""
    pairs = zip(logits.unbind(1), values.unbind(1), strict=True)
    return [(score[~value.isnan()].numpy(), value[~value.isnan()].numpy().astype(int)) for score, value in pairs]


def mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else NAN


def same(value: float, expected: float) -> None:
    assert value == pytest.approx(expected, abs=1e-9, nan_ok=True)


# Ranks

RANKS = [
    (AUROC, sklearn.roc_auc_score, lambda truth: 0 < truth.sum() < len(truth)),
    (AveragePrecision, sklearn.average_precision_score, lambda truth: truth.sum() > 0),
]


@pytest.mark.parametrize(("part", "theirs", "defined"), RANKS)
@quick
@given(case=of_classes())
def test_ranks_of_classes(part: Any, theirs: Any, defined: Any, case: tuple[Tensor, Tensor]) -> None:
    logits, labels = case
    scores, count = logits.double().softmax(1).numpy(), logits.shape[1]
    each = [(scores[:, k], (labels == k).numpy().astype(int)) for k in range(count)][1 if count == 2 else 0 :]
    expected = mean([theirs(truth, score) for score, truth in each if defined(truth)])
    same(figure(part, classes(count), logits, labels), expected)


@pytest.mark.parametrize(("part", "theirs", "defined"), RANKS)
@quick
@given(case=of_labels())
def test_ranks_of_labels(part: Any, theirs: Any, defined: Any, case: tuple[Tensor, Tensor]) -> None:
    logits, values = case
    expected = mean([theirs(truth, score) for score, truth in known(logits, values) if defined(truth)])
    same(figure(part, ftrun.Labels(names=tuple("pqr"[: logits.shape[1]])), logits, values), expected)


def test_one_versus_rest_is_scikit_learn_s_own() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(60, 4, generator=generator), torch.randint(0, 4, (60,), generator=generator)
    theirs = sklearn.roc_auc_score(labels, logits.double().softmax(1), multi_class="ovr", average="macro")
    same(figure(AUROC, classes(4), logits, labels), theirs)


def test_probabilities_that_float32_would_call_equal_are_ranked() -> None:
    logits = torch.tensor([[0.0, 40.0], [0.0, 30.0], [0.0, 35.0]])
    assert figure(AUROC, classes(2), logits, torch.tensor([1, 0, 1])) == 1.0


# Chance


@quick
@given(case=of_classes())
def test_decisions_of_classes(case: tuple[Tensor, Tensor]) -> None:
    logits, labels = case
    decided, target = logits.argmax(1), classes(logits.shape[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that do not occur, and of one class alone
        same(figure(BalancedAccuracy, target, logits, labels), sklearn.balanced_accuracy_score(labels, decided))
        same(figure(Matthews, target, logits, labels), sklearn.matthews_corrcoef(labels, decided))
        names = list(range(logits.shape[1]))
        kappa = sklearn.cohen_kappa_score(labels, decided, labels=names, weights="quadratic")
    same(figure(QuadraticKappa, target, logits, labels), kappa)


@quick
@given(case=of_labels())
def test_decisions_of_labels(case: tuple[Tensor, Tensor]) -> None:
    logits, values = case
    each, target = known(logits, values), ftrun.Labels(names=tuple("pqr"[: logits.shape[1]]))
    both = [(truth, score > 0) for score, truth in each if 0 < truth.sum() < len(truth)]
    expected = mean([sklearn.balanced_accuracy_score(*pair) for pair in both])
    same(figure(BalancedAccuracy, target, logits, values), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of one value alone
        some = [sklearn.matthews_corrcoef(truth, score > 0) for score, truth in each if len(truth)]
    same(figure(Matthews, target, logits, values), mean(some))


@pytest.mark.parametrize("samples", [3, 10, 49, 1000])
def test_all_right_is_one_and_all_wrong_is_minus_one(samples: int) -> None:
    labels = torch.arange(samples) % 2
    logits = torch.eye(2)[labels]
    for part in (Matthews, BalancedAccuracy, AUROC, AveragePrecision, QuadraticKappa):
        assert figure(part, classes(2), logits, labels) == 1.0
    assert figure(Matthews, classes(2), -logits, labels) == -1.0
    assert figure(Matthews, classes(2), torch.eye(2)[labels * 0], labels) == 0.0


def test_chance_alone_is_0() -> None:
    logits = torch.tensor([[1.0, 0.0, 0.0]] * 6)
    labels = torch.tensor([0, 0, 0, 1, 1, 2])
    assert figure(Matthews, classes(3), logits, labels) == 0.0
    assert figure(QuadraticKappa, classes(3), logits, labels) == 0.0
    assert figure(BalancedAccuracy, classes(3), logits, labels) == pytest.approx(1 / 3)


def test_what_is_undefined_is_no_number() -> None:
    one_class = torch.tensor([[1.0, 0.0]] * 3), torch.zeros(3, dtype=torch.int64)
    unknown = torch.zeros(3, 2), torch.full((3, 2), NAN)
    assert math.isnan(figure(AUROC, classes(2), *one_class))
    assert math.isnan(figure(AveragePrecision, classes(2), *one_class))
    assert math.isnan(figure(QuadraticKappa, classes(2), *one_class))
    for part in (AUROC, AveragePrecision, BalancedAccuracy, Matthews, ExpectedCalibrationError):
        assert math.isnan(figure(part, ftrun.Labels(names=("p", "q")), *unknown))


# Calibration


@quick
@given(case=of_classes(), bins=st.sampled_from([1, 7, 15]))
def test_calibration_error_of_classes(case: tuple[Tensor, Tensor], bins: int) -> None:
    logits, labels = case
    confidence, decided = logits.softmax(1).max(1)
    expected = binned(confidence.double().numpy(), (decided == labels).numpy(), bins)
    value = figure(ExpectedCalibrationError, classes(logits.shape[1]), logits, labels, bins=bins)
    assert value == pytest.approx(expected, abs=1e-6)


@quick
@given(case=of_labels())
def test_calibration_error_of_labels(case: tuple[Tensor, Tensor]) -> None:
    logits, values = case
    is_known = ~values.isnan()
    expected = binned(logits.sigmoid()[is_known].double().numpy(), (values[is_known] > 0.5).numpy(), 15)
    value = figure(ExpectedCalibrationError, ftrun.Labels(names=tuple("pqr"[: logits.shape[1]])), logits, values)
    assert value == pytest.approx(expected, abs=1e-6, nan_ok=True)


def binned(confidence: np.ndarray, right: np.ndarray, bins: int) -> float:
    """The paper's equation 3, bin by bin."""
    if not len(confidence):
        return NAN
    error = 0.0
    for index in range(bins):
        inside = (confidence > index / bins) & (confidence <= (index + 1) / bins)
        if inside.any():
            error += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    return error


def test_a_run_has_all_of_them(tmp_path) -> None:
    names = [
        "auroc",
        "average-precision",
        "balanced-accuracy",
        "matthews",
        "expected-calibration-error",
        "quadratic-kappa",
    ]
    run = tiny_run(tmp_path, metrics=names, train={"epochs": 1, "batch_size": 12, "monitor": "val/auroc"})
    values = run.results["test"]
    assert all(isinstance(values[name.replace("-", "_")], float) for name in names)
    assert {"val/auroc", "val/matthews"} <= run.metrics[0].keys()
