"""Mixed batches against the paper's formula, and runs of them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from ftrun_blend import Blend
from torch import Tensor

import ftrun
from ftrun_devkit import run_command, tiny_run, tiny_spec

TARGETS = {"class": ftrun.Classes(names=("a", "b", "c")), "size": ftrun.Values(names=("width", "height"))}


def batch_of(samples: int) -> ftrun.Batch:
    images = torch.arange(samples).float()[:, None, None, None].expand(samples, 1, 2, 2)
    values = {"class": torch.arange(samples) % 3, "size": torch.arange(2.0 * samples).reshape(samples, 2)}
    return ftrun.Batch(images, values, torch.arange(samples))


def mixed(options: dict[str, Any], samples: int = 64, seed: int = 0) -> tuple[ftrun.Batch, Tensor, Tensor]:
    """Return a mixed batch; and the order and the weights by which it was mixed."""
    random = [ftrun.SampleRandom(seed, torch.zeros(1, dtype=torch.int64)) for _ in range(2)]
    after = Blend(name="blend", **options).build(TARGETS)(batch_of(samples), random[0])
    order = random[1].permutation(samples)[0]
    shape = (samples,) if options.get("each") == "sample" else (1,)
    return after, order, random[1].beta(options.get("alpha", 0.2), options.get("alpha", 0.2), *shape)[0]


@pytest.mark.parametrize("options", [{}, {"alpha": 1.0}, {"each": "sample"}])
def test_inputs_and_targets_are_mixed_by_one_weight(options: dict[str, Any]) -> None:
    after, order, weight = mixed(options)
    before = batch_of(64)
    torch.testing.assert_close(after.inputs[:, 0, 0, 0], weight * torch.arange(64) + (1 - weight) * order)
    sizes = before.targets["size"]
    torch.testing.assert_close(after.targets["size"], weight[:, None] * sizes + (1 - weight)[:, None] * sizes[order])
    shares = torch.zeros(64, 3)
    rows = torch.arange(64)
    for labels, share in ((rows % 3, weight), (order % 3, 1 - weight)):
        shares[rows, labels] += share
    torch.testing.assert_close(after.targets["class"], shares)
    assert torch.equal(after.ids, before.ids)


def test_another_place_draws_another_weight_and_a_sample_alone_stays() -> None:
    assert mixed({}, seed=1)[2] != mixed({}, seed=2)[2]
    alone, _, _ = mixed({}, samples=1)
    assert torch.equal(alone.inputs, batch_of(1).inputs)


def losses(place: Path, **train: Any) -> list[float]:
    place.mkdir()
    run = tiny_run(place, augment=["blend"], metrics=None, train={**tiny_spec()["train"], **train})
    return [line["train/loss"] for line in run.metrics]


def test_a_run_is_what_it_is_whatever_reads_its_data(tmp_path: Path) -> None:
    assert losses(tmp_path / "none", workers=0) == losses(tmp_path / "one", workers=1)


def test_a_killed_run_goes_on_to_the_bit(tmp_path: Path) -> None:
    (tmp_path / "tiny_parts.py").write_text("from ftrun_devkit.tiny import *\n")
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(tiny_spec(parts="tiny_parts.py", augment=["blend"])))
    result = run_command("verify-resume", spec, "--device", "cpu", "--kills", "1")
    assert result.exit_code == 0, result.output
