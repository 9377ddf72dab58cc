"""What README and guides say is true: spec and errors are real, the plugin works, commands and plugins are listed."""

import json
import re
import tomllib
from pathlib import Path

import click
import pytest
from pasting import blocks
from support import install, tiny_spec, write_spec

from ftrun.cli import main
from ftrun.spec.runspec import RunSpec
from ftrun.spec.trainspec import Train

ROOT = Path(__file__).parents[1]
OPT_IN = {"ftrun-huggingface"}  # what brings something out of the house is asked for by name
GUIDE = ROOT / "docs" / "guide"


def code(page: Path, language: str) -> list[str]:
    return [block.code for block in blocks(page) if block.language == language]


def test_the_spec_is_the_example():
    spec, *_ = code(GUIDE / "spec.md", "json")
    assert json.loads(spec) == json.loads((ROOT / "examples" / "cifar10-resnet18.json").read_text())


def test_every_key_of_a_spec_is_explained():
    keys = {info.alias or name for name, info in RunSpec.model_fields.items()}
    page = (GUIDE / "spec.md").read_text()
    assert keys - {"$schema"} == set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    train = next(line for line in page.splitlines() if line.startswith("| `train`"))
    assert set(re.findall(r"`(\w+)`", train)) - {"train"} == set(Train.model_fields)


def test_every_command_is_listed():
    page = (GUIDE / "commands.md").read_text()
    for command in main.list_commands(click.Context(main)):
        assert f"ftrun {command}" in page


def test_every_environment_variable_is_listed():
    page = (GUIDE / "commands.md").read_text()
    sources = [path.read_text() for folder in ("core", "plugins") for path in (ROOT / folder).rglob("src/**/*.py")]
    named = {name for source in sources for name in re.findall(r'"(FTRUN_[A-Z_]+)"', source)}
    assert "FTRUN_CACHE" in named
    for name in named - {"FTRUN_API"}:  # which a plugin's module states
        assert f"`{name}" in page, name


def test_every_plugin_is_listed_with_its_parts(ftrun):
    listed = json.loads(ftrun("plugins", "--json").output)
    lines = (GUIDE / "plugins.md").read_text().splitlines()
    for plugin in listed["plugins"]:
        (row,) = [line for line in lines if line.startswith(f"| [{plugin['distribution']}]")]
        for part in plugin["parts"]:
            assert f"`{part['name']}" in row or f"`-{part['name'].rpartition('-')[2]}" in row, part["name"]


def test_the_extra_named_all_brings_every_plugin():
    extras = tomllib.loads((ROOT / "core" / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    every = {each.name for each in (ROOT / "plugins").iterdir() if (each / "pyproject.toml").exists()}
    assert extras["all"] == sorted(every - OPT_IN)
    assert every > OPT_IN


def test_the_plugin_that_the_guide_writes_works(site, ftrun):
    page = ROOT / "docs" / "plugins" / "index.md"
    package = tomllib.loads(code(page, "toml")[0])
    ((_, module),) = package["project"]["entry-points"]["ftrun"].items()
    plugin = next(each for each in code(page, "python") if "SignSGD" in each)
    install(site, package["project"]["name"], plugin, module=module)
    assert "sign-sgd" in ftrun("plugins", "sign-sgd").output
    result = ftrun(write_spec(tiny_spec(optimizer={"name": "sign-sgd", "lr": 0.01})))
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("page", [ROOT / "README.md", GUIDE / "spec.md"], ids=lambda page: page.name)
def test_the_errors_that_are_shown_are_real(page, site, ftrun):
    (shown,) = code(page, "text")
    spec = tiny_spec(optimizer={"name": "sgd", "momentun": 0.9}, train={"epochs": 0})
    assert ftrun(write_spec(spec)).output.strip() == shown.partition("\n")[2].strip()
