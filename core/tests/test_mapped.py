"""Entries of the cache: several writers, a file that is cut short, and a state of an entry that is not wanted."""

import os
import threading

import pytest
import torch

from ftrun.contracts.errors import Interrupted
from ftrun.data import cachefolder
from ftrun.data.mapped import Entry


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FTRUN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def entry() -> Entry:
    return Entry(["what it depends on"], "a name", (6, 3), torch.float32)


def filled(value: float, unread: tuple[int, ...] = (), during=lambda: None):
    def fill(content, done):
        content.inputs[done.samples :] = value
        done.samples, done.unread = 6, [*done.unread, *unread]
        during()

    return fill


def folders(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_was_written_is_read_with_what_could_not_be(folder):
    written = entry().write(filled(2, (4, 1)))
    for content in (written, entry().read()):
        assert torch.equal(content.inputs, torch.full((6, 3), 2.0))
        assert content.unread == [1, 4]
    assert folders(folder) == [entry().key]


def test_of_two_writers_both_have_their_own_and_one_entry_stays(folder):
    second = []
    first = entry().write(filled(1, during=lambda: second.append(entry().write(filled(2)))))
    assert first.inputs.unique() == 1
    assert second[0].inputs.unique() == 2
    assert entry().read().inputs.unique() == 2  # it was there first, and is as good
    assert folders(folder) == [entry().key]


def test_many_writers_at_once_leave_one_whole_entry(folder):
    errors = []

    def write(value):
        try:
            for _ in range(10):
                content = entry().write(filled(value), replace=value % 2 == 0)
                assert content.inputs.unique() == value
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(value,)) for value in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(entry().read().inputs.unique()) == 1
    assert folders(folder) == [entry().key]


def test_an_entry_that_is_removed_while_another_is_written_or_read_does_no_harm():
    content = entry().write(filled(1, during=cachefolder.clear))
    assert content.inputs.unique() == 1
    kept = entry().write(filled(3))
    cachefolder.clear()
    assert kept.inputs.unique() == 3
    assert entry().read() is None


@pytest.mark.parametrize("size", [0, 1, 71, 73])
def test_a_file_of_another_size_is_not_mapped(size):
    entry().write(filled(1))
    os.truncate(entry().path / cachefolder.DATA, size)
    assert entry().read() is None
    assert entry().write(filled(2)).inputs.unique() == 2
    assert entry().read().inputs.unique() == 2


def test_one_that_is_whole_goes_only_where_it_is_to():
    entry().write(filled(1))
    entry().write(filled(2))
    assert entry().read().inputs.unique() == 1
    entry().write(filled(3), replace=True)
    assert entry().read().inputs.unique() == 3


def test_an_error_while_it_is_filled_leaves_nothing(folder):
    with pytest.raises(ZeroDivisionError):
        entry().write(filled(1, during=lambda: 1 // 0))
    assert folders(folder) == []


def interrupted(samples, unread=()):
    def fill(content, done):
        content.inputs[:samples] = 7
        done.samples, done.unread = samples, list(unread)
        raise Interrupted(2)

    return fill


def test_what_an_interrupt_leaves_is_where_the_next_one_begins(folder):
    with pytest.raises(Interrupted):
        entry().write(interrupted(4, unread=(3,)))
    assert entry().read() is None
    assert [each.about["name"] for each in cachefolder.entries()] == ["a name, the first 4"]
    content = entry().write(filled(1, unread=(5,)))
    assert content.inputs[:, 0].tolist() == [7, 7, 7, 7, 1, 1]
    assert content.unread == [3, 5]
    assert folders(folder) == [entry().key]


def test_an_interrupt_before_anything_is_done_leaves_nothing(folder):
    with pytest.raises(Interrupted):
        entry().write(interrupted(0))
    assert folders(folder) == []


@pytest.mark.parametrize("damage", ["size", "done", "marker", "foreign"])
def test_what_is_left_and_damaged_is_not_taken(damage, folder):
    with pytest.raises(Interrupted):
        entry().write(interrupted(4))
    part = folder / f"{entry().key}.part"
    marker = part / cachefolder.MARKER
    if damage == "size":
        os.truncate(part / cachefolder.DATA, 71)
    elif damage == "marker":
        marker.write_text("{")
    elif damage == "done":
        marker.write_text(marker.read_text().replace('"done": 4', '"done": 40'))
    else:
        marker.unlink()
    assert entry().write(filled(1)).inputs.unique() == 1


def test_of_two_that_begin_anew_one_takes_what_is_left():
    with pytest.raises(Interrupted):
        entry().write(interrupted(4))
    second = []
    first = entry().write(filled(1, during=lambda: second.append(entry().write(filled(2)))))
    assert first.inputs[:, 0].tolist() == [7, 7, 7, 7, 1, 1]
    assert second[0].inputs.unique() == 2


def test_a_folder_of_somebody_in_its_place_stays(folder):
    entry().path.mkdir(parents=True)
    (entry().path / "thesis").write_text("mine")
    assert entry().write(filled(1)).inputs.unique() == 1
    assert entry().read() is None
    assert (entry().path / "thesis").read_text() == "mine"
    assert folders(folder) == [entry().key]
