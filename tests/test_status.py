"""What a run folder says of its run is true, also of one that cannot say anything any more."""

import json
import os
import platform
import shutil
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import warm
from support import install, tiny_spec, write_spec

from ftrun.runs.folder import RunFolder
from ftrun.runs.lock import is_locked

SLOW = """
import os
import time
from pathlib import Path
from typing import Literal

import ftrun
from ftrun_tiny import TinyDataset


class Slow(ftrun.Dataset):
    name: Literal["slow"]

    def build(self):
        splits = TinyDataset(name="tiny", samples=40, val=True).build()
        for split in (splits.train, splits.val, splits.test):
            split.__class__ = Held
        return splits


class Held(ftrun.TensorSplit):
    in_memory = False

    def __getitems__(self, indices):
        # The first sample is looked at before there is a run folder.
        while Path("run/status.json").exists() and Path("hold").exists():
            Path("held").write_text(str(os.getpid()))
            time.sleep(0.01)
        return super().__getitems__(indices)


@ftrun.hookimpl
def ftrun_datasets():
    return [Slow]
"""


def until(condition: Callable[[], Any], process: warm.Process) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"{process.poll()}: {process.communicate()}")
        time.sleep(0.02)


@pytest.fixture
def live(site):
    """Start a run that goes no further than its first batch while there is a file `hold`; give its process."""
    install(site, "ftrun-slow", SLOW)
    started = []

    def start(workers: int = 0) -> warm.Process:
        Path("hold").touch()
        write_spec(tiny_spec(dataset="slow", train={"epochs": 2, "batch_size": 8, "workers": workers}))
        started.append(warm.Process("spec.json", "--out", "run"))
        until(lambda: Path("held").exists() and Path("held").read_text(), started[-1])
        return started[-1]

    yield start
    Path("hold").unlink(missing_ok=True)  # workers that outlived their run end
    for process in started:
        process.kill()
        process.communicate()


def told() -> dict[str, Any]:
    """What status.json says by itself."""
    return json.loads(Path("run/status.json").read_text())


def test_a_live_run_reads_as_running_and_says_who_it_is(live):
    before = datetime.now(UTC).replace(microsecond=0)
    process = live()
    status = RunFolder(Path("run")).read_status()
    assert status == told()
    assert status | {"state": "running", "epoch": 0, "step": 0, "reason": ""} == status
    assert (status["pid"], status["host"]) == (process.pid, platform.node())
    assert before <= datetime.fromisoformat(status["started"]) <= datetime.now(UTC)


def test_a_killed_run_reads_as_interrupted_though_its_file_says_running(live):
    process = live()
    process.kill()
    process.wait()
    assert told()["state"] == "running"
    status = RunFolder(Path("run")).read_status()
    assert status["state"] == "interrupted"
    assert status["reason"] == "its process ended without a word: it was killed, or the machine went down"
    assert (status["pid"], status["step"]) == (process.pid, 0)


def test_a_run_that_is_at_work_cannot_be_resumed(live, ftrun):
    process = live()
    before = {each: each.read_bytes() for each in Path("run").rglob("*") if each.is_file()}
    os.kill(process.pid, signal.SIGSTOP)
    Path("hold").unlink()  # it would hold this process too
    try:
        result = ftrun("resume", "run")
    finally:
        os.kill(process.pid, signal.SIGCONT)
    assert result.exit_code == 1
    assert f"Error: run: process {process.pid} on {platform.node()} is at work in this run folder." in result.output
    assert all(each.read_bytes() == data for each, data in before.items()), "the other one has changed nothing"
    assert process.wait(120) == 0
    assert RunFolder(Path("run")).read_status()["state"] == "finished"


def test_the_run_folder_is_free_at_once_after_a_kill_though_workers_live_on(live, ftrun):
    process = live(workers=2)
    worker = int(Path("held").read_text())
    assert worker != process.pid
    assert is_locked(Path("run/.lock"))
    process.kill()
    process.wait()
    os.kill(worker, 0)  # it is held, and has not seen yet that its parent is gone
    assert not is_locked(Path("run/.lock"))
    assert RunFolder(Path("run")).read_status()["state"] == "interrupted"
    Path("hold").unlink()
    assert ftrun("resume", "run").exit_code == 0
    assert told()["state"] == "finished"
    assert told()["pid"] == os.getpid()


def test_a_run_folder_can_be_moved_and_copied(live, ftrun):
    process = live()
    process.kill()
    process.wait()
    Path("hold").unlink()
    shutil.copytree("run", "copy")
    Path("run").rename("moved")
    for name in ("moved", "copy"):
        assert RunFolder(Path(name)).read_status()["state"] == "interrupted"
        assert ftrun("resume", name).exit_code == 0
    results = [json.loads((Path(name) / "results.json").read_text()) for name in ("moved", "copy")]
    assert results[0]["test"] == results[1]["test"]
