"""Heads that take something else than the embedding: beside the library's own module, in a whole run."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from support import install, tiny_spec, write_spec

import ftrun as product

SEVERAL = Path(__file__).parent / "distributions" / "ftrun_several.py"
LOSSES = {"color": "cross-entropy", "price": "mse", "tags": "bce"}
HEADS = '''
from typing import Literal
import ftrun

class Largest(ftrun.Head):
    """The largest of each channel."""
    name: Literal["largest"]
    takes = "map"

    def build(self, net, target):
        from torch import nn
        channels = net.levels[-1].channels
        return nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(channels, target.outputs))

class Steps(Largest):
    """Takes what a net of one resolution has not."""
    name: Literal["steps"]
    takes = "pyramid"

class Words(Largest):
    """Takes what a net of images has not."""
    name: Literal["words"]
    takes = "tokens"

@ftrun.hookimpl
def ftrun_heads():
    return [Largest, Steps, Words]
'''


@pytest.fixture
def start(site, ftrun):
    install(site, "ftrun-several", SEVERAL.read_text())
    install(site, "ftrun-largest", HEADS)

    def start(*, code: int = 0, out: str = "run", **changes: Any) -> str:
        train = {"epochs": 2, "batch_size": 16, **changes.pop("train", {})}
        spec = tiny_spec(dataset="several", loss=LOSSES, metrics=["accuracy"], train=train, **changes)
        result = ftrun(write_spec(spec), "--out", out, "--device", "cpu")
        assert result.exit_code == code, result.output
        return result.output

    return start


def test_a_run_with_one(start, ftrun):
    start(head={"price": "largest"})
    best = Path("run/checkpoints/best")
    assert json.loads((best / "net.json").read_text())["head"] == {"price": {"name": "largest"}}
    weights, beside = load_file(best / "model.safetensors"), load_file(best / "heads.safetensors")
    assert {*beside} == {"heads.price.2.weight", "heads.price.2.bias"}
    assert not any("price" in name for name in weights)
    net = product.open("run").net
    assert torch.equal(net.heads["price"][2].weight, beside["heads.price.2.weight"])
    assert beside["heads.price.2.weight"].any()
    results = json.loads(Path("run/results.json").read_text())
    result = ftrun("evaluate", "run", "--split", "test", "--json")
    assert json.loads(result.stdout)["test"] == pytest.approx(results["test"])
    export = ftrun("export", "run", "--format", "safetensors")
    assert export.exit_code == 0, export.output
    again = ftrun("run", "spec.json", "--out", "next", "--init-from", "run", "--device", "cpu")
    assert again.exit_code == 0, again.output
    assert "newly initialised" not in again.output


def test_a_run_goes_on_with_it(start, ftrun):
    start(head="largest", train={"epochs": 3})
    start(out="part", head="largest", train={"epochs": 2})
    result = ftrun("resume", "part", "--epochs", "3")
    assert result.exit_code == 0, result.output
    for name in ("model", "heads", "state"):
        one, other = (Path(folder) / f"checkpoints/last/{name}.safetensors" for folder in ("run", "part"))
        assert one.read_bytes() == other.read_bytes(), name


def test_its_parameters_are_the_heads(start):
    start(head="largest", train={"phases": [{"epochs": 2, "freeze": "features"}]})
    first, last = (load_file(f"run/checkpoints/{name}/model.safetensors") for name in ("previous", "last"))
    assert all(torch.equal(first[name], last[name]) for name in first)
    first, last = (load_file(f"run/checkpoints/{name}/heads.safetensors") for name in ("previous", "last"))
    assert not any(torch.equal(first[name], last[name]) for name in first)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("steps", "head: 'steps' takes maps of several resolutions, but this net gives one level alone."),
        ({"price": "words"}, "head.price: 'words' takes tokens [B, T, D], but this net gives a map."),
        ({"prise": "largest"}, "head.prise: the dataset has no target 'prise'. Did you mean 'price'?"),
        ("largst", "head: no head named 'largst'. Did you mean 'largest'? Installed: "),
    ],
)
def test_what_does_not_fit(head, message, start):
    assert message in start(head=head, code=2)
