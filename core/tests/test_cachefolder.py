"""The cache's folder may hold what is not ours: only what has our marker is listed and removed."""

import os
import shutil
from pathlib import Path

import pytest

from ftrun.data import cachefolder


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FTRUN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def entry(name: str, size: int, used: float) -> Path:
    path = cachefolder.new_folder(name, {"name": name, "samples": 1}).rename(cachefolder.folder() / name)
    (path / cachefolder.DATA).write_bytes(b"x" * size)
    os.utime(path / cachefolder.MARKER, (used, used))
    return path


def theirs(folder: Path) -> dict[str, str]:
    """What other people have put there, under names like ours too."""
    content = {"thesis/data": "1", "speed/data": "2", "a" * 32 + "/data": "3", "b.new/data": "4", "notes.txt": "5"}
    for name, text in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return content


def present(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_clear_and_make_room_leave_alone_what_is_not_ours(folder, monkeypatch):
    content = theirs(folder)
    entry("ours", 100, 1)
    cachefolder.shelf("digests")
    half = cachefolder.new_folder("half", {})
    os.utime(half / cachefolder.MARKER, (0, 0))
    with pytest.raises(OSError, match="not ftrun's"):
        cachefolder.shelf("speed")
    monkeypatch.setenv("FTRUN_CACHE_GB", str(150 / 1e9))
    assert cachefolder.make_room(100)
    assert [path.name for path in folder.iterdir() if (path / cachefolder.MARKER).is_file()] == ["digests"]
    cachefolder.clear()
    assert present(folder) == content


def test_a_file_of_somebody_in_a_folder_of_ours_stays(folder):
    path = entry("ours", 100, 1)
    (path / "notes.txt").write_text("mine")
    cachefolder.clear()
    assert present(folder) == {"ours/notes.txt": "mine"}


def test_a_link_to_a_folder_is_not_followed(folder, tmp_path):
    path = entry("ours", 100, 1)
    path.rename(tmp_path / "elsewhere")
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    cachefolder.clear()
    assert (tmp_path / "elsewhere" / cachefolder.DATA).exists()


def test_what_is_larger_than_the_limit_or_the_disk_removes_nothing(folder, monkeypatch):
    for number in range(3):
        entry(str(number), 1000, number)
    monkeypatch.setenv("FTRUN_CACHE_GB", "0.000005")
    assert not cachefolder.make_room(5001)
    assert len(cachefolder.entries()) == 3
    monkeypatch.delenv("FTRUN_CACHE_GB")
    monkeypatch.setenv("FTRUN_CACHE_GB", "1e9")
    assert not cachefolder.make_room(shutil.disk_usage(folder).total * 2)
    assert len(cachefolder.entries()) == 3


def test_the_longest_unused_goes_first_and_no_more_than_needed(monkeypatch):
    for number in range(3):
        entry(str(number), 1000, number)
    monkeypatch.setenv("FTRUN_CACHE_GB", str((sum(each.bytes for each in cachefolder.entries()) + 10) / 1e9))
    assert cachefolder.make_room(500)
    assert [each.path.name for each in cachefolder.entries()] == ["1", "2"]
