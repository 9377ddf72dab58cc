"""A part that the command line names, with its options."""

from typing import Any, Literal

import pytest

import ftrun
from ftrun.commands import Catalogue, named_part
from ftrun.plugins.installed import Plugin


class Folder(ftrun.Hub):
    """A folder."""

    name: Literal["folder"]
    comment: str = ""
    depth: int = 1

    def build(self) -> Any:
        return None


HERE = Plugin("ftrun-folder-hub", "1.0", "hub", "some_module", parts=(Folder,))
BROKEN = Plugin("ftrun-broken", "2.0", "broken", "other_module", error="failed to import")
BROUGHT_BY = {"registry": "ftrun-registry"}


def named(name: str, *assignments: str, plugins: tuple[Plugin, ...] = (HERE,)) -> Folder:
    part = named_part("hub", name, Catalogue(plugins), assignments, option="--to", brought_by=BROUGHT_BY)
    assert isinstance(part, Folder)
    return part


def test_options_are_json_or_text() -> None:
    part = named("folder", "comment=5", "depth=2")
    assert (part.comment, part.depth) == ("5", 2)


@pytest.mark.parametrize(
    ("name", "assignments", "message"),
    [
        ("foldr", (), "--to: no hub named 'foldr'. Did you mean 'folder'? Installed: folder."),
        ("Registry", (), "--to: no hub named 'Registry'. Installed: folder. For registry: pip install ftrun-registry"),
        ("folder", ("dept=2",), "--set dept: no such option. Did you mean 'depth'?"),
        ("folder", ("depth",), "--set depth: give it as KEY=VALUE, such as option=value."),
        ("folder", ("depth=x", "comment=[]"), "--set depth: must be"),
    ],
)
def test_mistakes(name: str, assignments: tuple[str, ...], message: str) -> None:
    with pytest.raises(ftrun.SpecError) as caught:
        named(name, *assignments)
    assert str(caught.value).startswith(message)


def test_a_broken_plugin_might_bring_it() -> None:
    with pytest.raises(ftrun.PluginError, match=r"Installed: folder\.\nThese plugins are .*:\n  ftrun-broken 2.0"):
        named("elsewhere", plugins=(HERE, BROKEN))
    with pytest.raises(ftrun.SpecError, match="Did you mean 'folder'"):  # a slip of the pen
        named("foldr", plugins=(HERE, BROKEN))


def test_two_plugins_of_one_name_clash() -> None:
    other = Plugin("ftrun-other", "1.0", "hub", "another_module", parts=(Folder,))
    with pytest.raises(ftrun.PluginError, match="hub 'folder' comes from both"):
        named("folder", plugins=(HERE, other))
