"""Batch normalisation in whole runs: batches of one sample, what is recorded, and phases that do harm."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support import StopAt, tiny_spec, write_spec
from test_resume import go_on, outcome, start

from ftrun.contracts.errors import Interrupted

# One pixel is left of three, so one sample has one value per channel; each sample has one other in its batch.
LONE = {
    "dataset": {"name": "tiny", "samples": 8, "val": True, "fails_at": 4},
    "input": {"size": 3},
    "metrics": ["accuracy"],
    "train": {"epochs": 2, "batch_size": 2, "on_corrupt": 1, "precision": "fp32", "memory_format": "contiguous"},
}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "checkpoints/last/model.safetensors")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_batch_with_one_readable_sample_is_learned_from_and_resumed(workers, tmp_path, catalogue, capsys):
    dataset, train = {**LONE["dataset"], "workers": workers > 0}, {**LONE["train"], "workers": workers}
    spec = tiny_spec(**{**LONE, "dataset": dataset, "train": train})
    whole, broken = start(spec, tmp_path / "whole", catalogue), tmp_path / "broken"
    assert capsys.readouterr().out.count("a batch of one sample has no statistics of its own") == 1
    with pytest.raises(Interrupted):
        start(spec, broken, catalogue, StopAt(1))
    with pytest.raises(Interrupted):
        go_on(broken, catalogue, signals=StopAt(3))
    assert outcome(go_on(broken, catalogue)) == outcome(whole)


def test_a_batch_size_of_one_is_refused_before_training(site, ftrun):
    result = ftrun("run", write_spec(tiny_spec(train={"batch_size": 1})))
    assert result.exit_code == 2
    assert result.output.splitlines()[-1].startswith(
        "Error: train.batch_size: 1: 1 is batch normalisation, whose statistics are those of a batch, of two samples"
    )
    frozen = {"batch_size": 1, "phases": [{"epochs": 1, "norm": "frozen"}]}
    assert ftrun("run", write_spec(tiny_spec(train=frozen))).exit_code == 0
    assert (
        ftrun(
            "run", write_spec(tiny_spec(backbone={"name": "tiny", "norm": False}, train={"batch_size": 1, "epochs": 1}))
        ).exit_code
        == 0
    )


def test_what_auto_has_chosen_is_recorded_told_and_kept(site, ftrun):
    """Of weights that a run left: their statistics are worth keeping where steps are few."""
    assert ftrun("run", write_spec(tiny_spec()), "--out", "first").exit_code == 0
    assert json.loads(Path("first/resolved.json").read_text())["norms"] == ["train"], "nothing to keep yet"
    phases = [{"epochs": 1, "freeze": "features"}, {"epochs": 1}]
    spec = write_spec(tiny_spec(train={"phases": phases, "batch_size": 16}))
    result = ftrun("run", spec, "--init-from", "first", "--out", "second")
    assert "batch norm: the pretrained statistics are kept, since 4 steps of 16 samples are too little" in result.output
    assert json.loads(Path("second/resolved.json").read_text())["norms"] == ["train", "frozen"]
    before, after = (weights(Path(folder)) for folder in ("first", "second"))
    assert torch.equal(before["1.running_var"], after["1.running_var"])
    assert not torch.equal(before["1.weight"], after["1.weight"])
    Path("second/resolved.json").write_text(
        json.dumps({**json.loads(Path("second/resolved.json").read_text()), "norms": ["frozen"]})
    )
    damaged = ftrun("resume", "second", "--epochs", "3")
    assert damaged.exit_code == 1
    assert "norms: is not of the spec's phases" in damaged.output


def test_a_phase_that_does_harm_is_named_with_what_to_try(site, ftrun):
    phases = [{"epochs": 2, "freeze": "features"}, {"epochs": 2, "lr_scale": 300.0}]
    spec = tiny_spec(train={"phases": phases, "batch_size": 16, "monitor": "val/loss"})
    result = ftrun("run", write_spec(spec), "--out", "harmed")
    assert result.exit_code == 0, result.output
    (line,) = json.loads(Path("harmed/results.json").read_text())["advice"]
    assert line in result.output.replace("\n", " ")
    assert line.startswith("phase 2 (everything) is worse than phase 1 (the head alone): val/loss ")
    assert line.endswith('In phase 2 try "norm": "frozen", "lr_scale": 1e+02, "layer_decay": 0.7, or leave it out')
    assert line in Path("harmed/log.txt").read_text()
