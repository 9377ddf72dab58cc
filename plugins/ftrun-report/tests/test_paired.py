"""What `ftrun compare` computes: known values of the tests, and intervals that cover the truth as often as said."""

import math
from collections import Counter

import pytest
import torch
from torch import Tensor

from ftrun import Classes, Labels, Target, Values
from ftrun_report.compare.measures import HIGHER_IS_BETTER, Outcomes
from ftrun_report.compare.paired import differences, discordant, holm, mcnemar
from ftrun_report.kinds import measures

TARGETS: dict[str, Target] = {
    "classes": Classes(names=("a", "b", "c", "d")),
    "labels": Labels(names=("a", "b", "c")),
    "values": Values(names=("x", "y")),
}


def draw(target: Target, samples: int, seed: int, better: float = 0.0) -> tuple[Outcomes, Outcomes]:
    """What two runs say of the same samples: alike in what is hard for both, the second one better by so much."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> Tensor:
        return torch.randn(samples, *shape, generator=generator)

    width = target.outputs
    shared = noise(width)
    if target.kind == "classes":
        rarer = torch.tensor([0.5, 0.3, 0.15, 0.05])
        truth = torch.multinomial(rarer, samples, replacement=True, generator=generator)
        signal = torch.nn.functional.one_hot(truth, width).float()
    elif target.kind == "labels":
        truth = (torch.rand(samples, width, generator=generator) < torch.tensor([0.5, 0.3, 0.2])).float()
        signal = truth * 2 - 1
    else:
        truth = noise(width) * torch.tensor([1.0, 3.0]) + 100
        signal = None
    said = []
    for strength in (0.0, better):
        if signal is None:
            said.append(Outcomes(truth + (shared + noise(width)) * (1 - strength), truth))
        else:
            said.append(Outcomes((1.2 + strength) * signal + 0.7 * shared + 0.7 * noise(width), truth))
    return said[0], said[1]


def figures(target: Target, said: Outcomes) -> dict[str, float]:
    return {name: value for measure in measures(target) for name, value in measure.of(said).items()}


def coverage(
    target: Target, *, repeats: int, samples: int, resamples: int, better: float, many: int
) -> dict[str, float]:
    """How often the interval of each figure's difference holds the true one, that of very many samples."""
    one, other = (figures(target, each) for each in draw(target, many, 10**6, better))
    held: Counter[str] = Counter()
    for seed in range(repeats):
        found = differences(measures(target), *draw(target, samples, seed, better), resamples=resamples)
        for name, each in found.items():
            held[name] += each.interval[0] <= other[name] - one[name] <= each.interval[1]
    return {name: held[name] / repeats for name in one}


@pytest.mark.parametrize(
    "better", [pytest.param(0.0, id="equal", marks=pytest.mark.slow), pytest.param(0.15, id="different")]
)
@pytest.mark.parametrize("kind", TARGETS)
def test_intervals_cover_the_truth(kind: str, better: float) -> None:
    for name, part in coverage(
        TARGETS[kind], repeats=100, samples=200, resamples=400, better=better, many=200_000
    ).items():
        assert 0.88 <= part <= 1.0, (name, part)  # three standard deviations of 100 draws at 0.95


@pytest.mark.slow
@pytest.mark.parametrize("better", [0.0, 0.15], ids=["equal", "different"])
@pytest.mark.parametrize("kind", TARGETS)
def test_intervals_cover_the_truth_in_many_draws(kind: str, better: float) -> None:
    for name, part in coverage(
        TARGETS[kind], repeats=2000, samples=500, resamples=1000, better=better, many=2_000_000
    ).items():
        assert 0.93 <= part <= 0.97, (name, part)


@pytest.mark.parametrize(
    ("only_first", "only_second", "p", "form"),
    [
        (0, 0, 1.0, "exact"),
        (5, 15, 0.0413894653, "exact"),  # scipy.stats.binomtest(5, 20).pvalue
        (15, 5, 0.0413894653, "exact"),
        (10, 10, 1.0, "exact"),
        (0, 6, 0.03125, "exact"),  # 2 / 2**6
        (8, 16, 0.1515863, "exact"),
        # 2 * scipy.stats.binom.cdf(10, 36, 0.5) - scipy.stats.binom.pmf(10, 36, 0.5)
        (10, 26, 0.0076320786, "mid-p"),
        (26, 10, 0.0076320786, "mid-p"),
        (50, 50, 1.0, "mid-p"),
        (0, 100_000, 0.0, "mid-p"),
    ],
)
def test_mcnemar(only_first: int, only_second: int, p: float, form: str) -> None:
    found, test = mcnemar(only_first, only_second)
    assert found == pytest.approx(p, rel=1e-4, abs=1e-12)
    assert test == f"McNemar, {form}"


