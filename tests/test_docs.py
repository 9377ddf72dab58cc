"""What the README says is true: its spec is the example's, its plugin works, its commands exist."""

import json
import re
import tomllib
from pathlib import Path

import click
import pytest
from support import install, tiny_spec, write_spec

from ftrun.cli import main
from ftrun.plugins.catalogue import Catalogue, installed
from ftrun.spec.check import check_spec
from ftrun.spec.runspec import RunSpec, Train

ROOT = Path(__file__).parents[1]
OPT_IN = {"ftrun-huggingface"}  # what brings something out of the house is asked for by name
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_spec_is_the_example():
    spec, *parts = blocks("json")
    assert json.loads(spec) == json.loads((ROOT / "examples" / "cifar10-resnet18.json").read_text())
    for part in parts:
        check_spec({**json.loads(spec), **json.loads(f"{{{part}}}")}, installed())


def test_every_key_of_a_spec_is_explained():
    keys = {info.alias or name for name, info in RunSpec.model_fields.items()}
    assert keys - {"$schema"} == set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE))
    train = next(line for line in README.splitlines() if line.startswith("| `train`"))
    assert set(re.findall(r"`(\w+)`", train)) - {"train"} == set(Train.model_fields)


def test_every_command_is_listed():
    for command in main.list_commands(click.Context(main)):
        assert f"ftrun {command}" in README


def test_every_plugin_is_listed_with_its_parts(ftrun):
    listed = json.loads(ftrun("plugins", "--json").output)
    for plugin in listed["plugins"]:
        (row,) = [line for line in README.splitlines() if line.startswith(f"| [{plugin['distribution']}]")]
        for part in plugin["parts"]:
            assert f"`{part['name']}" in row or f"`-{part['name'].rpartition('-')[2]}" in row, part["name"]


def test_the_extra_named_all_brings_every_plugin():
    extras = tomllib.loads((ROOT / "core" / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    every = {each.name for each in (ROOT / "plugins").iterdir() if (each / "pyproject.toml").exists()}
    assert extras["all"] == sorted(every - OPT_IN)
    assert every > OPT_IN


def test_the_plugin_that_the_readme_writes_works(site, ftrun):
    package = tomllib.loads(blocks("toml")[0])
    ((_, module),) = package["project"]["entry-points"]["ftrun"].items()
    code = next(block for block in blocks("python") if "SignSGD" in block)
    install(site, package["project"]["name"], code, module=module)
    assert "sign-sgd" in ftrun("plugins", "sign-sgd").output
    result = ftrun(write_spec(tiny_spec(optimizer={"name": "sign-sgd", "lr": 0.01})))
    assert result.exit_code == 0, result.output


def test_the_errors_that_the_readme_shows_are_real(site, ftrun):
    (shown,) = blocks("text")
    spec = tiny_spec(optimizer={"name": "sgd", "momentun": 0.9}, train={"epochs": 0})
    assert ftrun(write_spec(spec)).output.strip() == shown.partition("\n")[2].strip()


@pytest.mark.parametrize("readme", sorted(ROOT.glob("plugins/*/README.md")), ids=lambda path: path.parent.name)
def test_specs_in_a_plugins_readme_are_valid(readme, catalogue):
    """A block holds whole specs or keys of one; what it leaves out is filled in here."""
    for block in re.findall(r"```json\n(.*?)```", readme.read_text(), re.DOTALL):
        text = block if block.lstrip().startswith(("{", "[")) else "{" + block.strip().rstrip(",") + "}"
        while text := text.lstrip():
            keys, end = json.JSONDecoder().raw_decode(text)
            text = text[end:]
            rest = {"backbone": "efficientnet-lite0", "loss": "cross-entropy", "optimizer": "sgd"}
            check_spec({**rest, **_of_texts(keys, catalogue), **keys}, catalogue)


def _of_texts(keys, catalogue):
    """What goes with a backbone or a dataset for texts, if one is there."""
    name = {slot: part["name"] if isinstance(part, dict) else str(part).partition("/")[0] for slot, part in keys.items()
            if slot in ("backbone", "dataset")}  # fmt: skip
    backbone, dataset = (catalogue.parts(slot).get(name.get(slot)) for slot in ("backbone", "dataset"))
    if (backbone and backbone.input_type.raw_kind == "text") or (dataset and dataset.input_kind == "text"):
        return {"backbone": "lstm", "dataset": {"name": "csv", "path": "a.csv", "text": "text", "target": "label"}}
    return {}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return installed()
