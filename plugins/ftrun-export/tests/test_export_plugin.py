"""The plugin keeps ftrun's contract, and its files need nothing but torch or the library that a net came from."""

import json

import pytest
import torch
import warm
from safetensors import safe_open

import ftrun
from ftrun.plugins.catalogue import installed
from ftrun_devkit import check_plugin
from ftrun_export import Exportable
from ftrun_export.parts import Safetensors, TorchExport

test_contract = check_plugin("ftrun_export")

LABEL = ftrun.Classes(names=("a", "b", "c"))
CATALOGUE = installed()
BACKBONES = {
    "timm": {"name": "timm", "model": "test_vit", "pretrained": False},
    "torchvision": {"name": "torchvision", "model": "mobilenet_v3_small", "weights": None},
    "googlenet": {"name": "torchvision", "model": "googlenet", "weights": None},
    "lite": {"name": "efficientnet-lite0"},
}


def model(backbone, target=LABEL, modifiers=(), size=32):
    part = CATALOGUE.parts("backbone")[backbone["name"]].model_validate(backbone)
    torch.manual_seed(0)
    net = part.build({"size": (size, size)})
    net.set_targets({"label": target})
    for name in modifiers:
        net = CATALOGUE.parts("modifier")[name].model_validate({"name": name}).build(net)
    net.eval().requires_grad_(False)
    targets = json.dumps({"label": target.model_dump(mode="json")})
    metadata = {"input": net.input.model_dump_json(), "targets": targets, "epoch": "3"}
    return Exportable(net, metadata=metadata, library_code=part.library_code(net))


ALONE = """
import json, runpy, sys
import torch
names = runpy.run_path(sys.argv[1])
images = torch.load(sys.argv[2], weights_only=True)
scores = names["predict"](names["load"](), images)
print(json.dumps([names["about"]()["epoch"], "ftrun" in sys.modules, scores.tolist()]))
"""


def test_the_library_alone_says_the_same(tmp_path):
    some = model(BACKBONES["timm"])
    details = Safetensors(name="safetensors").build().write(some, tmp_path / "net.safetensors")
    assert details == {"loads_with": "net.py"}
    torch.save(some.example, tmp_path / "images.pt")
    answer, errors = warm.Process(tmp_path / "net.py", tmp_path / "images.pt", code=ALONE).communicate()
    assert errors == ""
    epoch, ours, scores = json.loads(answer)
    assert (epoch, ours) == ("3", False)
    assert torch.allclose(torch.tensor(scores), some.module(some.example)["label"], atol=1e-5)


@pytest.mark.parametrize("target", [ftrun.Labels(names=("x", "y")), ftrun.Values()], ids=lambda each: each.kind)
def test_targets_of_other_kinds(target, tmp_path):
    some = model(BACKBONES["timm"], target)
    writer = Safetensors(name="safetensors").build()
    assert writer.write(some, tmp_path / "net.safetensors") == {"loads_with": "net.py"}
    given = writer.open(some, tmp_path / "net.safetensors")(some.example)["label"]
    assert torch.allclose(given.float(), some.module(some.example)["label"].float(), atol=1e-5)


@pytest.mark.parametrize("name", BACKBONES)
def test_every_first_party_backbone_is_loaded_by_its_library(name, tmp_path):
    some = model(BACKBONES[name])
    writer = Safetensors(name="safetensors").build()
    assert writer.write(some, tmp_path / "net.safetensors") == {"loads_with": "net.py"}
    given = writer.open(some, tmp_path / "net.safetensors")(some.example)["label"]
    assert torch.allclose(given.float(), some.module(some.example)["label"].float(), atol=1e-5)


@pytest.mark.parametrize(("modifiers", "plain"), [(["replace-head"], True), (["fc-to-conv"], False)], ids=str)
def test_a_modifier_may_make_a_net_that_the_library_does_not_know(modifiers, plain, tmp_path):
    some = model(BACKBONES["lite"], modifiers=modifiers)
    details = Safetensors(name="safetensors").build().write(some, tmp_path / "net.safetensors")
    assert details == {"loads_with": "net.py" if plain else "ftrun"}
    assert (tmp_path / "net.py").exists() == plain
    with safe_open(tmp_path / "net.safetensors", "pt") as file:
        assert file.metadata()["epoch"] == "3"


def test_a_program_says_what_it_is(tmp_path):
    some = model(BACKBONES["timm"])
    TorchExport(name="torch-export").build().write(some, tmp_path / "net.pt2")
    inside = {"ftrun.json": ""}
    program = torch.export.load(tmp_path / "net.pt2", extra_files=inside)
    assert json.loads(inside["ftrun.json"])["epoch"] == "3"
    assert program.module()(some.example)["label"].shape == (2, 3)
