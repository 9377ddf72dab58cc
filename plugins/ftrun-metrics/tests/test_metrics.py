"""Metrics against scikit-learn, fed in batches as a run feeds them."""

import json
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn import metrics as sklearn
from torch import Tensor

import ftrun
from ftrun_metrics import (
    AUROC,
    F1,
    MAE,
    MSE,
    R2,
    Accuracy,
    AveragePrecision,
    BalancedAccuracy,
    ConfusionMatrix,
    ExpectedCalibrationError,
    Matthews,
    Precision,
    QuadraticKappa,
    Recall,
    TopK,
)

AVERAGES = ("macro", "micro", "weighted")
AVERAGED = (Precision, Recall, F1)  # as scikit-learn has them


def part(cls: type[ftrun.Metric], **options: Any) -> Any:
    return cls(name=cls.model_fields["name"].annotation.__args__[0], **options)


def classes(count: int) -> ftrun.Classes:
    return ftrun.Classes(names=tuple(f"class {index}" for index in range(count)))


def figure(metric: ftrun.Metric, target: ftrun.Target, output: Tensor, values: Tensor, batch: int = 3) -> Any:
    """What a run would note of `metric`."""
    built = metric.build(target).to("cpu")
    for start in range(0, len(values), batch):
        built.update(output[start : start + batch], values[start : start + batch])
    return built.compute().tolist()


