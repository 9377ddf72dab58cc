"""A signal between steps, or in the middle of val, loses no step."""

import json
import os
import signal
from contextlib import contextmanager
from pathlib import Path
from random import Random
from time import perf_counter

import pytest
import torch
from PIL import Image
from support import tiny_spec

from ftrun.contracts.errors import FtrunError, Interrupted
from ftrun.plugins.catalogue import installed
from ftrun.runs.console import Console
from ftrun.runs.folder import RunFolder
from ftrun.runs.progress import Progress
from ftrun.spec.check import check_spec
from ftrun.train.assemble import assemble
from ftrun.train.begin import Request, resume, run
from ftrun.train.loop import fit
from ftrun.train.signals import Signals


class Interrupting(Console):
    """Sends this process a real signal when the named part of an epoch begins."""

    def __init__(self, part: str) -> None:
        super().__init__(perf_counter())
        self.part = part

    @contextmanager
    def progress(self, what, samples):
        if what.strip() == self.part:
            os.kill(os.getpid(), signal.SIGINT)
        with super().progress(what, samples) as bar:
            yield bar


class Saved:
    def __init__(self) -> None:
        self.steps: list[int] = []

    def due(self) -> bool:
        return False

    def last(self, progress: Progress) -> None:
        self.steps.append(progress.step)


@pytest.mark.parametrize(("part", "step"), [("epoch 1/3", 1), ("val", 4), ("epoch 2/3", 5)])
def test_every_step_that_was_done_is_saved(site, part, step):
    spec = check_spec(tiny_spec(train={"epochs": 3, "batch_size": 16}), installed())
    job, saved = assemble(spec, torch.device("cpu")), Saved()
    with Signals() as signals, pytest.raises(Interrupted):
        list(fit(job, Progress(), saved, Interrupting(part), signals))
    assert saved.steps == [step]


def test_a_second_signal_ends_it_at_once():
    def twice() -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)

    with Signals(), pytest.raises(SystemExit) as ended:
        twice()
    assert ended.value.code == 143


def test_signals_are_ours_only_while_it_lasts():
    before = signal.getsignal(signal.SIGINT)
    with Signals():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


class Stopping(Signals):
    """Stops the run when it is asked for the first time."""

    def check(self) -> None:
        raise Interrupted(signal.SIGINT)


@pytest.fixture
def pictures(site):
    random = Random(0)
    for number in range(100):
        folder = Path("pictures", "ab"[number % 2])
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9), tuple(random.randrange(256) for _ in range(3))).save(folder / f"{number}.png")
    changes = {"dataset": {"name": "image-folder", "path": "pictures"}, "train": {"epochs": 2, "batch_size": 16}}
    return tiny_spec(**changes, input={"size": 8})


def begun(spec, folder, signals=None):
    catalogue = installed()
    request = Request(check_spec(spec, catalogue), "spec", json.dumps(spec), (), catalogue, Path(folder), None)
    return run(request, signals)


def test_a_run_that_is_interrupted_while_it_decodes_goes_on(pictures, monkeypatch):
    monkeypatch.setenv("FTRUN_CACHE", "cache-1")
    begun(pictures, "straight")
    monkeypatch.setenv("FTRUN_CACHE", "cache-2")
    with pytest.raises(Interrupted):
        begun(pictures, "run", Stopping())
    folder = RunFolder.existing(Path("run"))
    assert folder.read_status()["state"] == "interrupted"
    assert folder.read_json("resolved.json")["spec"]["dataset"]["path"] == "pictures"
    log = Path("run/log.txt").read_text()
    assert "decoding 80 samples" in log
    assert "nothing is saved yet; ftrun resume run begins anew" in log
    resume(folder, installed(), None, None)
    log = Path("run/log.txt").read_text()
    assert "decoding 80 samples, once, into cache-2, the last 16 of them now" in log
    assert folder.read_status()["state"] == "finished"
    one, other = (json.loads(Path(name, "resolved.json").read_text()) for name in ("straight", "run"))
    assert one == other
    one, other = (Path(name, "checkpoints", "last", "manifest.json").read_bytes() for name in ("straight", "run"))
    assert json.loads(one)["sha256"]["model.safetensors"] == json.loads(other)["sha256"]["model.safetensors"]


def test_what_is_recorded_is_of_the_data_that_it_goes_on_with(pictures):
    with pytest.raises(Interrupted):
        begun(pictures, "run", Stopping())
    before = json.loads(Path("run/resolved.json").read_text())
    for number in (0, 2):
        Path(f"pictures/a/{number}.png").rename(f"pictures/b/{number}.png")
    resume(RunFolder.existing(Path("run")), installed(), None, None)
    begun(pictures, "straight")
    one, other = (json.loads(Path(name, "resolved.json").read_text()) for name in ("straight", "run"))
    assert one["class_counts"] != before["class_counts"]
    assert one == other


def test_what_is_wrong_with_the_spec_makes_no_folder(pictures):
    for changes in ({"metrics": ["mae"]}, {"dataset": {"name": "image-folder", "path": "elsewhere"}}):
        with pytest.raises(FtrunError):
            begun({**pictures, **changes}, "run")
        assert not Path("run").exists()
