"""Checkpoints that a thread writes while training goes on, as on a GPU."""

import json
import re
from pathlib import Path
from threading import current_thread, main_thread
from time import sleep
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from support import Asking, install, tiny_spec, write_spec

from ftrun.contracts.errors import FtrunError
from ftrun.plugins.catalogue import installed
from ftrun.runs import checkpoint
from ftrun.spec.check import check_spec
from ftrun.train import begin, saver

SPEC = {
    "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
    "train": {"epochs": 3, "batch_size": 16, "average": "ema"},
}

LOOKING = """
import json
from typing import Literal
import ftrun

class Look:
    @ftrun.hookimpl
    def ftrun_after_epoch(self, run, epoch):
        saved = json.loads((run.folder / "checkpoints/last/net.json").read_text())
        with (run.folder / "seen.txt").open("a") as file:
            file.write(f"{epoch.epoch} {saved['epoch']}\\n")

class Looking(ftrun.Observer):
    '''Looks at what is saved.'''
    name: Literal["looking"]
    def build(self):
        return Look()

@ftrun.hookimpl
def ftrun_observers():
    return [Looking]
"""


@pytest.fixture
def behind(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every epoch is saved behind, and slowly; gives the folders, in the order in which they were written."""
    saved, real = [], checkpoint.save

    def save(folder: Path, *arguments: Any, **more: Any) -> None:
        sleep(0.2)
        real(folder, *arguments, **more)
        saved.append((folder.name, current_thread() is main_thread()))

    monkeypatch.setattr(saver, "worth_backgrounding", lambda device, saves: True)
    monkeypatch.setattr(checkpoint, "save", save)
    return saved


def kept(run: str) -> Any:
    """All that a run's checkpoints hold but the time that things took."""
    folders = [Path(run, "checkpoints", each) for each in ("best", "last", "previous")]
    tensors = [load_file(file) for folder in folders for file in sorted(folder.glob("*.safetensors"))]
    nets = [json.loads((folder / "net.json").read_text()) for folder in folders]
    progress = [checkpoint.load_state(folder)["progress"] for folder in folders[1:]]
    figures = [{key: each[key] for key in ("epoch", "step", "sums", "best_val", "skipped")} for each in progress]
    return tensors, nets, figures


def test_it_is_what_is_saved_while_training_waits(site, ftrun, behind, monkeypatch):
    assert ftrun("run", write_spec(tiny_spec(**SPEC)), "--out", "behind").exit_code == 0
    assert [each for each in behind if each[0] == "last"] == [("last", False)] * 3
    monkeypatch.setattr(saver, "worth_backgrounding", lambda device, saves: False)
    assert ftrun("run", write_spec(tiny_spec(**SPEC)), "--out", "waiting").exit_code == 0
    assert behind[-1] == ("last", True)
    (some, nets, progress), (others, other_nets, other_progress) = kept("behind"), kept("waiting")
    assert nets == other_nets
    assert progress == other_progress
    for a, b in zip(some, others, strict=True):
        assert a.keys() == b.keys()
        assert all(torch.equal(a[name], b[name]) for name in a)
    status = json.loads(Path("behind/status.json").read_text())
    assert (status["state"], status["epoch"]) == ("finished", 3)


def test_what_cannot_be_written_ends_the_run(site, ftrun, behind, monkeypatch):
    slow = checkpoint.save

    def save(folder: Path, *arguments: Any, **more: Any) -> None:
        if len([each for each in behind if each[0] == "last"]) == 1:
            raise FtrunError(f"{folder}: cannot be written: No space left on device.")
        slow(folder, *arguments, **more)

    monkeypatch.setattr(checkpoint, "save", save)
    result = ftrun("run", write_spec(tiny_spec(**SPEC)), "--out", "run")
    assert result.exit_code == 1
    assert result.output.count("cannot be written") == 1
    assert json.loads(Path("run/status.json").read_text())["state"] == "failed"
    assert checkpoint.load_state(Path("run/checkpoints/last"))["progress"]["epoch"] == 1

    monkeypatch.setattr(checkpoint, "save", slow)
    assert ftrun("resume", "run").exit_code == 0
    assert ftrun("run", write_spec(tiny_spec(**SPEC)), "--out", "whole").exit_code == 0
    (some, *_), (others, *_) = kept("run"), kept("whole")
    assert all(torch.equal(a[name], b[name]) for a, b in zip(some, others, strict=True) for name in a)


def test_who_asks_is_answered_when_it_is_written(site, behind):
    spec = tiny_spec(train={"epochs": 2, "batch_size": 16}, dataset={"name": "tiny", "samples": 48, "val": True})
    last, catalogue, seen = Path("run/checkpoints/last"), installed(), list[int]()

    def look() -> None:
        if last.exists():
            seen.append(json.loads((last / "net.json").read_text())["step"])

    request = begin.Request(check_spec(spec, catalogue), "spec", "{}", (), catalogue, Path("run"), "cpu")
    begin.run(request, Asking(look))
    assert seen == [1, 2, 3, 3, 4, 5, 6, 6]  # the end of an epoch is saved, too
    told = re.findall(r"saved at step (\d+), as SIGUSR1 asks", Path("run/log.txt").read_text())
    assert [int(step) for step in told] == seen


def test_an_observer_finds_the_epoch_saved(site, ftrun, behind):
    install(site, "ftrun-looking", LOOKING)
    assert ftrun("run", write_spec(tiny_spec(**SPEC, observers=["looking"])), "--out", "run").exit_code == 0
    assert Path("run/seen.txt").read_text() == "1 1\n2 2\n3 3\n"
