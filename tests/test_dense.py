"""Targets that are no vectors, from outsiders in examples/third-party: learned, resumed, predicted, shown, exported."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import install, write_spec

from ftrun_devkit import tiny

THIRD_PARTY = Path(__file__).parents[1] / "examples" / "third-party"


@pytest.fixture
def outsider(site: Path) -> Callable[[str], None]:
    """Return a function that installs one of the plugins in examples/third-party."""

    def installed(name: str) -> None:
        module = name.replace("-", "_")
        install(site, name, "", module=module)
        (site / f"{module}.py").unlink()
        (site / module).symlink_to(THIRD_PARTY / name / module)

    return installed


def spec(**changes: Any) -> Path:
    """A spec of the kit's tiny net, with three levels."""
    train = {"epochs": 2, "batch_size": 8, "precision": "fp32", "workers": 0}
    parts = {"backbone": {"name": "tiny-net", "levels": 3}, "input": {"size": [24, 32]}, "optimizer": "tiny-descent"}
    return write_spec({"parts": str(Path(tiny.__file__)), **parts, "train": train, **changes})


def test_boxes_go_all_the_way(outsider, ftrun, tmp_path, monkeypatch):
    monkeypatch.setenv("FTRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FTRUN_REPORT", "1")
    outsider("ftrun-boxes-toy")
    path = spec(
        dataset={"name": "boxes-toy", "samples": 16},
        augment=["horizontal-flip", "random-crop"],
        loss="boxes-toy",
        metrics=["boxes-toy-ap"],
        head={"name": "boxes-toy", "stride": 4, "width": 8},
    )
    result = ftrun(path, "--out", "run")
    assert result.exit_code == 0, result.output
    assert "boxes-toy, train: decoded in" in result.output
    results = json.loads(Path("run/results.json").read_text())["test"]
    assert 0 <= results["boxes_toy_ap"] <= 1
    assert json.loads(ftrun("evaluate", "run", "--json").stdout)["test"] == results
    assert "<h3>shapes: boxes</h3>" in Path("run/report.html").read_text()
    assert "shapes: boxes of 2 classes" in Path("run/README.md").read_text()
