import hashlib
import json
import stat
import time
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from ftrun import Backbone, Classes, FtrunError, Net, PartState, PluginError
from ftrun.data import filedigests
from ftrun.runs import checkpoint
from ftrun.runs.optimizerstate import load_optimizer, optimizer_state
from ftrun.train.partstates import PartStates
from ftrun_inputs import ImageInput

OPTIMIZERS = {
    "sgd": lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9),
    "plain sgd": lambda params: torch.optim.SGD(params, lr=0.1),
    "adamw": lambda params: torch.optim.AdamW(params, lr=0.1),
    "rmsprop": lambda params: torch.optim.RMSprop(params, lr=0.1, centered=True),
}


class Quantized(torch.optim.Optimizer):
    """Keeps its state as 8-bit optimizers do: in uint8, with float32 scales, nested."""

    def __init__(self, params):
        super().__init__(params, {"lr": 0.1})

    def step(self):
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["step"] = torch.zeros((), dtype=torch.int64)
                    state["codes"] = torch.full_like(parameter, 128, dtype=torch.uint8)
                    state["half"] = torch.zeros_like(parameter, dtype=torch.bfloat16)
                    state["more"] = {"scales": [torch.ones(3, dtype=torch.float64)]}
                assert state["codes"].dtype == torch.uint8
                state["step"] += 1
                state["codes"] += (parameter.grad > 0).to(torch.uint8)
                state["half"].mul_(0.9).add_(parameter.grad, alpha=0.1)
                state["more"]["scales"][0] += 0.1
                change = (state["codes"].float() - 128) * float(state["more"]["scales"][0].sum()) + state["half"]
                parameter.data.sub_(change, alpha=0.001)


def test_an_optimizer_s_state_keeps_its_dtypes(tmp_path):
    net = small()
    optimizer = Quantized(net.parameters())
    learn(net, optimizer, 3)
    save(tmp_path / "last", net, optimizer, {})
    other = small()
    resumed = Quantized(other.parameters())
    load(tmp_path / "last", other, resumed)
    for parameter, again in zip(net.parameters(), other.parameters(), strict=True):
        state, loaded = optimizer.state[parameter], resumed.state[again]
        assert {key: getattr(value, "dtype", None) for key, value in loaded.items()} == {
            "step": torch.int64,
            "codes": torch.uint8,
            "half": torch.bfloat16,
            "more": None,
        }
        assert torch.equal(loaded["codes"], state["codes"])
        assert torch.equal(loaded["more"]["scales"][0], state["more"]["scales"][0])
    learn(net, optimizer, 3)
    learn(other, resumed, 3)
    assert torch.equal(net.head.weight, other.head.weight)


def test_a_file_that_stays_as_it_is_is_read_once_for_its_digest(tmp_path, monkeypatch):
    file, reads = tmp_path / "file", []
    file.write_text("one")
    file_digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *given: reads.append(1) or file_digest(*given))
    assert checkpoint.digest(file) == checkpoint.digest(file)
    assert len(reads) == 2, "it may have changed within the time that a file system's clock takes to tick"
    monkeypatch.setattr(filedigests, "_SETTLED", -1.0)
    one = checkpoint.digest(file)
    assert (checkpoint.digest(file), len(reads)) == (one, 3)
    time.sleep(0.05)
    file.write_text("two")
    assert (checkpoint.digest(file) != one, len(reads)) == (True, 4)


class Convolutional(Net):
    def features(self, x):
        return self.model.conv(x)

    def pool(self, features):
        return features.mean((2, 3))


class Small(Net):
    def features(self, x):
        return x[:, :, None, None]

    def pool(self, features):
        return features.flatten(1)


def small() -> Small:
    net = Small(
        nn.Sequential(nn.Linear(3, 10)), input=ImageInput(size=(1, 1)), num_features=3, head_path="0", stages={}
    )
    net.set_targets({"label": Classes(names=("a", "b"))})
    return net


def learn(net: Net, optimizer: torch.optim.Optimizer, steps: int) -> None:
    for step in range(steps):
        net.model(torch.full((4, 3), step + 1.0)).pow(2).sum().backward()
        optimizer.step()
        optimizer.zero_grad()


def save(folder, net: Net, optimizer: torch.optim.Optimizer, progress: dict) -> None:
    state = {"progress": progress, "optimizer": optimizer_state(optimizer)}
    checkpoint.save(folder, net.model, {}, state)


