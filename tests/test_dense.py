"""Targets that are no vectors, from outsiders in examples/third-party: learned, resumed, predicted, shown, exported."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from support import install, write_spec

from ftrun_devkit import tiny, tiny_run
from ftrun_devkit.properties.net import expect_same
from ftrun_devkit.run import interrupted_run

TRAIN = {"epochs": 2, "batch_size": 8, "precision": "fp32", "workers": 0}
NET = {"backbone": {"name": "tiny-net", "levels": 3}, "input": {"size": [24, 32], "interpolation": "nearest"}}
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
    parts = {"parts": str(Path(tiny.__file__)), "optimizer": "tiny-descent"}
    return write_spec({**parts, **NET, "train": TRAIN, **changes})


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
        optimizer={"name": "adam", "lr": 0.01},
        train={**TRAIN, "epochs": 6},
    )
    result = ftrun(path, "--out", "run")
    assert result.exit_code == 0, result.output
    assert "boxes-toy, train: decoded in" in result.output
    results = json.loads(Path("run/results.json").read_text())["test"]
    assert 0 <= results["boxes_toy_ap"] <= 1
    assert json.loads(ftrun("evaluate", "run", "--json").stdout)["test"] == results
    assert "<h3>shapes: boxes</h3>" in Path("run/report.html").read_text()
    assert "shapes: boxes of 2 classes" in Path("run/README.md").read_text()
    (small, large) = predicted(ftrun, "shapes")
    assert small
    for one, other in zip(small, large, strict=True):
        assert (one["name"], one["score"]) == (other["name"], pytest.approx(other["score"], abs=1e-5))
        assert [4 * each for each in one["box"]] == pytest.approx(other["box"], abs=0.01), "in pixels of the file"


def predicted(ftrun: Callable[..., Any], target: str) -> list[Any]:
    """What a run predicts on an image of 24 x 32 pixels, and on the same one with each pixel 4 x 4 times."""
    pixels = torch.zeros(24, 32, 3, dtype=torch.uint8)
    pixels[4:16, 6:18] = 200
    Image.fromarray(pixels.numpy()).save("a.png")
    Image.fromarray(pixels.repeat_interleave(4, 0).repeat_interleave(4, 1).numpy()).save("b.png")
    result = ftrun("predict", "run", "a.png", "b.png", "--json")
    assert result.exit_code == 0, result.output
    return [each[target] for each in json.loads(result.stdout)]


def test_masks_go_all_the_way(outsider, ftrun, tmp_path, monkeypatch):
    monkeypatch.setenv("FTRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FTRUN_REPORT", "1")
    outsider("ftrun-mask-toy")
    path = spec(
        dataset={"name": "mask-toy", "samples": 16},
        modifiers="fc-to-conv",
        augment=["horizontal-flip", "random-crop"],
        loss="mask-toy",
        metrics=["mask-toy-iou"],
    )
    result = ftrun(path, "--out", "run")
    assert result.exit_code == 0, result.output
    results = json.loads(Path("run/results.json").read_text())["test"]
    assert 0 < results["mask_toy_iou"] < 1
    assert json.loads(ftrun("evaluate", "run", "--json").stdout)["test"] == results
    assert "<h3>pixels: masks</h3>" in Path("run/report.html").read_text()
    small, large = predicted(ftrun, "pixels")
    assert (small["size"], large["size"]) == ([24, 32], [96, 128])
    assert sum(count for _, count in large["runs"]) == 96 * 128


@pytest.mark.parametrize("name", ["boxes-toy", "mask-toy"])
def test_a_run_goes_on_to_the_bit(outsider, tmp_path, monkeypatch, name):
    monkeypatch.setenv("FTRUN_CACHE", str(tmp_path / "cache"))
    outsider(f"ftrun-{name}")
    parts = {"dataset": {"name": name, "samples": 24}, "loss": name, "augment": ["horizontal-flip", "random-crop"]}
    for place in ("whole", "broken"):
        (tmp_path / place).mkdir()
    whole = tiny_run(tmp_path / "whole", **parts, **NET, train=TRAIN)
    expect_same(whole, interrupted_run(tmp_path / "broken", stop_at=5, **parts, **NET, train=TRAIN))
