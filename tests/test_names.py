"""A target may have any name: through training, checkpoints, figures, predictions, resume and export."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from support import tiny_spec, write_spec
from torch import nn

from ftrun import Heads

NAMES = (
    *["type", "train", "values", "name", "training", "forward", "items", "a.b", "x/y", "目标", "%2E", "val/loss"],
    " ",
)
PARTS = f"""
from typing import Literal
import torch
import ftrun
NAMES = {NAMES!r}
class Named(ftrun.Dataset):
    '''Targets of many names.'''
    name: Literal["named"]
    def build(self):
        def split(count):
            levels = torch.arange(count) % 2
            images = (levels * 200)[:, None, None, None].expand(-1, 1, 8, 8).to(torch.uint8).contiguous()
            return ftrun.TensorSplit(images, dict.fromkeys(NAMES, levels))
        kinds = dict.fromkeys(NAMES, ftrun.Classes(names=("dark", "light")))
        return ftrun.Splits(train=split(32), val=split(12), test=split(12), targets=kinds)
@ftrun.hookimpl
def ftrun_datasets():
    return [Named]
"""


def test_heads_hold_any_name_and_weights_keep_it():
    heads = Heads({name: nn.Linear(2, 1) for name in NAMES})
    assert tuple(heads) == tuple(heads.keys()) == tuple(name for name, _ in heads.items()) == NAMES
    assert all(name in heads and heads[name] is module for name, module in heads.items())
    assert "b" not in heads
    output = heads(torch.ones(3, 2))
    assert tuple(output) == NAMES
    names = {name.rpartition(".")[0] for name in heads.state_dict()}
    assert len(names) == len(NAMES)
    assert {"%74ype", "a%2Eb", "x/y", "目标", "%252E", "train".replace("t", "%74", 1)} <= names
    del heads["a.b"]
    assert "a.b" not in heads
    again = Heads({name: nn.Linear(2, 1) for name in NAMES if name != "a.b"})
    again.load_state_dict(heads.state_dict())


def test_names_that_a_module_takes_stay_as_they_are():
    assert set(Heads({"color": nn.Linear(1, 1), "the price": nn.Linear(1, 1)})._modules) == {"color", "the price"}


@pytest.mark.parametrize("modifiers", [[], [{"name": "add-layers", "sizes": [4]}]], ids=["plain", "layers"])
def test_a_run_whose_targets_have_any_name(site, ftrun, modifiers):
    Path("named_parts.py").write_text(PARTS)
    loss = {name: {"name": "tiny-loss"} for name in NAMES}
    weights = dict.fromkeys(NAMES, 0.5)
    train = {"epochs": 1, "batch_size": 16, "loss_weights": weights, "monitor": "val/val/loss/accuracy"}
    spec = tiny_spec(
        dataset="named", parts="named_parts.py", loss=loss, metrics=["accuracy"], modifiers=modifiers, train=train
    )
    assert ftrun(write_spec(spec)).exit_code == 0
    results = json.loads(Path("runs/spec-1/results.json").read_text())
    assert results["val"].keys() >= {f"{name}/accuracy" for name in NAMES} | {f"{name}/loss" for name in NAMES}
    assert ftrun("resume", "runs/spec-1", "--epochs", "2").exit_code == 0
    results = json.loads(Path("runs/spec-1/results.json").read_text())
    judged = ftrun("evaluate", "runs/spec-1", "--json")
    assert json.loads(judged.stdout)["test"] == results["test"]
    Image.new("RGB", (8, 8), (200, 200, 200)).save("light.png")
    predicted = json.loads(ftrun("predict", "runs/spec-1", "light.png", "--json").stdout)
    assert set(NAMES) <= set(json.dumps(predicted, ensure_ascii=False).replace("\\u", "").split('"'))
    exported = ftrun("export", "runs/spec-1", "--format", "safetensors")
    assert exported.exit_code == 0, exported.output


def test_a_loss_by_target_for_a_target_called_name(site, ftrun):
    """As a text it would be a part's own name; the message says how to write it."""
    Path("named_parts.py").write_text(PARTS.replace(repr(NAMES), "('name', 'stars')"))
    spec = tiny_spec(dataset="named", parts="named_parts.py", loss={"name": "tiny-loss", "stars": "tiny-loss"})
    result = ftrun("check", write_spec(spec))
    assert result.exit_code == 2
    assert (
        "loss.stars: no such option. Options of tiny-loss: none. If 'name' and 'stars' are targets, write the first "
        'one\'s loss as an object: {"name": {"name": "tiny-loss"}, ...}.'
    ) in result.output
    result = ftrun("check", "spec.json", "--set", 'loss.stars={"name": ["tiny-loss"]}')
    assert (result.exit_code, "loss.stars: no such option." in result.output) == (2, True), result.output


def test_a_target_without_a_name(site, ftrun):
    Path("named_parts.py").write_text(PARTS.replace(repr(NAMES), "('', 'stars')"))
    result = ftrun(write_spec(tiny_spec(dataset="named", parts="named_parts.py")))
    assert result.exit_code == 4
    assert "Error: dataset: a target has no name." in result.output
