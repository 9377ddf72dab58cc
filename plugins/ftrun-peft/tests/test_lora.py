"""Modifier `lora`: what learns, what is merged, and what a run keeps."""

from pathlib import Path

import pytest
import tinyencoder
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import nn

import ftrun
import ftrun_inputs
from ftrun.inference.opened import open_run
from ftrun.runs.folder import RunFolder
from ftrun_devkit.tiny import TinyNet
from ftrun_peft import Lora
from ftrun_timm import Timm
from ftrun_torchvision import Torchvision
from ftrun_transformers import Transformers

THREE = {"label": ftrun.Classes(names=("a", "b", "c"))}


@pytest.fixture
def text_net(tmp_path: Path) -> ftrun.Net:
    torch.manual_seed(0)
    folder = tinyencoder.write(tmp_path / "tiny")
    net = Transformers(name="transformers", model=str(folder), pretrained=False).build({})
    net.set_targets(THREE)
    return net.eval()


@pytest.fixture
def image_net() -> ftrun.Net:
    torch.manual_seed(0)
    net = Timm(name="timm", model="test_vit", pretrained=False).build({"size": (32, 32)})
    net.set_targets(THREE)
    return net.eval()


@pytest.fixture(params=["text_net", "image_net"])
def net(request: pytest.FixtureRequest) -> ftrun.Net:
    return request.getfixturevalue(request.param)


def lora(net: ftrun.Net, **options: object) -> ftrun.Net:
    return Lora(name="lora", **options).build(net)


def inputs(net: ftrun.Net) -> torch.Tensor:
    return net.input.prepare(net.input.collate(net.input.example(3)))


def step(net: ftrun.Net) -> None:
    """A step that moves all that may learn."""
    net.train()
    learning = [parameter for parameter in net.parameters() if parameter.requires_grad]
    for _ in range(2):  # in the first one, only one factor of an adapter has a gradient
        net(inputs(net))["label"].square().sum().backward()
        torch.optim.SGD(learning, lr=0.1).step()
    net.eval()


def test_it_computes_nothing_new_at_first(net: ftrun.Net):
    x = inputs(net)
    with torch.no_grad():
        before = net(x)["label"]
        torch.testing.assert_close(lora(net).eval()(x)["label"], before)


def test_adapters_and_head_learn_and_nothing_else(net: ftrun.Net):
    lora(net, rank=2)
    before = {name: value.clone() for name, value in net.model.state_dict().items()}
    step(net)
    changed = {name for name, value in net.model.state_dict().items() if not torch.equal(value, before[name])}
    adapters = {name for name in before if ".lora_" in name}
    assert changed == adapters | {name for name in before if name.startswith(f"{net.head_path}.")}
    assert len(adapters) > 10


def test_merged_it_is_a_plain_net_that_computes_the_same(net: ftrun.Net):
    names = list(net.model.state_dict())
    base = {name: value.clone() for name, value in net.model.state_dict().items()}
    assert net.folded() is net
    lora(net, rank=2, alpha=8.0)
    step(net)
    x = inputs(net)
    merged = net.folded()
    with torch.no_grad():
        torch.testing.assert_close(merged(x), net(x), rtol=1e-4, atol=1e-5)
    assert list(merged.model.state_dict()) == names
    assert merged.folded() is merged
    assert any(".lora_" in name for name in net.model.state_dict())  # which is left alone
    path = next(name for name, module in net.model.named_modules() if hasattr(module, "lora_A"))
    layer = net.model.get_submodule(path)
    expected = base[f"{path}.weight"] + 8 / 2 * layer.lora_B["default"].weight @ layer.lora_A["default"].weight
    torch.testing.assert_close(merged.model.get_parameter(f"{path}.weight"), expected)


def test_the_pattern_chooses_the_layers(net: ftrun.Net):
    pattern = r"query|value" if isinstance(net.input, ftrun_inputs.TextInput) else r"blocks\.[01]\.attn\.qkv"
    lora(net, layers=pattern)
    adapted = [name for name, module in net.model.named_modules() if hasattr(module, "lora_A")]
    assert len(adapted) == (4 if isinstance(net.input, ftrun_inputs.TextInput) else 2)
    assert all(isinstance(net.model.get_submodule(name).get_base_layer(), nn.Linear) for name in adapted)


def test_mistakes(text_net: ftrun.Net):
    with pytest.raises(ftrun.SpecError, match=r"matches 'qkv'. This net has encoder.layer.0.attention.self.query, "):
        lora(text_net, layers="qkv")
    with pytest.raises(ValidationError, match="is no regular expression"):
        Lora(name="lora", layers="(")
    with pytest.raises(ftrun.SpecError, match="This net has none"):
        lora(TinyNet(name="tiny-net").build({}))
    with pytest.raises(ftrun.SpecError, match="is in the net already"):
        lora(lora(text_net))


def test_a_run_keeps_adapters_and_base_and_is_opened_again(tmp_path: Path):
    folder = tinyencoder.write(tmp_path / "tiny")
    run = tinyencoder.run(
        tmp_path / "run",
        backbone={"name": "transformers", "model": str(folder), "pretrained": False},
        modifiers=[{"name": "lora", "rank": 2, "dropout": 0.2, "layers": "query"}],
        train={"phases": [{"epochs": 1, "freeze": "embeddings"}, {"epochs": 1}], "batch_size": 12, "average": "ema"},
    )
    opened = open_run(RunFolder.existing(run), "cpu")
    weights = load_file(run / "checkpoints" / "best" / "model.safetensors")
    assert "encoder.layer.0.attention.self.query.lora_B.default.weight" in weights
    assert all(torch.equal(value, weights[name]) for name, value in opened.net.model.state_dict().items())
    merged = opened.net.folded()
    with torch.no_grad():
        torch.testing.assert_close(merged(inputs(merged)), opened.net(inputs(merged)), rtol=1e-4, atol=1e-5)


def test_adapters_in_layers_that_pool_runs_take_what_is_flattened():
    """mobilenet_v3's first linear layer comes right after the pooling: a random spec found it with LoRA around it."""
    part = Torchvision(name="torchvision", model="mobilenet_v3_small", weights=None)
    net = part.build({"size": (32, 32)})
    net.set_targets({"label": ftrun.Classes(names=("a", "b"))})
    net.eval()
    images = net.input.prepare(net.input.example(2))
    before = net(images)["label"]
    changed = Lora(name="lora", rank=2).build(net).eval()
    assert torch.allclose(changed(images)["label"], before, atol=1e-5)