def load(folder, net: Net, optimizer: torch.optim.Optimizer) -> dict:
    state = checkpoint.load_state(folder)
    checkpoint.load_weights(folder, net.model)
    load_optimizer(optimizer, state["optimizer"])
    return state["progress"]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_from_a_checkpoint_as_if_never_stopped(name, tmp_path):
    net = small()
    optimizer = OPTIMIZERS[name](net.parameters())
    learn(net, optimizer, 3)
    save(tmp_path / "last", net, optimizer, {"epoch": 2, "history": [{"loss": 0.5}]})

    other = small()
    other_optimizer = OPTIMIZERS[name](other.parameters())
    assert load(tmp_path / "last", other, other_optimizer) == {"epoch": 2, "history": [{"loss": 0.5}]}

    learn(net, optimizer, 3)
    learn(other, other_optimizer, 3)
    assert torch.equal(net.head.weight, other.head.weight)


def test_a_checkpoint_is_plain_files_that_anyone_can_read(tmp_path):
    net = small()
    checkpoint.save(tmp_path / "best", net.model, {"backbone": {"name": "small"}})
    assert sorted(each.name for each in (tmp_path / "best").iterdir()) == [
        "manifest.json",
        "model.safetensors",
        "net.json",
    ]
    assert json.loads((tmp_path / "best" / "net.json").read_text()) == {"backbone": {"name": "small"}, "parts": {}}
    assert torch.equal(load_file(tmp_path / "best" / "model.safetensors")["0.weight"], net.model[0].weight)
    modes = {stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "best").iterdir()}
    assert len(modes) == 1, "safetensors gives its files to their owner alone"


def test_saving_again_replaces_the_whole_folder(tmp_path):
    net = small()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    save(tmp_path / "last", net, optimizer, {})
    nn.init.ones_(net.head.weight)
    checkpoint.save(tmp_path / "last", net.model, {})
    assert not (tmp_path / "last" / "state.json").exists()
    assert load_file(tmp_path / "last" / "model.safetensors")["0.weight"].eq(1).all()
    assert [each.name for each in tmp_path.iterdir()] == ["last"]


def test_tied_weights_are_saved_once_and_come_back_tied(tmp_path):
    class Tied(Small):
        pass

    def tied() -> Tied:
        layers = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2))
        layers[1].weight = layers[0].weight
        return Tied(layers, input=ImageInput(size=(1, 1)), num_features=3, head_path="2", stages={"all": ["0", "1"]})

    net, other = tied(), tied()
    checkpoint.save(tmp_path / "best", net.model, {})
    checkpoint.load_weights(tmp_path / "best", other.model)
    assert torch.equal(other.model[1].weight, net.model[0].weight)
    assert other.model[1].weight is other.model[0].weight


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_channels_last_comes_back_as_it_was(name, tmp_path):
    def convolutional() -> tuple[Convolutional, torch.optim.Optimizer]:
        model = nn.Module()
        model.conv, model.top = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)
        net = Convolutional(
            model, input=ImageInput(size=(8, 8)), num_features=4, head_path="top", stages={"stem": ["conv"]}
        ).to(memory_format=torch.channels_last)
        return net, OPTIMIZERS[name](net.parameters())

    def step(net: Net, optimizer: torch.optim.Optimizer) -> None:
        net.head(net.embed(torch.ones(2, 3, 8, 8))).pow(2).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    net, optimizer = convolutional()
    step(net, optimizer)
    save(tmp_path / "last", net, optimizer, {})
    other, other_optimizer = convolutional()
    load(tmp_path / "last", other, other_optimizer)
    assert other.model.conv.weight.is_contiguous(memory_format=torch.channels_last)
    for values in other_optimizer.state.values():
        for value in values.values():
            if isinstance(value, torch.Tensor) and value.ndim == 4:
                assert value.is_contiguous(memory_format=torch.channels_last)
    step(net, optimizer)
    step(other, other_optimizer)
    assert torch.equal(net.model.conv.weight, other.model.conv.weight)


def save_with(parts: dict[str, PartState], folder: Path) -> Path:
    checkpoint.save(folder / "best", small().model, {"epoch": 1, "val": {}}, parts=parts)
    return folder / "best"