@st.composite
def predictions(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Logits [B, K] and labels [B], often with classes that are absent from either."""
    samples, count = draw(st.integers(1, 12)), draw(st.integers(2, 6))
    label = st.lists(st.integers(0, count - 1), min_size=samples, max_size=samples)
    guesses, labels = torch.tensor(draw(label)), torch.tensor(draw(label))
    noise = torch.rand(samples, count, generator=torch.Generator().manual_seed(draw(st.integers(0, 9))))
    return noise + 2 * torch.nn.functional.one_hot(guesses, count), labels


@st.composite
def several_labels(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Logits [B, L], sometimes all in [0, 1], and labels [B, L]."""
    samples, count = draw(st.integers(1, 8)), draw(st.integers(1, 4))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    low = draw(st.sampled_from([-2.0, 0.01]))
    logits = torch.rand(samples, count, generator=generator) * (1 - low) + low
    return logits, torch.randint(0, 2, (samples, count), generator=generator).float()


quick = settings(max_examples=settings.default.max_examples * 2 // 5)


@quick
@given(case=predictions())
def test_accuracy_is_the_part_that_is_right(case: tuple[Tensor, Tensor]) -> None:
    output, labels = case
    value = figure(part(Accuracy), classes(output.shape[1]), output, labels)
    assert value == pytest.approx(sklearn.accuracy_score(labels, output.argmax(1)))


@quick
@given(case=predictions())
def test_averages_over_classes_are_scikit_learn_s(case: tuple[Tensor, Tensor]) -> None:
    output, labels = case
    for average in AVERAGES:
        found = averaged(classes(output.shape[1]), average, output, labels)
        expected = sklearn.precision_recall_fscore_support(labels, output.argmax(1), average=average, zero_division=0)
        assert found == pytest.approx(expected[:3], abs=1e-6), average


@quick
@given(case=several_labels())
def test_averages_over_labels_are_scikit_learn_s(case: tuple[Tensor, Tensor]) -> None:
    output, labels = case
    names = tuple("abcd"[: output.shape[1]])
    truth, guess = labels.int().numpy(), (output.sigmoid() > 0.5).int().numpy()
    for average in AVERAGES:
        found = averaged(ftrun.Labels(names=names), average, output, labels)
        theirs = "binary" if len(names) == 1 else average  # scikit-learn takes one column for two classes
        expected = sklearn.precision_recall_fscore_support(truth, guess, average=theirs, zero_division=0)[:3]
        if len(names) == 1 and average == "weighted" and not truth.any():
            expected = (0.0, 0.0, 0.0)
        assert found == pytest.approx(expected, abs=1e-6), average


def averaged(target: ftrun.Target, average: str, output: Tensor, values: Tensor) -> tuple[float, ...]:
    return tuple(figure(part(cls, average=average), target, output, values) for cls in AVERAGED)


@quick
@given(case=several_labels())
def test_accuracy_of_labels_is_the_part_of_decisions_that_are_right(case: tuple[Tensor, Tensor]) -> None:
    output, labels = case
    value = figure(part(Accuracy), ftrun.Labels(names=tuple("abcd"[: output.shape[1]])), output, labels)
    assert value == pytest.approx(1 - sklearn.hamming_loss(labels.int().numpy(), (output > 0).int().numpy()))


def test_logits_that_happen_to_lie_between_0_and_1_are_logits() -> None:
    target = ftrun.Labels(names=("a", "b"))
    assert figure(part(Accuracy), target, torch.tensor([[0.1, 0.9]]), torch.tensor([[1.0, 1.0]])) == 1.0


def test_a_macro_average_leaves_out_classes_that_are_neither_there_nor_predicted() -> None:
    output = torch.eye(4)[[0, 0, 1]]  # class 2 and 3 never show
    assert figure(part(Recall), classes(4), output, torch.tensor([0, 0, 1])) == 1.0


@quick
@given(case=predictions(), k=st.integers(1, 5))
def test_top_k_counts_labels_among_the_k_likeliest(case: tuple[Tensor, Tensor], k: int) -> None:
    output, labels = case
    if k >= output.shape[1]:
        return
    among = (output.topk(k).indices == labels[:, None]).any(dim=1).float().mean().item()
    assert figure(part(TopK, k=k), classes(output.shape[1]), output, labels) == pytest.approx(among)


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("cls", AVERAGED)
@pytest.mark.parametrize("count", [3, 7, 11, 49, 103])
def test_all_right_is_one_and_not_a_little_more(cls: Any, average: str, count: int) -> None:
    labels = torch.arange(2 * count + 1) % count
    assert figure(part(cls, average=average), classes(count), torch.eye(count)[labels], labels) == 1.0
    several = (torch.rand(20, count, generator=torch.Generator().manual_seed(count)) < 0.5).float()
    several[0] = 1
    target = ftrun.Labels(names=tuple(map(str, range(count))))
    assert figure(part(cls, average=average), target, several * 2 - 1, several) == 1.0


def test_a_confusion_matrix_of_many_classes_touches_the_cells_of_its_samples_alone() -> None:
    """A matrix of 3,000 classes has 9 million cells: to share out all of them 500 times would take a minute."""
    built = part(ConfusionMatrix).build(classes(3000))
    outputs, labels = torch.eye(3000)[[5, 7]], torch.tensor([5, 6])
    for _ in range(500):
        built.update(outputs, labels)
    matrix = built.compute()
    assert (int(matrix[5, 5]), int(matrix[6, 7]), int(matrix.sum())) == (500, 500, 1000)


def test_top_k_of_all_classes_is_an_error() -> None:
    with pytest.raises(ftrun.SpecError, match=r"k = 5 is always right, as there are 5 classes"):
        part(TopK).build(classes(5))


@quick
@given(case=predictions())
def test_confusion_matrix_has_true_classes_as_rows(case: tuple[Tensor, Tensor]) -> None:
    output, labels = case
    count = output.shape[1]
    matrix = figure(part(ConfusionMatrix), classes(count), output, labels)
    assert matrix == sklearn.confusion_matrix(labels, output.argmax(1), labels=range(count)).tolist()


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize("width", [1, 3])
def test_figures_of_values_are_scikit_learn_s(width: int, scale: float, offset: float) -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(20, width, generator=generator) * scale + offset * scale
    output = values + torch.randn(20, width, generator=generator) * scale / 2
    target = ftrun.Values(names=tuple("abc"[:width]))
    expected = {
        MSE: sklearn.mean_squared_error(values.double(), output.double()),
        MAE: sklearn.mean_absolute_error(values.double(), output.double()),
        R2: sklearn.r2_score(values.double(), output.double()),
    }
    for cls, figure_expected in expected.items():
        value = figure(part(cls), target, output, values)
        assert isinstance(value, float)
        assert value == pytest.approx(figure_expected, rel=1e-5)


def test_r2_of_values_that_do_not_vary() -> None:
    target, same = ftrun.Values(), torch.full((4, 1), 2.0)
    assert figure(part(R2), target, same, same) == 1
    assert figure(part(R2), target, same + 1, same) == 0


def test_r2_of_equal_values_whose_mean_is_rounded() -> None:
    """0.1 three times has a mean that is larger than 0.1."""
    values = torch.full((3, 1), 0.1, dtype=torch.float64)
    assert figure(part(R2), ftrun.Values(), values, values) == 1
    assert figure(part(R2), ftrun.Values(), values + 0.1, values) == 0


def test_r2_of_values_whose_squares_are_no_numbers() -> None:
    values = torch.tensor([[1.0], [2.0], [6.0]], dtype=torch.float64)
    wanted = figure(part(R2), ftrun.Values(), values.flip(0), values)
    assert wanted < 0
    assert figure(part(R2), ftrun.Values(), values.flip(0) * 1e-200, values * 1e-200) == pytest.approx(wanted)


def test_r2_of_one_sample_is_no_number() -> None:
    assert math.isnan(figure(part(R2), ftrun.Values(), torch.ones(1, 1), torch.ones(1, 1)))


KEYS = {
    "accuracy": part(Accuracy),
    "top_5": part(TopK),
    "top_2": part(TopK, k=2),
    "precision_weighted": part(Precision, average="weighted"),
    "recall_macro": part(Recall),
    "f1_macro": part(F1),
    "f1_micro": part(F1, average="micro"),
    "confusion_matrix": part(ConfusionMatrix),
    "balanced_accuracy": part(BalancedAccuracy),
    "matthews": part(Matthews),
    "quadratic_kappa": part(QuadraticKappa),
    "auroc": part(AUROC),
    "average_precision": part(AveragePrecision),
    "expected_calibration_error": part(ExpectedCalibrationError),
    "expected_calibration_error_5": part(ExpectedCalibrationError, bins=5),
    "mse": part(MSE),
    "mae": part(MAE),
    "r2": part(R2),
}


def test_keys_tell_options_apart() -> None:
    assert {key: each.key for key, each in KEYS.items()} == {key: key for key in KEYS}


def test_what_is_better() -> None:
    lower = {key for key, each in KEYS.items() if each.higher_is_better is False}
    assert lower == {"mse", "mae", "expected_calibration_error", "expected_calibration_error_5"}
    assert [key for key, each in KEYS.items() if each.higher_is_better is None] == ["confusion_matrix"]


@pytest.mark.parametrize(
    ("cls", "options"), [(F1, {"average": "binary"}), (TopK, {"k": 0}), (Accuracy, {"average": "macro"})]
)
def test_senseless_options_are_refused(cls: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        cls.model_validate_json(json.dumps({**part(cls).model_dump(), **options}))


def cases() -> list[Any]:
    """Each metric on each kind of target that it takes: metric, target, outputs, values."""
    generator = torch.Generator().manual_seed(0)
    output = torch.randn(8, 6, generator=generator)
    by_kind = {
        "classes": (classes(6), torch.randint(0, 6, (8,), generator=generator)),
        "labels": (ftrun.Labels(names=tuple("abcdef")), torch.randint(0, 2, (8, 6), generator=generator).float()),
        "values": (ftrun.Values(names=tuple("abcdef")), torch.randn(8, 6, generator=generator)),
    }
    return [
        pytest.param(metric, by_kind[kind][0], output, by_kind[kind][1], id=f"{key}-{kind}")
        for key, metric in KEYS.items()
        for kind in metric.kinds
    ]


@pytest.mark.parametrize(("metric", "target", "output", "values"), cases())
def test_batches_do_not_matter_and_reset_starts_afresh(
    metric: ftrun.Metric, target: ftrun.Target, output: Tensor, values: Tensor
) -> None:
    built = metric.build(target)
    built.update(-output, values)
    built.reset()
    built.update(output, values)
    expected = figure(metric, target, output, values, batch=1)
    assert torch.tensor(built.compute().tolist()).allclose(torch.tensor(expected))


@pytest.mark.parametrize(("metric", "target", "output", "values"), cases())
def test_takes_bfloat16(metric: ftrun.Metric, target: ftrun.Target, output: Tensor, values: Tensor) -> None:
    rounded = output.bfloat16()
    value = figure(metric, target, rounded, values)
    assert torch.tensor(value).allclose(torch.tensor(figure(metric, target, rounded.float(), values)))


@pytest.mark.parametrize(("metric", "target", "output", "values"), cases())
def test_one_sample_gives_a_figure_without_a_warning(
    metric: ftrun.Metric, target: ftrun.Target, output: Tensor, values: Tensor
) -> None:
    value = figure(metric, target, output[:1], values[:1])
    assert isinstance(value, list if metric.higher_is_better is None else float)


def test_one_class_is_always_right() -> None:
    for metric in (part(Accuracy), part(F1), part(Recall)):
        assert figure(metric, classes(1), torch.randn(4, 1), torch.zeros(4, dtype=torch.int64)) == 1.0
