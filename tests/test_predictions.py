"""What a run keeps of each sample: enough to have its figures again with nothing of ftrun."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support import tiny_spec, write_spec

from ftrun.contracts.errors import FtrunError
from ftrun.runs import predictions
from ftrun.runs.folder import RunFolder


@pytest.mark.parametrize("split", ["test", "val"])
def test_accuracy_and_loss_follow_from_the_file(site, ftrun, split: str) -> None:
    dataset = {"name": "tiny", "test": split == "test", "val": True}
    spec = tiny_spec(dataset=dataset, metrics=["accuracy"], loss="cross-entropy", train={"epochs": 2, "batch_size": 7})
    result = ftrun(write_spec(spec), "--out", "run", "--device", "cpu")
    assert result.exit_code == 0, result.output
    results = json.loads(Path("run/results.json").read_text())
    kept = load_file(f"run/predictions/{split}.safetensors")
    assert kept["ids"].tolist() == list(range(results["samples"][split]))
    logits, truth = kept["outputs/label"], kept["truth/label"]
    assert logits.dtype == torch.float32
    assert (logits.argmax(1) == truth).float().mean().item() == pytest.approx(results[split]["accuracy"])
    loss = torch.nn.functional.cross_entropy(logits, truth).item()
    assert loss == pytest.approx(results[split]["loss"], rel=1e-5)


def test_a_damaged_file_is_told_and_a_missing_one_is_none(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert predictions.load(folder, "test") is None
    (tmp_path / "predictions").mkdir()
    (tmp_path / "predictions/test.safetensors").write_bytes(b"half a fi")
    with pytest.raises(FtrunError, match="is damaged"):
        predictions.load(folder, "test")
    save_file({"ids": torch.arange(3), "outputs/label": torch.zeros(2, 4)}, tmp_path / "predictions/test.safetensors")
    with pytest.raises(FtrunError, match="another length than ids"):
        predictions.load(folder, "test")
