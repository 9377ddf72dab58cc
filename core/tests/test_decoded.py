"""Samples that are decoded once: what comes out is what went in, for as long as the files are the same."""

import json
from contextlib import contextmanager
from typing import Literal

import pytest
import torch

from ftrun import Classes, DataError, Dataset, Splits, Subset, TensorSplit
from ftrun.contracts.errors import Interrupted
from ftrun.data import cachefolder
from ftrun.data.decoded import Decoder
from ftrun.data.mapped import MappedSplit
from ftrun.data.splits import complete
from ftrun.runs.identity import fingerprints
from ftrun_inputs import ImageInput

INPUT = ImageInput(size=(4, 6))


class FilesDataset(Dataset):
    name: Literal["files"]
    options: str = ""

    def build(self) -> Splits:
        raise NotImplementedError


class Files:
    """Images in all sizes that count how often they are read."""

    def __init__(self, count: int = 150, fingerprint: str | None = "a", torn: tuple[int, ...] = ()) -> None:
        self.columns = {"label": torch.arange(count) % 3}
        self.torn = torn
        self.reads = 0
        if fingerprint:
            self.fingerprint = fingerprint

    in_memory = True  # so that reads are counted in this process

    def __len__(self) -> int:
        return len(self.columns["label"])

    def __getitem__(self, index: int):
        self.reads += 1
        if index in self.torn:
            raise DataError(f"{index}.png is torn.")
        generator = torch.Generator().manual_seed(index)
        image = torch.randint(0, 256, (3, 4 + index % 5, 7), generator=generator, dtype=torch.uint8)
        return image, {"label": self.columns["label"][index]}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FTRUN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def entries(folder):
    return list(folder.glob("?" * 32))


def tensors(folder):
    """Whatever holds samples, or is to hold them."""
    return [path for path in folder.iterdir() if path.name != "digests"]


def through(split, prepare=INPUT, skip=False):
    splits = Splits(train=split, targets={"label": Classes(names=("a", "b", "c"))})
    lines: list[str] = []
    return decoder(prepare, skip, lines.append).splits(splits).train, lines


def decoder(prepare=INPUT, skip=False, say=print, options="") -> Decoder:
    return Decoder(prepare, dataset=FilesDataset(name="files", options=options), workers=0, skip=skip, say=say)


def test_what_comes_out_is_what_the_input_makes_of_it():
    files = Files()
    split, lines = through(files)
    assert isinstance(split, MappedSplit)
    inputs, targets = split.__getitems__([5, 149, 0])
    assert torch.equal(inputs, INPUT.collate([files[index][0] for index in (5, 149, 0)]))
    assert targets["label"].tolist() == [2, 2, 0]
    assert torch.equal(split[7][0], INPUT.collate([files[7][0]])[0])
    assert lines[0].startswith("files, train: decoding 150 samples, once, into ")


def test_files_are_decoded_once_until_they_or_the_input_change():
    through(Files())
    again = Files()
    through(again)
    through(again, INPUT.changed(mean=(0.5, 0.5, 0.5)))  # comes after decoding
    assert again.reads == 2 * 8  # to see that they come out as they are kept
    through(again, INPUT.changed(size=(5, 5)))
    assert again.reads == 2 * 8 + 150
    changed = Files(fingerprint="b")
    through(changed)
    assert changed.reads == 150


def test_a_split_without_a_fingerprint_stays_as_it_is(folder):
    files = Files(fingerprint=None)
    assert through(files) == (files, [])
    assert not folder.exists()


def test_train_and_a_val_that_is_cut_from_it_share_one():
    files = Files()
    parts = Subset(files, torch.arange(0, 100)), Subset(files, torch.arange(100, 150))
    splits = Splits(*parts[:1], val=parts[1], targets={"label": Classes(names=("a", "b", "c"))})
    ready = decoder().splits(splits)
    assert files.reads == 150
    assert ready.train.split is ready.val.split
    assert ready.val.collated
    assert torch.equal(ready.val[3][0], INPUT.collate([files[103][0]])[0])


