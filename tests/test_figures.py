"""What metrics may give, what decides which epoch is best, and how both are written: strict JSON, large arrays out."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from support import StopAt, install, tiny_spec
from test_resume import go_on, start

from ftrun.contracts.errors import Interrupted, PluginError, SpecError
from ftrun.contracts.numbers import finite, line_of, shown, to_json
from ftrun.plugins.catalogue import Catalogue, installed
from ftrun.spec.check import check_spec
from ftrun.spec.model import json_schema
from ftrun.train.metricvalues import LARGE, values_of
from ftrun.train.monitor import Monitor

ODD = (Path(__file__).parent / "distributions" / "ftrun_odd_metrics.py").read_text()
NAN = math.nan


def strict(text: str) -> Any:
    """JSON as other readers have it, without NaN."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def odd(site) -> Catalogue:
    install(site, "ftrun-odd-metrics", ODD)
    return installed()


def spec_with(*gives: str, **train: Any) -> dict[str, Any]:
    return tiny_spec(
        dataset={"name": "tiny", "samples": 20, "val": True},
        metrics=["accuracy", *({"name": "odd", "gives": each} for each in gives)],
        train={"epochs": 2, "batch_size": 8, "precision": "fp32", **train},
    )


def test_numbers_and_mappings_are_figures_and_arrays_are_lists():
    assert values_of("k", torch.tensor(3)) == {"k": 3}
    assert values_of("k", torch.tensor(True)) == {"k": 1}
    assert values_of("k", {"a": torch.tensor(0.5), 7: {"b": 2}}) == {"k/a": 0.5, "k/7/b": 2}
    assert values_of("k", (torch.arange(2), torch.arange(1))) == {"k/0": [0, 1], "k/1": [0]}
    assert values_of("k", torch.eye(2).numpy()) == {"k": [[1.0, 0.0], [0.0, 1.0]]}
    assert isinstance(values_of("k", torch.zeros(LARGE + 1))["k"], torch.Tensor)


@pytest.mark.parametrize("given", [None, "good", torch.tensor(1j), object(), {"a": "b"}])
def test_what_is_no_figure_is_named(given):
    with pytest.raises(PluginError, match=r"metric 'k.*compute\(\) gives .*which is no figure"):
        values_of("k", given)


@pytest.mark.parametrize("gives", ["nothing", "text", "complex"])
def test_a_metric_that_gives_no_figure_is_found_before_the_training(gives, odd):
    with pytest.raises(PluginError, match="odd") as caught:
        start(spec_with(gives), Path("run"), odd)
    assert caught.value.where == "metrics.1"
    assert not Path("run").exists()


def test_a_fault_in_a_metric_is_found_before_the_training(odd):
    with pytest.raises(AttributeError, match="not_there") as caught:
        start(spec_with("fault"), Path("run"), odd)
    assert caught.value.__notes__ == ["in metrics.1, 'odd' of ftrun-odd-metrics 1.0"]
    assert not Path("run").exists()


