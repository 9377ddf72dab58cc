"""What the report computes, against known values, simulation, and hand counts."""

import html
import math
import re

import pytest
import torch
from torch import Tensor

from ftrun import Classes, DataError, InputSpec, TensorSplit, Values
from ftrun_inputs import ImageInput
from ftrun_report.report import confusion, history, per_class, plots
from ftrun_report.report.calibration import calibration
from ftrun_report.report.examples import Example, Pictures, same_samples
from ftrun_report.report.history import Curve, PhaseRow
from ftrun_report.report.intervals import GROUPS, f1, groups, jackknife, proportion


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [
        (8, 10, 0.4902, 0.9433),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (1, 1, 0.2065, 1.0),
        (500, 1000, 0.469, 0.531),
    ],
)
def test_wilsons_interval_has_its_known_values(hits: int, trials: int, low: float, high: float) -> None:
    rate = proportion(hits, trials)
    assert rate.value == hits / trials
    assert (rate.low, rate.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_nothing_to_count_is_no_figure() -> None:
    assert proportion(0, 0).value is None
    assert f1(0, 0, 0).value is None
    assert f1(0, 3, 2).value == 0.0


def test_f1_is_the_harmonic_mean_and_inside_its_interval() -> None:
    rate = f1(30, 10, 20)
    precision, recall = 30 / 40, 30 / 50
    assert rate.value == pytest.approx(2 * precision * recall / (precision + recall))
    # Wilson's interval of 30 of 60 is 0.3773 to 0.6227; 2 f / (1 + f) of both.
    assert (rate.low, rate.high) == (pytest.approx(0.5479, abs=1e-4), pytest.approx(0.7675, abs=1e-4))


def test_the_intervals_cover_what_they_should() -> None:
    """95 of 100, within what 2,000 draws can tell."""
    generator = torch.Generator().manual_seed(5)
    parts = torch.tensor([0.12, 0.03, 0.05, 0.80])  # true and false positives, false negatives, the rest
    draws = torch.multinomial(parts.expand(2000, 4), 300, replacement=True, generator=generator)
    counts = torch.nn.functional.one_hot(draws, 4).sum(1).tolist()
    truth = {"recall": 0.12 / 0.17, "f1": 0.24 / 0.32}
    covered = {"recall": 0, "f1": 0}
    for hits, false, missed, _ in counts:
        for name, rate in (("recall", proportion(hits, hits + missed)), ("f1", f1(hits, false, missed))):
            assert rate.low is not None
            assert rate.high is not None
            covered[name] += rate.low <= truth[name] <= rate.high
    assert 0.935 < covered["recall"] / 2000 < 0.975
    assert 0.935 < covered["f1"] / 2000 < 0.975


def mean_of(values: Tensor, group: Tensor) -> float | None:
    return jackknife(lambda kept: float(values[torch.isin(group, torch.tensor(kept))].mean()))


def test_the_jackknife_of_a_mean_covers_it() -> None:
    generator, covered = torch.Generator().manual_seed(3), 0
    group = groups(200)
    assert group is not None
    assert group.bincount().tolist() == [200 // GROUPS] * GROUPS
    for _ in range(300):
        values = torch.rand(200, generator=generator)
        half = mean_of(values, group)
        assert half is not None
        covered += abs(float(values.mean()) - 0.5) <= half
    assert 0.91 < covered / 300 < 0.98
    assert groups(GROUPS - 1) is None
    assert mean_of(torch.full((200,), float("nan")), group) is None


def test_calibration_by_hand() -> None:
    confidence = torch.tensor([0.95, 0.95, 0.95, 0.95, 0.55, 0.55, 1.0, 0.0])
    right = torch.tensor([1, 1, 1, 0, 1, 0, 1, 0])
    found = calibration(confidence, right, bins=10)
    assert [(each.samples, round(each.right, 3)) for each in found.bins] == [(1, 0.0), (2, 0.5), (5, 0.8)]
    # (1 * 0 + 2 * |0.55 - 0.5| + 5 * |0.96 - 0.8|) / 8
    assert found.error == pytest.approx((0.1 + 0.8) / 8, abs=1e-6)
    assert calibration(torch.empty(0), torch.empty(0)).error == 0


def test_a_net_that_means_what_it_says_has_hardly_any_error() -> None:
    generator = torch.Generator().manual_seed(0)
    confidence = torch.rand(20000, generator=generator)
    right = torch.rand(20000, generator=generator) < confidence
    assert calibration(confidence, right).error < 0.02
    assert calibration(confidence.sqrt(), right).error > 0.1


def test_confusions_of_very_many_classes() -> None:
    names = [f"c{number}" for number in range(100_000)]  # a matrix of them would have ten thousand million cells
    true = torch.tensor([7, 7, 7, 99_999, 5])
    said = torch.tensor([7, 8, 8, 0, 5])
    first, second = confusion.pairs(true, said, names, 20)
    assert (first.true, first.predicted, first.count, first.share) == ("c7", "c8", 2, pytest.approx(2 / 3))
    assert (second.true, second.predicted, second.count, second.share) == ("c99999", "c0", 1, 1.0)
    assert confusion.matrix(true, said, len(names)) is None
    matrix = confusion.matrix(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]), 2)
    assert matrix is not None
    assert matrix.tolist() == [[1, 1], [0, 1]]


