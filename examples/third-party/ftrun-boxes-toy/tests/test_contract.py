"""The plugin keeps ftrun's contract; and boxes go all the way: learned, resumed, exported, shown, in raw pixels."""

import json
from pathlib import Path
from typing import Any

import torch
from ftrun_boxes_toy import Boxes, Drawn
from ftrun_boxes_toy.nets import AveragePrecision
from PIL import Image

import ftrun
from ftrun_devkit import check_plugin, run_command

test_contract = check_plugin("ftrun_boxes_toy")

SPEC = {
    "dataset": {"name": "boxes-toy", "samples": 16},
    "backbone": "efficientnet-lite0",
    "input": {"size": [48, 96]},
    "augment": ["horizontal-flip", "random-crop"],
    "loss": "boxes-toy",
    "metrics": ["boxes-toy-ap"],
    "optimizer": {"name": "adamw", "lr": 0.001},
    "train": {"epochs": 2, "batch_size": 8, "precision": "fp32", "workers": 0},
}


def test_boxes_go_all_the_way(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FTRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FTRUN_REPORT", "1")
    Path("spec.json").write_text(json.dumps(SPEC))

    def ftrun(*arguments: str) -> str:
        result = run_command(*arguments)
        assert result.exit_code == 0, result.output
        return str(result.stdout)

    assert "to the bit" in ftrun("verify-resume", "spec.json", "--kills", "2", "--device", "cpu")
    ftrun("spec.json", "--out", "run", "--device", "cpu")
    assert "<h3>shapes: boxes</h3>" in Path("run/report.html").read_text()
    assert "<rect" in Path("run/report.html").read_text()
    evaluated = json.loads(ftrun("evaluate", "run", "--json"))
    assert evaluated["test"] == json.loads(Path("run/results.json").read_text())["test"]
    Image.fromarray(Drawn(1, (64, 160), 3)[0][0].permute(1, 2, 0).numpy()).save("raw.png")
    (predicted,) = json.loads(ftrun("predict", "run", "raw.png", "--json"))
    assert all(each.keys() == {"name", "score", "box"} for each in predicted["shapes"])
    assert "shapes/boxes [batch, 72, 4]" in ftrun("export", "run", "--format", "onnx")


def test_boxes_follow_and_come_back() -> None:
    target = Boxes(names=("disc", "square"))
    box = torch.tensor([[10.0, 20, 30, 40, 1]])
    flipped = ftrun.Warp.mirrored(torch.tensor([True]), (48, 64))
    moved = target.follow(ftrun.Ragged.of([box]), flipped)
    assert moved.values.tolist() == [[34, 20, 54, 40, 1]]
    assert torch.equal(target.to_raw(moved, flipped.inverse(), [(48, 64)]).values, box)
    outside = ftrun.Warp.shifted(torch.tensor([[-40, 0]]), (48, 64))
    assert target.follow(ftrun.Ragged.of([box]), outside).lengths.tolist() == [0]


def test_average_precision_by_hand() -> None:
    metric = AveragePrecision(2, 0.5)
    truth = torch.tensor([[0.0, 0, 10, 10, 0], [20, 20, 30, 30, 0]])
    found = torch.tensor([[0.0, 0, 10, 9, 0, 0.9], [0, 0, 10, 10, 0, 0.8], [20, 20, 30, 30, 0, 0.7]])
    metric.update(ftrun.Ragged.of([found]), ftrun.Ragged.of([truth]))
    assert abs(float(metric.compute()) - (1 + 2 / 3) / 2) < 1e-6
