"""Batch normalisation's statistics of an equal mean of weights are its own."""

import json
from pathlib import Path
from typing import Any

import torch
from support import tiny_spec
from torch.optim.swa_utils import update_bn

from ftrun.plugins.catalogue import Catalogue
from ftrun.runs import checkpoint
from ftrun.spec.check import check_spec
from ftrun.train import begin
from ftrun.train.assemble import assemble

SWA = {"name": "swa", "last": 0.5}


def spec(**phase: Any) -> dict[str, Any]:
    train = {"phases": [{"epochs": 2, **phase}], "batch_size": 8, "average": SWA}
    return tiny_spec(dataset={"name": "tiny", "samples": 36}, augment=["horizontal-flip"], train=train)


def average_of(spec: dict[str, Any], out: str, catalogue: Catalogue) -> dict[str, torch.Tensor]:
    request = begin.Request(check_spec(spec, catalogue), "s", json.dumps(spec), (), catalogue, Path(out), "cpu")
    begin.run(request)
    return checkpoint.load_state(Path(out) / "checkpoints" / "last")["average"]["weights"]


def test_they_are_those_of_the_training_batches_as_torch_computes_them(site, catalogue):
    weights = average_of(spec(), "run", catalogue)
    job = assemble(check_spec(spec(), catalogue), torch.device("cpu"))
    net = job.learner.net
    net.load_state_dict(weights, strict=False)
    expected = {name: value for name, value in weights.items() if "running" in name}
    steps = job.feed.loaders["train"].shuffled(0, 2, lambda batch: job.feed.ready(batch, 2))
    update_bn([batch.inputs for batches in steps for batch in batches], net)
    assert expected
    for name, value in expected.items():
        torch.testing.assert_close(net.state_dict()[name], value, atol=1e-6, rtol=1e-6)


def test_frozen_ones_stay_as_they_are(site, catalogue):
    weights = average_of(spec(norm="frozen"), "run", catalogue)
    before = assemble(check_spec(spec(), catalogue), torch.device("cpu")).learner.net.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in weights.items() if "running" in name)
