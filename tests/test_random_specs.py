"""Random valid specs: run, evaluate, report, compare, predict, export, resume; never a traceback, and equal figures."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from random_specs import Specs, World

from ftrun.plugins.catalogue import installed
from ftrun.spec.model import json_schema

SPECS, AT_ONCE = 300, 10
IN_CI = (2, 3, 6)  # quick ones
FORMATS = ("onnx", "torch-export", "safetensors")
EXPECTED = (0, 1, 2, 4, 5)
"""A run may fail in a way that is told: its data do not suffice, its loss is not finite, its net has a layer (which
takes a net to see) that the spec does not allow for."""


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json_schema(installed())


@pytest.mark.parametrize("seed", IN_CI)
def test_a_random_spec(seed, world, schema, site, ftrun, monkeypatch) -> None:
    try_out(Specs(world, schema, seed), ftrun, site, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, SPECS, AT_ONCE))
def test_random_specs(first, world, schema, site, ftrun, monkeypatch) -> None:
    for seed in range(first, first + AT_ONCE):
        try_out(Specs(world, schema, seed), ftrun, site, monkeypatch)
        for each in Path().iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()


def try_out(specs: Specs, ftrun: Callable[..., Result], site: Path, monkeypatch) -> None:
    """Draw a spec that is valid, and do with it all that a user may."""
    monkeypatch.setenv("FTRUN_CACHE", str(site / "cache"))
    spec = valid(specs, ftrun)
    shown = json.dumps(spec)
    ran = ftrun("spec.json", "--out", "run", "--device", "cpu")
    assert ran.exit_code in EXPECTED, (shown, ran.output)
    if ran.exit_code:
        assert ran.output.count("Error: ") == 1, (shown, ran.output)
        return
    results = json.loads(Path("run/results.json").read_text())

    def does(*arguments: str) -> Result:
        result = ftrun(*arguments)
        assert result.exit_code == 0, (arguments, result.output, shown)
        return result

    evaluated = json.loads(does("evaluate", "run", "--json", "--device", "cpu").stdout)
    for split in ("val", "test"):
        if results[split]:
            assert evaluated[split] == results[split], shown
    does("report", "run")
    does("compare", "run", "run", "--json")
    calibrated(ftrun, specs, shown)
    predicted(does, specs, spec, shown)
    exported(ftrun, specs, shown)
    monkeypatch.setenv("FTRUN_CACHE_GB", "0")  # the same to the bit without what is kept
    assert ftrun("spec.json", "--out", "again", "--device", "cpu").exit_code == 0, shown
    again = json.loads(Path("again/results.json").read_text())
    assert {key: again[key] for key in ("val", "test", "best_epoch")} == {
        key: results[key] for key in ("val", "test", "best_epoch")
    }, shown
    same_weights = [Path(run, "checkpoints/best/model.safetensors").read_bytes() for run in ("run", "again")]
    assert same_weights[0] == same_weights[1], shown
    monkeypatch.delenv("FTRUN_CACHE_GB")
    resumed(ftrun, spec, shown)


def valid(specs: Specs, ftrun: Callable[..., Result]) -> dict[str, Any]:
    for _ in range(20):
        spec = specs.spec()
        Path("spec.json").write_text(json.dumps(spec))
        checked = ftrun("check", "spec.json")
        assert checked.exit_code in (0, 2), checked.output
        if checked.exit_code == 0:
            return spec
    pytest.fail(f"no valid spec in twenty: {checked.output}")


def calibrated(ftrun: Callable[..., Result], specs: Specs, shown: str) -> None:
    """Calibrate now and then: evaluated again, the run has the metrics that results.json has then."""
    if specs.choose.random() < 0.5:
        return
    result = ftrun("calibrate", "run", "--device", "cpu")
    assert result.exit_code in (0, 2), (result.output, shown)  # of values, nothing is
    results = json.loads(Path("run/results.json").read_text())
    assert ("calibration" in results) == (result.exit_code == 0), shown
    evaluated = json.loads(ftrun("evaluate", "run", "--json", "--device", "cpu").stdout)
    for split in ("val", "test"):
        if results[split]:
            assert evaluated[split] == results[split], shown


def predicted(does: Callable[..., Result], specs: Specs, spec: dict[str, Any], shown: str) -> None:
    """Predict on an input or two; every score is a finite number, unless the loss was none."""
    if spec["backbone"]["name"] in ("lstm", "transformers"):
        Path("texts.txt").write_text("rain and wind\nbread soup salt\n")
        answers = json.loads(does("predict", "run", "--lines", "texts.txt", "--json").stdout)
    else:
        files = [str(path) for path in sorted((specs.world.folder / "pictures").rglob("*.png"))[:2]]
        answers = json.loads(does("predict", "run", *files, "--json").stdout)
    found = [answer for each in answers for key, answer in each.items() if key != "file" and not key.endswith("/holds")]
    scores = [score for each in found for score in (each.values() if isinstance(each, dict) else [each])]
    assert scores, shown
    assert all(score is None or math.isfinite(score) for score in scores), shown


def exported(ftrun: Callable[..., Result], specs: Specs, shown: str) -> None:
    """Export in one format: what cannot be exported is told, and leaves no file."""
    name = specs.choose.choice(FORMATS)
    result = ftrun("export", "run", "--format", name, "--samples", "20")
    assert result.exit_code in (0, 1, 2), (name, result.output, shown)
    assert (result.exit_code == 0) == Path("run/exports").exists(), (name, result.output, shown)


def resumed(ftrun: Callable[..., Result], spec: dict[str, Any], shown: str) -> None:
    """A finished run goes on for an epoch, and ends as a finished one."""
    epochs = json.loads(Path("run/resolved.json").read_text())["spec"]["train"]["epochs"]
    result = ftrun("resume", "run", "--epochs", str(epochs + 1), "--device", "cpu")
    allowed = (0, 2) if "patience" in spec["train"] else (0,)
    assert result.exit_code in allowed, (result.output, shown)
    assert json.loads(Path("run/status.json").read_text())["state"] == "finished", shown
