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


def test_modalities_are_known_to_their_own_modules_alone():
    """A new modality is a class in `contracts/inputs/`, not a change of the run, the export or the card."""
    core = Path(ftrun.__file__).parent
    naming = {
        path.relative_to(core).as_posix()
        for path in core.rglob("*.py")
        if re.search(r"\b(ImageInput|TextInput)\b", path.read_text(encoding="utf-8"))
    }
    own = {each for each in naming if each.startswith(("contracts/inputs/",))}
    assert "contracts/inputs/image.py" in own
    # What a backbone takes that does not say.
    assert naming - own == {"contracts/specs.py", "spec/model.py"}


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