def test_the_worst_of_many_come_first_and_few_keep_their_order() -> None:
    few = per_class.table(["a", "b"], [(5, 5, 5), (5, 5, 0)], most=1000)
    assert ([row.name for row in few.rows], few.worst_first) == (["a", "b"], False)
    names = [f"c{number}" for number in range(40)]
    many = per_class.table(names, [*[(4, 4, 4)] * 38, (4, 4, 1), (0, 0, 0)], most=39)
    assert (many.rows[0].name, many.total, len(many.rows), many.worst_first) == ("c38", 40, 39, True)
    assert "c39" not in [row.name for row in many.rows], "it has no F1, and goes last"


def lines(epochs: int, **figures: float | None) -> list[dict[str, float | None]]:
    return [{"epoch": epoch, "step": 4 * epoch, "lr": 2e-4, **figures} for epoch in range(1, epochs + 1)]


def test_figures_share_a_chart_where_they_share_a_scale() -> None:
    told = lines(2, **{"train/loss": 3.0, "val/loss": 2.0, "val/accuracy": 0.5, "val/f1": None, "val/mse": 7.0})
    classes = {"label": Classes(names=("a", "b"))}
    shown = [(chart.title, [curve.name for curve in chart.curves]) for chart in history.charts(told, classes)]
    assert shown == [
        ("Loss", ["train/loss", "val/loss"]),
        ("Figures on val", ["val/accuracy", "val/f1"]),
        ("val/mse", ["val/mse"]),
    ]
    told = lines(2, **{"val/loss": 2.0, "val/size/mae": 0.5, "val/size/r2": 0.9, "val/label/accuracy": 0.9})
    titles = [chart.title for chart in history.charts(told, {**classes, "size": Values()})]
    assert titles == ["Loss", "Figures on val: label", "val/size/mae", "val/size/r2"]
    assert history.charts([], classes) == []
    (curve,) = history.charts(lines(5000, **{"val/loss": 1.0}), classes)[0].curves
    assert len(curve.epochs) <= 400
    assert curve.epochs[-1] == 5000


def texts(svg: str) -> list[str]:
    return [html.unescape(each) for each in re.findall(r"<text[^>]*>([^<]*)</text>", svg)]


def test_a_drawing_takes_the_pages_colours_and_keeps_its_numbers() -> None:
    curve = Curve("val/<b>", [1.0, 2.0], [1e-4, 3e-4])
    phases = [
        PhaseRow(1, 1, "features", 1.0, 1.0, None, False, None, "train"),
        PhaseRow(2, 2, None, 1.0, 1.0, None, True, {"size": 8}, "train"),
    ]
    svg = plots.curves("a", [curve], 2, phases)
    assert "var(--series-1)" in svg
    assert "#" not in re.sub(r'href="#a-|url\(#a-', "", svg), "no colour is left that the page does not choose"
    assert not re.search(r"http|<style|<script|font-family", svg)
    assert all(each.startswith("a-") for each in re.findall(r'\bid="([^"]*)"', svg))
    assert "val/" not in svg, "names are in the page, where they are escaped"
    shown = texts(svg)
    assert len(shown) == len(set(shown)), "numbers are not cut"
    assert "0.00030" in shown
    assert plots.curves("a", [curve], 2, phases) == svg, "always the same"
    assert plots.curves("b", [curve], 2, phases) != svg