def test_a_sample_that_cannot_be_read_is_an_error_at_once_or_when_it_is_wanted(folder):
    with pytest.raises(DataError, match=r"^70\.png is torn\.$"):
        through(Files(torn=(70,)))
    assert entries(folder) == []
    for _ in range(2):  # decoded, and from the cache
        files = Files(torn=(70, 71))
        split, _ = through(files, skip=True)
        with pytest.raises(DataError, match=r"^71\.png is torn\.$"):
            split.__getitems__([69, 71])
        assert torch.equal(split[69][0], INPUT.collate([files[69][0]])[0])


@pytest.mark.parametrize("damage", ["about", "data", "garbage"])
def test_an_entry_that_is_not_whole_is_made_anew(folder, damage):
    through(Files())
    (entry,) = entries(folder)
    if damage == "data":
        with (entry / "data").open("ab") as file:
            file.truncate(100)
    elif damage == "about":
        (entry / "ftrun-cache.json").unlink()
    else:
        (entry / "ftrun-cache.json").write_text("[")
    files = Files()
    split, _ = through(files)
    assert torch.equal(split[3][0], INPUT.collate([files[3][0]])[0])


def test_what_was_used_longest_ago_makes_room(folder, monkeypatch):
    import os

    for index, fingerprint in enumerate("abc"):
        through(Files(fingerprint=fingerprint))
        os.utime(max(folder.glob("*/ftrun-cache.json"), key=os.path.getctime), (index, index))
    size = sum(entry.bytes for entry in cachefolder.entries())
    monkeypatch.setenv("FTRUN_CACHE_GB", str(size / 1e9))
    through(Files(fingerprint="d"))
    assert [entry.used for entry in cachefolder.entries()][:2] == [1, 2]
    assert len(cachefolder.entries()) == 3


def test_without_room_samples_are_decoded_each_time(monkeypatch):
    monkeypatch.setenv("FTRUN_CACHE_GB", "0.000001")
    split, (line,) = through(Files())
    assert isinstance(split, Files)
    assert "no room in the cache for 150 samples" in line
    monkeypatch.setenv("FTRUN_CACHE_GB", "0")
    assert through(Files())[1] == []


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(folder):
    folder.write_text("in the way")
    split, lines = through(Files())
    assert isinstance(split, Files)
    assert "decoded anew in each epoch" in lines[-1]


def test_the_entry_says_what_it_is(folder):
    through(Files())
    (entry,) = entries(folder)
    assert json.loads((entry / "ftrun-cache.json").read_text()) == {
        "name": "files, train",
        "samples": 150,
        "shape": [3, 4, 6],
        "dtype": "torch.uint8",
        "unread": [],
    }


def test_what_a_killed_process_left_is_removed_once_it_is_old(folder):
    import os

    old, young = folder / "a.1.new", folder / "b.2.new"
    theirs = folder / "c.new"
    for each in (old, young, theirs):
        each.mkdir(parents=True)
        (each / "data").write_text("half")
        if each != theirs:
            (each / cachefolder.MARKER).write_text("{}")
    os.utime(old / cachefolder.MARKER, (0, 0))
    through(Files())
    assert (old.exists(), young.exists(), theirs.exists()) == (False, True, True)


def test_an_error_is_never_kept():
    """What cannot be read for a moment (a share that is away, too many open files) is there once it can be."""
    files = Files(torn=(5, 70))
    split, _ = through(files, skip=True)
    for _ in range(2):  # as it was decoded, and from the cache
        files.torn = (70,)
        assert torch.equal(split[5][0], INPUT.collate([files[5][0]])[0])
        with pytest.raises(DataError):
            split[70]
        files.torn = (5, 70)
        split, lines = through(files, skip=True)
        assert lines == []


def test_what_does_not_come_out_as_it_is_kept_is_decoded_anew(folder):
    through(Files())
    (entry,) = entries(folder)
    (entry / "data").write_bytes(bytes(150 * 3 * 4 * 6))
    files = Files()
    split, lines = through(files)
    assert lines[0] == "files, train: what the cache holds is not what is decoded now, so it is decoded anew"
    assert torch.equal(split[3][0], INPUT.collate([files[3][0]])[0])
    assert through(files)[1] == []


