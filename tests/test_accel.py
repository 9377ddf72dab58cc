"""FTRUN_ACCEL=0: the public ways of torch give the same weights as the private ones."""

import json
from pathlib import Path

import pytest
import torch
from support import tiny_spec, write_spec

from ftrun.train.accel.finite import Finite

SPECS = {
    "plain": tiny_spec(),
    "clipped and averaged": tiny_spec(train={"epochs": 2, "clip": 0.1, "average": "ema", "accumulate": 2}),
    "skipping": tiny_spec(train={"epochs": 2, "on_nonfinite": "skip"}),
    "sgd with momentum": tiny_spec(optimizer={"name": "sgd", "lr": 0.1, "momentum": 0.9}),
}


@pytest.mark.parametrize("name", SPECS)
def test_the_same_weights_and_metrics(name, site, ftrun, monkeypatch):
    results = []
    for switch in ("1", "0"):
        monkeypatch.setenv("FTRUN_ACCEL", switch)
        out = Path(f"run-{switch}")
        ran = ftrun(write_spec(SPECS[name]), "--out", out, "--device", "cpu")
        assert ran.exit_code == 0, ran.output
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        metrics = [{key: value for key, value in line.items() if not key.startswith("seconds")} for line in lines]
        results.append((metrics, (out / "checkpoints" / "last" / "model.safetensors").read_bytes()))
    assert results[0] == results[1]


@pytest.mark.parametrize("switch", ["1", "0"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_sets_the_flag(switch, value, monkeypatch):
    monkeypatch.setenv("FTRUN_ACCEL", switch)
    finite, good = Finite(torch.device("cpu")), torch.ones(4, 5)
    bad = good.clone()
    bad[2, 3] = value
    finite.look([good, torch.tensor(1.0)])
    assert finite.flag.item() == 0
    finite.look([good, bad])
    assert finite.flag.item() == 1
    finite.look([good])
    assert finite.flag.item() == 1
    finite.clear()
    finite.look([good])
    assert finite.flag.item() == 0


@pytest.mark.parametrize("switch", ["1", "0"])
def test_large_values_are_finite(switch, monkeypatch):
    monkeypatch.setenv("FTRUN_ACCEL", switch)
    finite = Finite(torch.device("cpu"))
    finite.look([torch.full((9,), torch.finfo(torch.float32).max), torch.tensor(1.0)])
    assert finite.flag.item() == 0
