"""The plugin keeps ftrun's contract: one test for each property and part; and what is its own."""

from pathlib import Path

import pytest
import torch
from ftrun_plain_net import PlainNetBackbone
from safetensors.torch import save_file

import ftrun
from ftrun_devkit import check_plugin, tiny_run

test_contract = check_plugin("ftrun_plain_net")

SMALL = {"widths": (4, 6, 8), "depth": 1}


def test_ftrun_goes_the_models_own_way() -> None:
    net = PlainNetBackbone(name="plain-net", **SMALL).build({}).eval()
    x = torch.randn(2, 3, 33, 20)
    assert net.features(x).shape == (2, 8, 5, 3)
    torch.testing.assert_close(net.head(net.embed(x)), net.model(x))


def test_weights_come_from_a_file_but_for_the_head(tmp_path: Path) -> None:
    source = PlainNetBackbone(name="plain-net", **SMALL).build({})
    weights = {name: value for name, value in source.model.state_dict().items() if name != "classifier.bias"}
    save_file(weights | {"classifier.weight": torch.zeros(3, 8)}, tmp_path / "weights.safetensors")
    part = PlainNetBackbone(name="plain-net", weights=tmp_path / "weights.safetensors", **SMALL)
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(part.build({}).eval().features(x), source.eval().features(x))
    assert part.without_weights().weights is None
    with pytest.raises(ftrun.SpecError, match=r"weights\.safetensors cannot be loaded"):
        part.model_copy(update={"depth": 2}).build({})
    with pytest.raises(ftrun.SpecError, match=r"none\.safetensors cannot be loaded"):
        part.model_copy(update={"weights": tmp_path / "none.safetensors"}).build({})


def test_it_learns(tmp_path: Path) -> None:
    run = tiny_run(tmp_path, backbone={"name": "plain-net", "widths": [8, 16, 32], "depth": 1})
    first, last = run.metrics
    assert last["train/loss"] < first["train/loss"]