def test_drawings_of_nearly_nothing() -> None:
    nothing = float("nan")
    assert "<svg" in plots.curves("a", [Curve("loss", [1.0], [nothing])], None, [])
    assert "<svg" in plots.learning_rate("a", Curve("", [], []), Curve("", [1.0], [0.0]), [])
    assert "<svg" in plots.calibration("a", calibration(torch.empty(0), torch.empty(0)))
    assert "<svg" in plots.confusion("a", torch.zeros(30, 30))


class Texts(InputSpec):
    """Texts, for which the contract's own way of showing will do."""

    def collate(self, raw: list[str]) -> Tensor:
        return torch.zeros(len(raw))

    def prepare(self, batch: Tensor) -> Tensor:
        return batch

    def example(self, count: int) -> list[str]:
        return ["x"] * count


class Lines:
    """A split of texts, of which one cannot be read."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts
        self.columns = {"label": torch.zeros(len(texts), dtype=torch.int64)}

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int, /) -> tuple[str, dict[str, Tensor]]:
        if self.texts[index] == "torn":
            raise DataError("torn")
        return self.texts[index], {"label": self.columns["label"][index]}


def example(sample: int) -> Example:
    return Example(sample, "a", "b", "0.9")


def test_texts_are_shown_as_texts_and_what_cannot_be_read_is_not() -> None:
    shown = Pictures(Lines(["short", "torn", "long " * 1000]), Texts()).add([example(0), example(1), example(2)])
    assert shown[0].shown is not None
    assert shown[0].shown.text == "short"
    assert shown[1].shown is None
    assert shown[2].shown is not None
    assert len(shown[2].shown.text or "") < 500
    assert Pictures(None, None).add([example(0)])[0].shown is None


@pytest.mark.parametrize(
    ("shape", "size", "kind"),
    [((3, 40, 90), 96, "jpeg"), ((1, 8, 8), 8, "png"), ((3, 300, 300), 224, "jpeg"), ((1, 5, 5), 64, "jpeg")],
)
def test_images_are_shown_as_the_net_sees_them(shape: tuple[int, ...], size: int, kind: str) -> None:
    split = TensorSplit(torch.full((1, *shape), 200, dtype=torch.uint8), {"label": torch.zeros(1)})
    (shown,) = Pictures(split, ImageInput(size=(size, size))).add([example(0)])
    assert shown.shown is not None
    assert (shown.shown.picture or "").startswith(f"data:image/{kind};base64,")
    four = ImageInput(size=(8, 8), mean=(0.5,) * 4, std=(1.0,) * 4)
    assert four.preview(torch.zeros(4, 8, 8, dtype=torch.uint8)) is None


def test_the_page_has_room_for_so_many_pictures() -> None:
    noise = torch.randint(0, 256, (300, 3, 112, 112), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    split = TensorSplit(noise, {"label": torch.zeros(300)})
    shown = Pictures(split, ImageInput(size=(112, 112))).add([example(number) for number in range(300)])
    pictures = [each.shown.picture or "" for each in shown if each.shown]
    assert 0 < len(pictures) < 300
    assert sum(map(len, pictures)) < 1_500_000


def test_other_data_is_told_by_its_labels() -> None:
    targets = {"label": Classes(names=("a", "b", "c")), "size": Values(), "other": Values()}
    values = {"label": torch.tensor([0, -1, 2]), "size": torch.tensor([[1.0], [math.nan], [3.0]])}
    split = TensorSplit(torch.zeros(3, 1), values)
    some = torch.tensor([2, 1])
    assert same_samples(split, some, {name: each[some] for name, each in values.items()}, targets)
    assert not same_samples(split, some, {"label": torch.tensor([2, 1])}, targets)
    assert not same_samples(split, some, {"size": torch.tensor([[3.0], [1.0]])}, targets)
    assert not same_samples(split, torch.tensor([3]), {"label": torch.tensor([0])}, targets)
    assert not same_samples(split, torch.tensor([0]), {"other": torch.tensor([[0.0]])}, targets)
