"""The suite catches what is wrong with a command, and passes one that is right."""

import sys

import pytest

import ftrun
from ftrun.devtools import Plugin
from ftrun_devkit import ContractError, checks_of

RIGHT = '''
import click


@click.command()
@click.option("--top", default=3, help="How many.")
def show(top: int) -> None:
    """List some."""
'''
MUTANTS = {
    "loads": (RIGHT.replace("@click", "# @click"), "mine:show is no click command.", "Mark the function with"),
    "import-light": (
        f"import numpy\n{RIGHT}",
        "ftrun mine --help loads numpy.",
        "Import it inside the function",
    ),
    "docstring": (RIGHT.replace('"""List some."""', "pass"), "ftrun mine --help says nothing of it.", "Say in the"),
    "options-described": (RIGHT.replace(', help="How many."', ""), "these options have no help: --top.", "Write each"),
}


def checks(code, place, monkeypatch, target="mine:show"):
    (place / "mine.py").write_text(code)
    monkeypatch.syspath_prepend(place)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    plugin = Plugin("ftrun-mine", "1.0", "mine", "mine", commands=(ftrun.Command("mine", "List some.", target),))
    return {each.property.name: each for each in checks_of(plugin)}


def test_a_right_one_passes(tmp_path, monkeypatch):
    found = checks(RIGHT, tmp_path, monkeypatch)
    assert set(found) == set(MUTANTS)
    for each in found.values():
        each.run(tmp_path)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_one_is_caught(name, tmp_path, monkeypatch):
    code, found, mend = MUTANTS[name]
    with pytest.raises(ContractError) as caught:
        checks(code, tmp_path, monkeypatch)[name].run(tmp_path)
    message = str(caught.value)
    assert message.startswith(f"ftrun-mine 1.0, command 'mine', {name}: {found}\n  Mend: {mend}")


def test_one_that_cannot_be_imported(tmp_path, monkeypatch):
    found = checks(RIGHT, tmp_path, monkeypatch, target="nowhere_at_all:show")
    with pytest.raises(ContractError, match="nowhere_at_all:show failed to import: ModuleNotFoundError"):
        found["loads"].run(tmp_path)
    with pytest.raises(ContractError, match="in a fresh process `--help` fails: ModuleNotFoundError"):
        found["import-light"].run(tmp_path)
