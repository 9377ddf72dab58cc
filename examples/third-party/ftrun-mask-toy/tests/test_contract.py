"""The plugin keeps ftrun's contract; and masks go all the way: learned, resumed, exported, shown, in raw pixels."""

import json
from pathlib import Path

import pytest
import torch
from ftrun_mask_toy import UNKNOWN, Drawn, Mask
from PIL import Image

import ftrun
from ftrun_devkit import check_plugin, run_command

test_contract = check_plugin("ftrun_mask_toy")


def test_masks_go_all_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FTRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FTRUN_REPORT", "1")
    train = {"epochs": 2, "batch_size": 8, "precision": "fp32", "workers": 0}
    spec = {"dataset": {"name": "mask-toy", "samples": 16}, "backbone": "efficientnet-lite0", "input": {"size": 64}}
    spec |= {"modifiers": "fc-to-conv", "augment": ["horizontal-flip", "random-crop"], "metrics": ["mask-toy-iou"]}
    spec |= {"loss": "mask-toy", "optimizer": {"name": "adamw", "lr": 0.001}, "train": train}
    Path("spec.json").write_text(json.dumps(spec))

    def ftrun(*arguments: str) -> str:
        result = run_command(*arguments)
        assert result.exit_code == 0, result.output
        return str(result.stdout)

    assert "to the bit" in ftrun("verify-resume", "spec.json", "--kills", "2", "--device", "cpu")
    ftrun("spec.json", "--out", "run", "--device", "cpu")
    assert "<rect" in Path("run/report.html").read_text()
    evaluated = json.loads(ftrun("evaluate", "run", "--json"))
    assert evaluated["test"] == json.loads(Path("run/results.json").read_text())["test"]
    Image.fromarray(Drawn(1, 3)[0][0].permute(1, 2, 0).numpy()).save("raw.png")
    (predicted,) = json.loads(ftrun("predict", "run", "raw.png", "--json"))
    assert predicted["pixels"]["size"] == [48, 64]
    assert sum(count for _, count in predicted["pixels"]["runs"]) == 48 * 64
    assert "pixels [batch, 3, 64, 64]" in ftrun("export", "run", "--format", "onnx")


def test_masks_follow_and_come_back() -> None:
    target = Mask(names=("none", "one"))
    mask = torch.zeros(1, 4, 6, dtype=torch.uint8)
    mask[0, 1, :3] = 1
    shifted = ftrun.Warp.shifted(torch.tensor([[2, 0]]), (4, 6))
    moved = target.follow(mask, shifted)
    assert moved[0, 1].tolist() == [UNKNOWN, UNKNOWN, 1, 1, 1, 0]
    larger = ftrun.Warp.resized((4, 6), (8, 12))
    (back,) = target.to_raw(mask, larger[None], [(8, 12)])
    assert torch.equal(back, mask[0].repeat_interleave(2, 0).repeat_interleave(2, 1))