def test_an_integer_may_decide_and_an_entry_of_a_mapping(odd):
    for monitor in ("val/odd_int", "val/odd_mapping/wrong"):
        folder = start(spec_with("int", "mapping", monitor=monitor), Path(monitor.replace("/", "-")), odd)
        lines = [strict(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        best = min(lines, key=lambda line: (line[monitor], line["val/loss"]))
        assert strict((folder / "results.json").read_text())["best_epoch"] == best["epoch"]
        assert isinstance(best[monitor], int)
    with pytest.raises(SpecError, match=r"no figure named 'val/odd_mapping'.*val/odd_mapping/wrong"):
        start(spec_with("mapping", monitor="val/odd_mapping"), Path("run"), odd)


def test_whatever_metrics_give_a_run_can_be_evaluated_compared_reported_and_resumed(odd, ftrun, monkeypatch):
    monkeypatch.setenv("FTRUN_REPORT", "1")
    gives = ("int", "python", "mapping", "several", "array", "large", "nan", "inf")
    with pytest.raises(Interrupted):
        start(spec_with(*gives), Path("broken"), odd, StopAt(4))
    folders = start(spec_with(*gives), Path("whole"), odd), go_on(Path("broken"), odd)
    for folder in folders:
        for path in (*folder.rglob("*.json"), *folder.rglob("*.jsonl")):
            assert path.stat().st_size < 40_000, f"{path} holds a large array"
            for text in path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]:
                strict(text)
        results = strict((folder / "results.json").read_text())
        assert results["test"]["odd_nan"] is None
        assert results["test"]["odd_inf"] is None
        large = results["test"]["odd_large"]
        assert large == {"file": "predictions/test-metrics.safetensors", "shape": [200, 100]}
        assert bool((load_file(folder / large["file"])["odd_large"] == results["test"]["odd_int"]).all())
        evaluated = strict(ftrun("evaluate", folder, "--json").output)
        assert {split: evaluated[split] for split in ("val", "test")} == {
            split: results[split] for split in ("val", "test")
        }
    one, two = (strict((folder / "results.json").read_text()) for folder in folders)
    assert (one["val"], one["test"]) == (two["val"], two["test"])
    assert strict(ftrun("compare", *folders, "--json").output)["runs"][0]["metrics"]
    assert ftrun("compare", *folders).exit_code == 0
    assert ftrun("report", folders[0]).exit_code == 0
    assert "odd_int" in (folders[0] / "report.html").read_text()
    assert "odd_nan nan" in (folders[0] / "log.txt").read_text()


def test_other_data_s_large_arrays_are_printed_in_full(odd, ftrun):
    folder = start(spec_with("large", epochs=1), Path("run"), odd)
    found = strict(ftrun("evaluate", folder, "--dataset", "tiny", "--split", "test", "--json").output)
    assert torch.tensor(found["test"]["odd_large"]).shape == (200, 100)


def test_patience_ends_where_the_figure_is_undefined_and_the_smallest_loss_is_kept(odd):
    spec = spec_with("nan", epochs=6, patience=2, monitor="val/odd_nan")
    folder = start(spec, Path("run"), odd)
    lines = [strict(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) == 3
    least = min(lines, key=lambda line: line["val/loss"])
    assert strict((folder / "results.json").read_text())["best_epoch"] == least["epoch"]
    assert (folder / "log.txt").read_text().count("val/odd_nan is undefined (nan)") == 1


def test_a_single_part_is_a_list_of_one(catalogue):
    single = {
        "augment": {"name": "horizontal-flip"},
        "metrics": "accuracy",
        "observers": {"name": "recorder", "file": "f"},
    }
    listed = {key: [value] for key, value in single.items()}
    one, other = (check_spec(tiny_spec(**changes), catalogue).resolved() for changes in (single, listed))
    assert one == other
    assert [each.key for each in check_spec(tiny_spec(), catalogue, overrides=["metrics=f1"]).metrics] == ["f1_macro"]
    several, one = json_schema(catalogue)["properties"]["metrics"]["anyOf"]
    assert several["items"] == one


HIGH, LOW, MEAN = Monitor(("val/a",), True), Monitor(("val/a",), False), Monitor(("val/a", "val/b"), True)


@pytest.mark.parametrize(
    ("monitor", "val", "best", "better"),
    [
        (HIGH, {"a": 0.5}, {}, True),
        (HIGH, {"a": NAN}, {}, True),
        (HIGH, {"a": NAN, "loss": 1.0}, {"a": 0.5, "loss": 9.0}, False),
        (HIGH, {"a": 0.5, "loss": 9.0}, {"a": NAN, "loss": 1.0}, True),
        (HIGH, {"a": 0.5, "loss": 9.0}, {"a": None, "loss": 1.0}, True),
        (HIGH, {"a": NAN, "loss": 1.0}, {"a": NAN, "loss": 2.0}, True),
        (HIGH, {"a": NAN, "loss": 2.0}, {"a": NAN, "loss": 2.0}, False),
        (HIGH, {"a": math.inf, "loss": 1.0}, {"a": 0.5, "loss": 2.0}, False),
        (LOW, {"a": -math.inf, "loss": 1.0}, {"a": 0.5, "loss": 2.0}, False),
        (HIGH, {"loss": 1.0}, {"a": 0.5, "loss": 2.0}, False),
        (HIGH, {"a": 1.0, "loss": 1.0}, {"a": 1.0, "loss": 2.0}, True),
        (HIGH, {"a": 1.0, "loss": 2.0}, {"a": 1.0, "loss": 1.0}, False),
        (HIGH, {"a": 1.0, "loss": NAN}, {"a": 1.0, "loss": 1.0}, False),
        (HIGH, {"a": 1.0, "loss": 1.0}, {"a": 1.0, "loss": NAN}, True),
        (LOW, {"a": 3, "loss": 1.0}, {"a": 4, "loss": 0.5}, True),
        (MEAN, {"a": 1.0, "b": 0.0, "loss": 1.0}, {"a": 0.0, "b": 1.0, "loss": 2.0}, True),
        (MEAN, {"a": 1.0, "b": NAN, "loss": 1.0}, {"a": 0.0, "b": 0.0, "loss": 2.0}, False),
    ],
)
def test_which_epoch_is_kept(monitor, val, best, better):
    assert monitor.is_better(val, best) is better


def test_an_epoch_that_is_kept_for_its_loss_alone_is_no_improvement():
    alike = {"a": 1.0, "loss": 1.0}, {"a": 1.0, "loss": 2.0}
    assert HIGH.is_better(*alike)
    assert not HIGH.improves(*alike)


def test_json_has_null_for_what_is_no_number():
    assert strict(to_json({"a": [NAN, math.inf, 1.5], "b": (1,)})) == {"a": [None, None, 1.5], "b": [1]}
    assert finite({"a": -math.inf}) == {"a": None}
    assert line_of({"a": 0.5, "b": 3, "c": None, "d": NAN, "e": [1], "f": "x"}) == "a 0.5000  b 3  c nan  d nan"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.0000"), (0.98765, "0.9877"), (1234.5, "1234.5000"), (1.234e-12, "1.23e-12"), (-4.5e149, "-4.5e+149")],
)
def test_a_small_or_huge_figure_is_shown_as_it_is(value, text):
    assert shown(value) == text