@pytest.mark.parametrize("name", ["spiece.model", "Vocab.TXT", "merges.txt", "my words", "wörter", "tokenizer", "a:b"])
def test_the_state_of_a_part_comes_back_as_it_was(name, tmp_path):
    values = {"widths": [3, 4], "of": {"a.b": torch.arange(3), "rate": 0.5}, "none": None}
    parts = {"backbone": PartState(values, {name: b"one\r\ntwo\x00\xff"}), "loss.label": PartState({"gamma": 2})}
    best = save_with(parts, tmp_path)
    again = checkpoint.load_parts(best)
    assert again.keys() == parts.keys()
    assert again["backbone"].files == parts["backbone"].files
    assert torch.equal(again["backbone"].values["of"].pop("a.b"), values["of"].pop("a.b"))
    assert again["backbone"].values == values
    assert again["loss.label"] == parts["loss.label"]
    assert checkpoint.load_parts(save_with({}, tmp_path)) == {}
    with pytest.raises(FtrunError, match=rf"is damaged: it has no text {name}\."):
        again["backbone"].text(name)


def test_a_file_of_a_part_that_has_changed_is_damaged(tmp_path):
    best = save_with({"backbone": PartState(files={"words": b"one"})}, tmp_path)
    (best / "words").write_bytes(b"two")
    with pytest.raises(checkpoint.Damaged, match="words: is damaged"):
        checkpoint.load_parts(best)


@pytest.mark.parametrize("name", ["../secret", "model.safetensors", "state.json", 7])
def test_a_part_has_no_file_but_those_of_the_manifest(name, tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    best = save_with({"backbone": PartState()}, tmp_path)
    net = json.loads((best / "net.json").read_text())
    net["parts"]["backbone"]["files"] = [name]
    (best / "net.json").write_text(json.dumps(net))
    manifest = json.loads((best / "manifest.json").read_text())
    manifest["sha256"]["net.json"] = hashlib.sha256((best / "net.json").read_bytes()).hexdigest()
    (best / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(checkpoint.Damaged, match=r"net\.json"):
        checkpoint.load_parts(best)


class Keeping(Backbone):
    """A part that keeps what it is asked to."""

    name: Literal["keeping"]
    input_type = ImageInput

    def build(self, overrides, state=None):
        return small()

    def state(self, made):
        return KEPT[0]


KEPT: list[Any] = [None]
NOT_KEPT = ["net.json", "NET.json", "heads.safetensors", "a/b", "..", ".x", "", "x.safetensors"]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        *((PartState(files={name: b""}), "cannot be the name of a file in a checkpoint") for name in NOT_KEPT),
        (PartState(files={"a": "text"}), "the file a is str, but bytes are needed"),
        ({"a": 1}, "state\\(\\) gives dict of 1, but an ftrun.PartState is needed"),
    ],
)
def test_a_state_that_a_checkpoint_cannot_have_is_refused(state, message):
    states = PartStates()
    states.build(Keeping(name="keeping"), "backbone", {})
    KEPT[0] = state
    with pytest.raises(PluginError, match=message):
        states.now()


def test_a_state_of_a_part_that_takes_none_is_no_small_matter():
    class Plain(Keeping):
        """Is built without."""

        name: Literal["plain"]

        def build(self, overrides):
            return small()

    states = PartStates({"backbone": PartState({"width": 3})}, {})
    with pytest.raises(PluginError, match="has saved a state of it at backbone, and its build"):
        states.build(Plain(name="plain"), "backbone", {})
    states.build(Plain(name="plain"), "modifiers.0", {})


def test_two_parts_have_no_file_of_one_name():
    states = PartStates()
    KEPT[0] = PartState(files={"words": b""})
    states.build(Keeping(name="keeping"), "backbone", {})
    assert list(states.now()) == ["backbone"]
    states.build(Keeping(name="keeping"), "modifiers.0", {})
    with pytest.raises(PluginError, match="'words' cannot be the name"):
        states.now()


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", ".hidden", "a\\b"])
def test_a_manifest_that_names_what_is_elsewhere_is_not_followed(name, tmp_path):
    checkpoint.save(tmp_path / "best", small().model, {"epoch": 1, "val": {}})
    manifest = tmp_path / "best/manifest.json"
    listed = json.loads(manifest.read_text())
    listed["sha256"][name] = "0" * 64
    manifest.write_text(json.dumps(listed))
    with pytest.raises(checkpoint.Damaged, match="is not a list of digests"):
        checkpoint.verify(tmp_path / "best")
