"""Entry points, read from the folders that pip writes."""

import sys

import pytest

from ftrun.plugins.entrypoints import EntryPoint, entry_points


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Two folders that are all the path there is."""
    folders = [tmp_path / "first", tmp_path / "second"]
    for each in folders:
        each.mkdir()
    monkeypatch.setattr(sys, "path", [*map(str, folders), str(tmp_path / "not_there")])
    return folders


def put(folder, name, version="1.0", text="[ftrun]\nparts = a_module\n", suffix="dist-info", metadata="METADATA"):
    info = folder / f"{name}-{version}.{suffix}"
    info.mkdir()
    (info / "entry_points.txt").write_text(text)
    (info / metadata).write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: in the text\n")


def test_those_of_other_groups_are_left_alone(path):
    put(path[0], "tool", text="[console_scripts]\ntool = tool:main\n\n[ftrunner]\na = b\n")
    put(
        path[0],
        "parts",
        text="[console_scripts]\nx = y:z\n[ftrun]\n# a comment = x\n\n one=a.b [extra]\n[more]\nc = d\n",
    )
    assert entry_points() == [EntryPoint("parts", "1.0", "one", "a.b")]


def test_the_first_on_the_path_counts(path):
    put(path[1], "parts", "2.0")
    put(path[0], "parts", "1.0", text="[ftrun]\nb = two\na = one\n")
    put(path[1], "others", "3.0", suffix="egg-info", metadata="PKG-INFO")
    assert entry_points() == [
        EntryPoint("others", "3.0", "parts", "a_module"),
        EntryPoint("parts", "1.0", "a", "one"),
        EntryPoint("parts", "1.0", "b", "two"),
    ]


def test_one_that_offers_nothing_any_more_hides_an_older_one(path):
    put(path[0], "parts", "2.0", text="")
    put(path[1], "Parts", "1.0")
    assert entry_points() == []
