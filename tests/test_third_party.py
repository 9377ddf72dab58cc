"""The plugins of examples/third-party, written from the guide alone, pass their own tests."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from support import install, tiny_spec, write_spec
from test_resume import at_every_step, go_on, outcome, start

import ftrun as product
from ftrun.plugins.catalogue import installed

THIRD_PARTY = Path(__file__).parents[1] / "examples" / "third-party"


@pytest.mark.slow
@pytest.mark.parametrize("folder", sorted(THIRD_PARTY.iterdir()), ids=lambda folder: folder.name)
def test_a_third_partys_tests_pass(folder: Path, tmp_path: Path) -> None:
    plugin = tmp_path / folder.name  # away from the workspace, and so from its settings of pytest
    shutil.copytree(folder, plugin)
    project = tomllib.loads((plugin / "pyproject.toml").read_text())["project"]
    ((_, module),) = project["entry-points"]["ftrun"].items()
    site = tmp_path / "site"
    site.mkdir()
    install(site, project["name"], "", module=module)
    (site / f"{module}.py").unlink()  # the module itself is in the folder
    path = os.pathsep.join([str(plugin), str(site)])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(plugin)],
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_all_are_there() -> None:
    names = {folder.name for folder in THIRD_PARTY.iterdir()}
    assert names == {
        "ftrun-blend",
        "ftrun-boxes-toy",
        "ftrun-cosine-head",
        "ftrun-csv-images",
        "ftrun-csv-log",
        "ftrun-distill",
        "ftrun-goal",
        "ftrun-leaderboard",
        "ftrun-lookahead",
        "ftrun-mask-toy",
        "ftrun-mean-recall",
        "ftrun-plain-net",
        "ftrun-simsiam",
        "ftrun-waves",
    }


def outsider(site: Path, name: str) -> None:
    install(site, f"ftrun-{name}", (THIRD_PARTY / f"ftrun-{name}" / f"ftrun_{name}.py").read_text())


def from_spec_to_report(ftrun, place: Path, *shown: str, **changes: Any) -> Path:
    """Run a spec of 2 epochs of 3 steps, and go on from within the second to the bit; its report shows these words."""
    train = {"epochs": 2, "batch_size": 8, "precision": "fp32"}
    spec = tiny_spec(dataset={"name": "tiny", "samples": 20, "val": True}, train=train, **changes)
    folder, copies = at_every_step(spec, place, installed())
    assert outcome(go_on(copies[4], installed())) == outcome(folder)
    assert ftrun("report", folder).exit_code == 0
    page = (folder / "report.html").read_text()
    for word in shown:
        assert word in page, word
    return folder


def test_blend_from_spec_to_report(site, ftrun, tmp_path):
    outsider(site, "blend")
    augment = ["horizontal-flip", {"name": "blend", "alpha": 0.3}]
    from_spec_to_report(
        ftrun, tmp_path, "blend", "accuracy", augment=augment, loss="cross-entropy", metrics=["accuracy"]
    )


def test_distill_from_spec_to_report(site, ftrun, tmp_path):
    """And it predicts where the teacher is gone, without whom it cannot be evaluated."""
    outsider(site, "distill")
    teacher = start(tiny_spec(), tmp_path / "teacher", installed())
    objective = {"name": "distill", "teacher": str(teacher)}
    folder = from_spec_to_report(ftrun, tmp_path, "distill", "val/apart", objective=objective, metrics=["accuracy"])
    assert not list((folder / "checkpoints").rglob("net.safetensors"))  # which has an objective's tensors
    teacher.rename(tmp_path / "gone")
    images = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    assert product.load(folder, "cpu").predict(list(images))[0].name
    result = ftrun("evaluate", folder)
    assert result.exit_code == 2
    assert "objective" in result.output
    assert "no such run folder" in result.output


def test_simsiam_from_spec_to_report(site, ftrun, tmp_path):
    outsider(site, "simsiam")
    objective = {"name": "simsiam", "width": 8, "hidden": 4, "memory": 16}
    augment = ["horizontal-flip", {"name": "random-crop", "padding": 2}]
    changes = {"objective": objective, "augment": augment, "loss": None, "metrics": ["accuracy"]}
    folder = from_spec_to_report(ftrun, tmp_path, "simsiam", "val/knn", "val/spread", **changes)
    assert "simsiam" in (folder / "README.md").read_text()


def test_views_are_not_mixed(site, ftrun):
    for name in ("blend", "simsiam"):
        outsider(site, name)
    spec = tiny_spec(objective={"name": "simsiam", "width": 8, "hidden": 4}, augment=["blend"], loss=None)
    result = ftrun(write_spec(spec), "--out", "run")
    assert result.exit_code == 2
    assert "augment: the objective takes 2 views of each sample, which 'blend' would mix apart" in result.output


@pytest.mark.slow
@pytest.mark.parametrize("name", ["blend", "distill", "simsiam"])
def test_what_outsiders_train_leaves_as_onnx(name, site, ftrun, tmp_path):
    outsider(site, name)
    changes = {
        "blend": {"augment": ["blend"]},
        "distill": {"objective": {"name": "distill", "teacher": "teacher"}},
        "simsiam": {"objective": {"name": "simsiam", "width": 8, "hidden": 4}, "loss": None},
    }[name]
    start(tiny_spec(), Path("teacher"), installed())
    folder = start(tiny_spec(**changes), tmp_path / "run", installed())
    result = ftrun("export", folder, "--format", "onnx")
    assert result.exit_code == 0, result.output
    assert "the same answer on 100.00%" in result.output
