"""What parts keep beside their options: written with each checkpoint, given back where a run is resumed or opened."""

import json
from pathlib import Path

from support import install, tiny_spec, write_spec

import ftrun as product

STATEFUL = '''
from math import isqrt
from typing import Literal
import ftrun

class Width(ftrun.Modifier):
    """A hidden layer as wide as the data is long."""
    name: Literal["width"]

    def build(self, net, state=None):
        if state is not None:
            self._widen(net, int(state.values["width"]))
        return net

    def fit(self, net, train):
        self._widen(net, isqrt(len(train)))

    def state(self, made):
        return ftrun.PartState({"width": made.head[0].out_features, "of": "train"}, {"width.txt": b"a file"})

    def _widen(self, net, width):
        from torch import nn
        net.replace_head(nn.Sequential(nn.Linear(net.num_features, width), nn.ReLU(), net.output_layer(width)))

class Weighted(ftrun.Loss):
    """Keeps a tensor that is no buffer."""
    name: Literal["weighted"]
    kinds = ("classes",)

    def build(self, target, values, state=None):
        import torch
        from torch import nn
        loss = nn.CrossEntropyLoss()
        loss.shares = values.bincount(minlength=target.outputs) / len(values)
        if state is not None:
            loss.shares = state.values["shares"]
        assert isinstance(loss.shares, torch.Tensor)
        return loss

    def state(self, made):
        return ftrun.PartState({"shares": made.shares})

@ftrun.hookimpl
def ftrun_modifiers():
    return [Width]

@ftrun.hookimpl
def ftrun_losses():
    return [Weighted]
'''


def test_parts_get_back_what_they_kept(site, ftrun):
    install(site, "ftrun-stateful", STATEFUL)
    spec = tiny_spec(modifiers=["width"], loss="weighted", train={"epochs": 2, "batch_size": 16})
    for folder, epochs in (("run", 2), ("part", 1)):
        path = write_spec({**spec, "train": {"epochs": epochs, "batch_size": 16}})
        result = ftrun(path, "--out", folder, "--device", "cpu")
        assert result.exit_code == 0, result.output
    assert ftrun("resume", "part", "--epochs", "2").exit_code == 0
    for name in ("model.safetensors", "net.safetensors", "state.safetensors", "width.txt"):
        one, other = (Path(folder) / "checkpoints/last" / name for folder in ("run", "part"))
        assert one.read_bytes() == other.read_bytes(), name
    parts = json.loads(Path("run/checkpoints/best/net.json").read_text())["parts"]
    assert parts["modifiers.0"]["files"] == ["width.txt"]
    assert parts["modifiers.0"]["values"]["of"] == "train"
    assert parts["loss"] == {"values": {"shares": {"$tensor": "parts.loss.shares"}}, "files": []}
    assert product.open("run").net.head[0].out_features == parts["modifiers.0"]["values"]["width"]
    assert ftrun("evaluate", "run").exit_code == 0
    net = Path("run/checkpoints/best/net.json")
    net.write_text(net.read_text().replace('"width.txt"', '"../../spec.json"'))
    opened = ftrun("evaluate", "run")
    assert opened.exit_code == 1
    assert "net.json: is damaged" in opened.output
