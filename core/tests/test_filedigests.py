"""Fingerprints of files: of what is in them, whatever their times and places say; a file is read once."""

import os
import time

import pytest

from ftrun import files_fingerprint
from ftrun.data import cachefolder, filedigests


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FTRUN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data" / "cat").mkdir(parents=True)
    for name in ("cat/a", "cat/b", "c"):
        (tmp_path / "data" / name).write_text(f"content of {name}")
    return tmp_path / "data"


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def fingerprint(folder):
    return files_fingerprint(files(folder), folder)


@pytest.fixture
def settled(monkeypatch):
    """The files have lain there for long."""
    monkeypatch.setattr(filedigests, "_SETTLED", -1.0)


@pytest.fixture
def reads(monkeypatch):
    """The files that are read."""
    read, paths = filedigests._read, []
    monkeypatch.setattr(filedigests, "_read", lambda path: paths.append(os.path.basename(path)) or read(path))
    return paths


def test_a_copy_elsewhere_has_the_same(folder, tmp_path):
    before = fingerprint(folder)
    folder.rename(tmp_path / "moved")
    assert fingerprint(tmp_path / "moved") == before
    assert files_fingerprint(map(str, files(tmp_path / "moved")), str(tmp_path / "moved")) == before


@pytest.mark.parametrize("change", ["content", "name", "order", "exchanged", "gone"])
def test_another_content_name_or_order_is_another_one(folder, change, settled):
    before, paths = fingerprint(folder), files(folder)
    one, other = folder / "cat" / "a", folder / "cat" / "b"
    status = os.stat(one)
    if change == "content":  # of the same size, and at the same time as far as anyone can set it
        one.write_text(one.read_text().upper())
        os.utime(one, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "name":
        one.rename(folder / "cat" / "z")
        paths[paths.index(one)] = folder / "cat" / "z"
    elif change == "order":
        paths.reverse()
    elif change == "exchanged":
        one.rename(folder / "x")
        other.rename(one)
        (folder / "x").rename(other)
    else:
        one.unlink()
        paths.remove(one)
    assert files_fingerprint(paths, folder) != before


def test_names_that_do_not_matter(folder):
    before = files_fingerprint([folder / "c"], None)
    (folder / "c").rename(folder / "d")
    assert files_fingerprint([folder / "d"], None) == before


def test_where_a_file_cannot_be_read_nothing_is_known(folder):
    assert files_fingerprint([folder / "c", folder / "none"], folder) is None
    assert files_fingerprint(["nul\0"], folder) is None


def test_a_file_is_read_once_until_it_changes(folder, settled, reads):
    before = fingerprint(folder)
    assert sorted(reads) == ["a", "b", "c"]
    assert fingerprint(folder) == before
    assert len(reads) == 3
    (folder / "cat" / "b").write_text("other")
    assert fingerprint(folder) != before
    assert reads[3:] == ["b"]


def test_what_has_just_changed_is_read_again(folder, reads):
    fingerprint(folder)
    fingerprint(folder)
    assert sorted(reads) == ["a", "a", "b", "b", "c", "c"]


@pytest.mark.parametrize("damage", [b"", b"x", b"\0" * 200])
def test_a_damaged_memory_is_none(folder, settled, reads, damage):
    before = fingerprint(folder)
    for path in (cachefolder.folder() / "digests").glob("?" * 32):
        path.write_bytes(damage)
    assert fingerprint(folder) == before
    assert len(reads) == 6


def test_without_a_cache_or_a_place_for_it_files_are_read_each_time(folder, settled, reads, monkeypatch):
    before = fingerprint(folder)
    monkeypatch.setenv("FTRUN_CACHE_GB", "0")
    assert fingerprint(folder) == before
    monkeypatch.delenv("FTRUN_CACHE_GB")
    monkeypatch.setenv("FTRUN_CACHE", str(folder / "c"))
    assert fingerprint(folder) == before
    assert len(reads) == 9


def test_a_file_that_is_written_to_while_it_is_read_is_not_remembered(folder, settled, reads, monkeypatch):
    real = os.fstat

    def written_to(descriptor):
        status = real(descriptor)
        time.sleep(0.02)  # a file system's clock has ticked
        with open(folder / "c", "a") as other:
            other.write("!")
        return status

    monkeypatch.setattr(os, "fstat", written_to)
    files_fingerprint([folder / "c"], folder)
    monkeypatch.setattr(os, "fstat", real)
    files_fingerprint([folder / "c"], folder)
    assert reads == ["c", "c"]


def test_what_is_remembered_does_not_grow_for_ever(folder, settled, monkeypatch):
    monkeypatch.setattr(filedigests, "_UNUSED", 4)
    for version in range(20):
        (folder / "c").write_text(f"version {version}")
        files_fingerprint([folder / "c"], folder)
    (memory,) = (cachefolder.folder() / "digests").glob("?" * 32)
    assert memory.stat().st_size <= 7 * filedigests._RECORD
