import re
from pathlib import Path

import pytest

import ftrun
import ftrun.commands
import ftrun.devtools


def test_all_is_complete_sorted_and_importable():
    assert ftrun.__all__ == sorted(ftrun.__all__)
    for name in ftrun.__all__:
        assert getattr(ftrun, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(ftrun, "Nte")


@pytest.mark.parametrize("module", [ftrun.commands, ftrun.devtools], ids=lambda module: module.__name__)
def test_names_for_plugins_about_runs_and_plugins_are_importable(module):
    for name in module.__all__:
        assert getattr(module, name) is not None
    assert not hasattr(module, "Nte")


def test_plugins_use_public_names_alone():
    """What is not of `ftrun` itself is of `ftrun.commands` or, for the test kit, `ftrun.devtools`."""
    plugins = Path(__file__).parents[2] / "plugins"
    others = {
        f"{path.relative_to(plugins)}: {module}"
        for path in plugins.glob("*/src/**/*.py")
        for module in re.findall(r"^ *(?:from|import) (ftrun\.[\w.]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        if module != "ftrun.commands"
        and (module != "ftrun.devtools" or not path.is_relative_to(plugins / "ftrun-devkit"))
    }
    assert not others