def test_mcnemar_equals_the_sum_of_the_binomials() -> None:
    for total in (7, 24, 25, 60):
        for fewer in range(total // 2):
            tail = sum(math.comb(total, count) for count in range(fewer + 1)) / 2**total
            middle = 0 if total < 25 else math.comb(total, fewer) / 2**total
            assert mcnemar(fewer, total - fewer)[0] == pytest.approx(min(1, 2 * tail - middle), rel=1e-9)


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([0.04]) == [0.04]
    assert holm([]) == []


def test_discordant_samples_are_those_that_one_run_alone_has_right() -> None:
    truth = torch.tensor([0, 1, 1, 0, 1])
    one, other = (
        torch.nn.functional.one_hot(torch.tensor(said), 2).float() for said in ([0, 1, 0, 1, 1], [0, 0, 1, 1, 0])
    )
    assert discordant(Outcomes(one, truth), Outcomes(other, truth)) == (2, 1)


def test_figures_are_those_of_torchmetrics() -> None:
    from torchmetrics import classification, regression  # seconds, which each worker would wait that collects tests

    said, _ = draw(TARGETS["classes"], 200, 1)
    rare = Outcomes(
        said.outputs - torch.tensor([0.0, 0.0, 0.0, 99.0]), said.truth.clamp(max=2)
    )  # a class that is nowhere
    for each in (said, rare):
        found = figures(TARGETS["classes"], each)
        for name, metric in (("f1_macro", "MulticlassF1Score"), ("recall_macro", "MulticlassRecall")):
            expected = getattr(classification, metric)(4, average="macro")(each.outputs, each.truth)
            assert found[name] == pytest.approx(float(expected), abs=1e-6)
        assert found["accuracy"] == pytest.approx(float((each.outputs.argmax(1) == each.truth).float().mean()))
        assert found["log_loss"] == pytest.approx(float(torch.nn.functional.cross_entropy(each.outputs, each.truth)))
    labels, _ = draw(TARGETS["labels"], 200, 1)
    found = figures(TARGETS["labels"], labels)
    for average in ("macro", "micro"):
        expected = classification.MultilabelF1Score(3, average=average)(labels.outputs > 0, labels.truth.long())
        assert found[f"f1_{average}"] == pytest.approx(float(expected), abs=1e-6)
    values, _ = draw(TARGETS["values"], 200, 1)
    found = figures(TARGETS["values"], values)
    expected = regression.R2Score(multioutput="uniform_average")(values.outputs.double(), values.truth.double())
    assert found["r2"] == pytest.approx(float(expected), rel=1e-6)
    assert found["mae"] == pytest.approx(float(regression.MeanAbsoluteError()(values.outputs, values.truth)), rel=1e-5)
    assert found["mse"] == pytest.approx(float(regression.MeanSquaredError()(values.outputs, values.truth)), rel=1e-5)
    assert set(HIGHER_IS_BETTER) == {
        name for target in TARGETS.values() for name in figures(target, draw(target, 9, 0)[0])
    }


@pytest.mark.parametrize("kind", TARGETS)
def test_the_answer_is_always_the_same_and_turns_its_sign_with_the_order(kind: str) -> None:
    target = TARGETS[kind]
    one, other = draw(target, 150, 3, better=0.3)
    found = differences(measures(target), one, other, resamples=200)
    assert found == differences(measures(target), one, other, resamples=200)
    for name, turned in differences(measures(target), other, one, resamples=200).items():
        low, high = found[name].interval
        assert turned.interval == pytest.approx((-high, -low), abs=1e-6)
        assert turned.p == found[name].p


@pytest.mark.parametrize("kind", TARGETS)
def test_a_run_is_no_better_than_itself(kind: str) -> None:
    target = TARGETS[kind]
    said, _ = draw(target, 50, 4)
    for found in differences(measures(target), said, said, resamples=100).values():
        assert found.first == found.second
        assert found.interval == pytest.approx((0, 0), abs=1e-9)
        assert found.p == 1


def test_a_few_samples_prove_nothing() -> None:
    """Four of twelve, all for one run: a bootstrap alone would be sure, and a coin comes up so one time in eight."""
    truth = torch.zeros(12, dtype=torch.int64)
    one = torch.tensor([[1.0, 0.0]]).repeat(12, 1)
    other = one.clone()
    other[:4] = torch.tensor([0.0, 1.0])
    found = differences(measures(Classes(names=("a", "b"))), Outcomes(one, truth), Outcomes(other, truth))
    assert found["accuracy"].interval[1] < 0
    assert found["accuracy"].p == pytest.approx(0.125, abs=0.03)
    assert mcnemar(4, 0)[0] == 0.125


def test_what_is_not_a_number_is_no_proof() -> None:
    truth = torch.full((10, 1), 3.0)  # no variance, so no R2
    one, other = Outcomes(torch.zeros(10, 1), truth), Outcomes(truth.clone(), truth)
    found = differences([*measures(Values(names=("x",)))], one, other, resamples=50)
    assert not math.isfinite(found["r2"].interval[0])
    assert found["r2"].p == 1
    assert found["mae"].p < 0.05
