"""`ftrun plugins` shows every option, of the spec's own keys too; and what is wrong with a plugin that still works."""

import json
import re
import sys
from pathlib import Path

import pytest
from support import install, tiny_spec, write_spec

HEAVY = "import ftrun\nfrom torch import nn\n"
LIGHT = """
from typing import TYPE_CHECKING
import ftrun
if TYPE_CHECKING:
    import torch
def build():
    import torch
"""


def shown(ftrun, *what):
    result = ftrun("plugins", *what)
    assert result.exit_code == 0
    return result.output


def test_options_of_the_specs_own_keys(site, ftrun):
    text = shown(ftrun, "train")
    assert text.startswith("train  (key of a spec, from ftrun ")
    for line in ("    batch_size ", "    phases ", "      lr_scale "):
        assert f"\n{line}" in text
    assert '"uncertainty" or object of number > 0 or null' in text


def test_one_option_with_what_it_holds(site, ftrun):
    lines = shown(ftrun, "train.phases").splitlines()
    assert lines[0].startswith("train.phases  (key of a spec, from ftrun ")
    assert [line.split()[0] for line in lines[2:7]] == ["epochs", "freeze", "views", "lr_scale", "layer_decay"]
    assert "uncertainty learns them" in shown(ftrun, "train.loss_weights")
    assert "    kind " in shown(ftrun, "csv.targets")
    (described,) = json.loads(shown(ftrun, "csv.targets", "--json"))
    assert (described["name"], described["key"]) == ("csv.targets", "dataset")


def test_what_one_distribution_offers(site, ftrun):
    described = json.loads(shown(ftrun, "ftrun-samplers", "--json"))
    assert {each["role"] for each in described} == {"sampler"}
    assert {each["distribution"] for each in described} == {"ftrun-samplers"}


def test_a_misspelt_distribution_before_a_part_gets_the_nearest(site, ftrun):
    spec = write_spec(tiny_spec(loss="ftrun-lossez:cross-entropy"))
    assert "Did you mean 'ftrun-losses:cross-entropy'?" in ftrun("check", spec).output


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("train.phase", "train has no option 'phase'. Did you mean 'phases'? It has epochs, phases, "),
        ("tiny-sgd.rl", "tiny-sgd has no option 'rl'."),
        ("tarin", "no role and no part named 'tarin'. Did you mean 'train'?"),
        ("no.such", "no role and no part named 'no.such'."),
    ],
)
def test_an_option_that_there_is_not(site, ftrun, what, message):
    result = ftrun("plugins", what)
    assert result.exit_code == 2
    assert message in result.output


def test_a_plugin_that_loads_torch_at_its_top_is_warned_of(alone, ftrun):
    install(alone, "ftrun-heavy", HEAVY)
    install(alone, "ftrun-light", LIGHT)
    found = json.loads(shown(ftrun, "--json"))["plugins"]
    warnings = {each["distribution"]: each["warnings"] for each in found}
    assert warnings["ftrun-light"] == warnings["ftrun-tiny"] == []
    (warning,) = warnings["ftrun-heavy"]
    told = r"its import loads (\w+, )*torch, and each command waits for that: import it inside build\(\)\."
    assert re.fullmatch(told, warning)
    assert re.search(rf"^  WARNING: {told}$", shown(ftrun), re.MULTILINE)  # what torch loads is loaded by now


def test_so_is_one_that_loads_it_through_another_module(alone, ftrun, monkeypatch):
    """Nothing in its own source says so: what it has loaded does."""
    (alone / "sklearn.py").write_text("")
    (alone / "inner_of_heavy.py").write_text("import sklearn")
    install(alone, "ftrun-heavy", "import ftrun, inner_of_heavy\n")
    monkeypatch.delitem(sys.modules, "sklearn", raising=False)
    (heavy,) = [each for each in json.loads(shown(ftrun, "--json"))["plugins"] if each["distribution"] == "ftrun-heavy"]
    assert heavy["warnings"][0].startswith("its import loads sklearn")
    monkeypatch.delitem(sys.modules, "sklearn", raising=False)


def test_another_plugins_clash_is_no_fault_of_the_one_that_is_checked(site, ftrun):
    optimizer = """
from typing import Any, Literal
import ftrun
class Steps(ftrun.Optimizer):
    '''Steps.'''
    name: Literal["NAME"]
    def build(self, params: Any) -> Any:
        import torch
        return torch.optim.SGD(params, lr=0.1)
@ftrun.hookimpl
def ftrun_optimizers():
    return [Steps]
"""
    install(site, "ftrun-mine", optimizer.replace("NAME", "mine"))
    for name in ("one", "two"):  # these clash with each other, and with the tiny parts that the suite trains
        install(site, f"ftrun-{name}", optimizer.replace("NAME", "tiny-descent"))
    install(site, "ftrun-other", optimizer.replace("NAME", "mine"))
    result = ftrun("check-plugin", "ftrun-mine")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("resnet18", "Did you mean 'timm/resnet18' or 'torchvision/resnet18'?"),
        ("resnet18.a1_in1k", "Did you mean 'timm/resnet18.a1_in1k'?"),
        ("swin_v2_t", "Did you mean 'torchvision/swin_v2_t'?"),
    ],
)
def test_a_model_without_its_family_is_told_with_it(site, ftrun, name, near):
    result = ftrun("check", write_spec(tiny_spec(backbone=name)))
    assert result.exit_code == 2
    assert f"backbone: no backbone named {name!r}. {near} Installed: " in result.output


def test_a_model_that_no_family_has_is_told_with_none(site, ftrun):
    result = ftrun("check", write_spec(tiny_spec(backbone={"name": "resnet18"}, loss="resnet18")))
    assert "loss: no loss named 'resnet18'. Installed: " in result.output
    assert Path("spec.json").exists()