def test_options_of_the_dataset_are_a_part_of_the_key():
    splits = Splits(train=Files(), targets={"label": Classes(names=("a", "b", "c"))})
    decoder(options="a").splits(splits)
    other = decoder(options="b").splits(splits)
    assert isinstance(other.train, MappedSplit)
    assert splits.train.reads == 2 * 150


def test_without_workers_it_is_this_process_that_decodes():
    files = Files()
    files.in_memory = False
    through(files)
    assert files.reads == 150


class Asked(Files):
    """One that counts how often it is asked for its fingerprint, which takes real ones long."""

    asked = 0

    def __getattribute__(self, name):
        if name == "fingerprint":
            self.asked += 1
        return super().__getattribute__(name)


def test_files_are_asked_once_a_run_what_they_are_and_again_once_they_are_decoded(folder):
    for times in (2, 1):  # the second time they are in the cache
        files = Asked()
        cut = complete(Splits(train=files, targets={"label": Classes(names=("a", "b", "c"))}), val_fraction=0.2, seed=0)
        splits = decoder(say=lambda line: None).splits(cut)
        fingerprints(cut)
        fingerprints(splits)
        assert files.asked == times


def test_data_in_memory_is_asked_anew_in_another_run():
    split = TensorSplit(torch.zeros(10, 3, 4, 4, dtype=torch.uint8), {"label": torch.arange(10) % 2})
    data, found = Splits(train=split, targets={"label": Classes(names=("a", "b"))}), []
    for _ in range(2):
        found.append(fingerprints(complete(data, val_fraction=0.2, seed=0)))
        split.inputs += 1
    assert found[0]["val"]["inputs"] != found[1]["val"]["inputs"]


class Changing(Files):
    """One whose files are written to while they are read."""

    @property
    def fingerprint(self):
        return f"as of {self.reads}"

    @fingerprint.setter
    def fingerprint(self, value):
        pass


def test_files_that_change_meanwhile_are_not_kept(folder):
    files = Changing()
    split, lines = through(files)
    assert split is files
    assert "files have changed while they were decoded" in lines[-1]
    assert entries(folder) == []


class After:
    """Interrupts once so many samples are decoded, and counts what a progress bar is shown."""

    def __init__(self, samples: int) -> None:
        self.samples = samples
        self.shown: list[int] = []
        self.titles: list[tuple[str, int]] = []

    @contextmanager
    def progress(self, title, samples):
        self.titles.append((title, samples))
        yield self

    def advance(self, samples):
        self.shown.append(samples)

    def check(self):
        if sum(self.shown) >= self.samples:
            raise Interrupted(2)

    def through(self, split, skip=False):
        splits = Splits(train=split, targets={"label": Classes(names=("a", "b", "c"))})
        part = FilesDataset(name="files")
        decoder = Decoder(
            INPUT, dataset=part, workers=0, skip=skip, say=print, progress=self.progress, check=self.check
        )
        return decoder.splits(splits).train


def test_decoding_that_is_interrupted_is_taken_up(folder):
    files = Files(torn=(3, 66, 140))
    first = After(100)
    with pytest.raises(Interrupted):
        first.through(files, skip=True)
    assert first.shown == [63, 63]  # portions of 64
    second = After(1000)
    split = second.through(files, skip=True)
    assert second.titles == [("decoding", 150 - 128)]
    assert second.shown == [21]
    assert split.unreadable == {3, 66, 140}
    readable = [index for index in range(150) if index not in split.unreadable]
    assert torch.equal(split.__getitems__(readable)[0], INPUT.collate([files[index][0] for index in readable]))
    assert [path.name for path in tensors(folder)] == [split.fingerprint]


def test_what_does_not_come_out_as_it_was_left_is_decoded_anew(folder):
    with pytest.raises(Interrupted):
        After(100).through(Files())
    (part,) = tensors(folder)
    (part / "data").write_bytes(bytes(150 * 3 * 4 * 6))
    files, second = Files(), After(1000)
    split = second.through(files)
    assert second.titles == [("decoding", 150)]
    assert torch.equal(split[5][0], INPUT.collate([files[5][0]])[0])


def test_nothing_is_taken_up_of_files_that_changed_before_the_interrupt(folder):
    with pytest.raises(Interrupted):
        After(100).through(Changing())
    assert tensors(folder) == []
