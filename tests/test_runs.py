"""`ftrun runs`: what is in a folder of runs, told truly also of runs that could not say it themselves."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from support import tiny_spec, write_spec


@pytest.fixture
def made(site, ftrun) -> Path:
    """A finished run, and one whose process was killed."""
    spec = write_spec(tiny_spec(metrics=["accuracy"], train={"epochs": 1, "batch_size": 32}))
    assert ftrun(spec, "--device", "cpu").exit_code == 0
    shutil.copytree("runs/spec-1", "runs/spec-2")
    status = json.loads(Path("runs/spec-2/status.json").read_text())
    Path("runs/spec-2/status.json").write_text(json.dumps({**status, "state": "running", "epoch": 0}))
    Path("runs/no run").mkdir()
    return Path("runs")


def listed(ftrun, *arguments: str) -> list[dict[str, Any]]:
    result = ftrun("runs", "--json", *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_every_run_with_its_state_and_best_figure(made, ftrun):
    finished, killed = listed(ftrun)
    results = json.loads((made / "spec-1" / "results.json").read_text())
    assert (finished["run"], finished["state"], finished["epoch"], finished["epochs"]) == (
        *("runs/spec-1", "finished"),
        *(1, 1),
    )
    assert (finished["monitor"], finished["best"]) == ("val/accuracy", results["val"]["accuracy"])
    assert (finished["backbone"], finished["dataset"], finished["best_epoch"]) == ("tiny", "tiny", 1)
    assert (killed["run"], killed["state"]) == ("runs/spec-2", "interrupted")
    assert listed(ftrun, "runs") == [finished, killed]


def test_for_people(made, ftrun):
    began = (made / "spec-1" / "spec.json").stat().st_mtime
    os.utime(made / "spec-1" / "spec.json", (began - 7200, began - 7200))
    title, finished, killed = ftrun("runs").stdout.splitlines()
    assert title.split() == ["run", "state", "epochs", "best", "backbone", "dataset", "age"]
    assert finished.split()[:5] == ["runs/spec-1", "finished", "1/1", "val/accuracy", f"{listed(ftrun)[0]['best']:.4f}"]
    assert finished.endswith("tiny      tiny     2 h")
    assert "interrupted  0/1" in killed


def test_what_is_damaged_or_young_is_listed_too(made, ftrun):
    (made / "spec-1" / "resolved.json").write_text("{")
    (made / "spec-2" / "status.json").unlink()
    shutil.rmtree(made / "spec-2" / "checkpoints" / "best")
    damaged, young = listed(ftrun)
    assert (damaged["state"], damaged["backbone"], damaged["best"]) == ("finished", None, None)
    assert (young["state"], young["backbone"], young["best"]) == ("interrupted", "tiny", None)
    assert len(ftrun("runs").stdout.splitlines()) == 3


def test_no_runs_and_no_folder(site, ftrun):
    result = ftrun("runs")
    assert result.exit_code == 2
    assert "Error: runs: No such file or directory." in result.output
    Path("runs").mkdir()
    assert ftrun("runs").stdout == "no runs here\n"
    assert listed(ftrun) == []
    assert "Did you mean 'runs'?" in ftrun("runs", "rnus").output
