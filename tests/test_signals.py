"""Signals to real processes: how they end, what they leave, and that nothing is lost."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
import warm
from support import install, tiny_spec, write_spec

from ftrun.contracts.randomness import seed_of

SLOW = """
import time
from pathlib import Path
from typing import Literal

import ftrun
from ftrun_tiny import TinyDataset


class Slow(ftrun.Dataset):
    name: Literal["slow"]

    def build(self):
        hold("build")
        splits = TinyDataset(name="tiny", samples=40, val=True).build()
        for name, split in splits.items():
            split.__class__, split.in_memory = Held, False
            split.name = name
        return splits


class Held(ftrun.TensorSplit):
    def __getitems__(self, indices):
        for index in indices:
            hold(f"{self.name} {index}")
        return super().__getitems__(indices)


def hold(what):
    while told() == what:
        Path("held").touch()
        time.sleep(0.01)


def told():
    try:
        return Path("hold").read_text()
    except FileNotFoundError:
        return None


@ftrun.hookimpl
def ftrun_datasets():
    return [Slow]
"""


def spec(workers: int) -> dict[str, Any]:
    return tiny_spec(
        dataset="slow",
        backbone={"name": "tiny", "dropout": 0.3},
        train={"epochs": 2, "batch_size": 8, "workers": workers, "average": "ema"},
    )


def batch_of_first_epoch(number: int) -> str:
    """Where to hold the run before that step, from 1, of five."""
    order = torch.randperm(40, generator=torch.Generator().manual_seed(seed_of(0, "order", 1)))
    return f"train {int(order[8 * (number - 1)])}"


class Process(warm.Process):
    """`ftrun ARGUMENTS` in a process group of its own; stopped where the data is held."""

    def until(self, condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + 120
        while not condition():
            if self.poll() is not None or time.monotonic() > deadline:
                self.kill()
                pytest.fail(f"{self.poll()}: {self.communicate()}")
            time.sleep(0.02)

    def until_held(self) -> None:
        self.until(Path("held").exists)

    def signal_twice(self, first: int, second: int) -> None:
        """The second once the first is taken; again where it was not yet, since of two that wait a process gets one."""
        self.send_signal(first)
        time.sleep(0.2)
        while self.poll() is None:
            self.send_signal(second)
            with suppress(subprocess.TimeoutExpired):
                self.wait(30)

    def ended(self) -> tuple[int, str, str]:
        """Exit code as the shell has it, and what was written to stdout and stderr."""
        try:
            out, err = self.communicate(timeout=120)
        finally:
            self.kill()
        code = self.wait()
        return code if code >= 0 else 128 - code, out, err

    def kill(self) -> None:
        if self.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)


@pytest.fixture
def run(site, request):
    """Start a run that is held where it says."""
    if not Path("/proc/self/task").exists():
        pytest.skip("needs /proc")
    install(site, "ftrun-slow", SLOW)
    started = []

    def start(held_at: str, workers: int = 0, *arguments: str) -> Process:
        Path("hold").write_text(held_at)
        write_spec(spec(workers))
        started.append(Process("spec.json", "--out", "run", *arguments))
        started[-1].until_held()
        return started[-1]

    yield start
    for process in started:
        process.kill()


@pytest.fixture(scope="module")
def kept() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def straight(ftrun, kept):
    """What a run that nothing stops leaves behind; it is trained once."""

    def start() -> dict[str, Any]:
        if not kept:
            assert ftrun(write_spec(spec(0)), "--out", "straight").exit_code == 0
            kept.append(outcome(Path("straight")))
        return kept[0]

    return start


def let_go() -> None:
    Path("hold").unlink()


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def status() -> dict[str, Any]:
    return read(Path("run/status.json"))


def without_seconds(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_seconds(each) for key, each in value.items() if not key.startswith("seconds")}
    return [without_seconds(each) for each in value] if isinstance(value, list) else value


def outcome(folder: Path) -> dict[str, Any]:
    """All that a run leaves behind but the time that it took."""
    last = folder / "checkpoints" / "last"
    return {
        "best": (folder / "checkpoints" / "best" / "model.safetensors").read_bytes(),
        "last": (last / "model.safetensors").read_bytes(),
        "tensors": (last / "state.safetensors").read_bytes(),
        "state": without_seconds(read(last / "state.json")),
        "results": without_seconds(read(folder / "results.json")),
    }


SIGNALS = pytest.mark.parametrize(
    ("number", "code", "what"),
    [
        (signal.SIGINT, 130, "stopped by Ctrl-C"),
        (signal.SIGTERM, 143, "stopped by SIGTERM"),
        (signal.SIGHUP, 129, "stopped by SIGHUP: its terminal is gone"),
    ],
    ids=["SIGINT", "SIGTERM", "SIGHUP"],
)


@SIGNALS
@pytest.mark.parametrize(("held_at", "step"), [(batch_of_first_epoch(2), 2), ("val 3", 5)], ids=["train", "val"])
def test_the_first_signal_ends_the_run_after_its_step(number, code, what, held_at, step, run, straight, ftrun):
    process = run(held_at)
    assert status()["state"] == "running"
    process.send_signal(number)
    let_go()
    ended, out, err = process.ended()
    assert (ended, err) == (code, f"Error: {what}\n")
    assert status() | {"state": "interrupted", "epoch": 0, "step": step, "reason": what} == status()
    assert out.splitlines()[-1] == f"saved at step {step}; to go on: ftrun resume run"
    assert read(Path("run/checkpoints/last/net.json"))["step"] == step
    assert ftrun("resume", "run").exit_code == 0
    assert outcome(Path("run")) == straight()


@pytest.mark.parametrize(
    ("number", "code", "what"),
    [
        pytest.param(signal.SIGINT, 130, "stopped by Ctrl-C", id="SIGINT"),
        pytest.param(signal.SIGTERM, 143, "stopped by SIGTERM", id="SIGTERM", marks=pytest.mark.slow),
    ],
)
def test_a_signal_to_every_process_of_a_run_with_workers_ends_it_after_its_step(
    number, code, what, run, straight, ftrun
):
    """A terminal sends Ctrl-C, and a batch system SIGTERM, to the data loader's workers too."""
    process = run(batch_of_first_epoch(2), 2)
    os.killpg(process.pid, number)
    let_go()
    ended, out, err = process.ended()
    assert (ended, err) == (code, f"Error: {what}\n")
    assert status()["step"] in (1, 2)
    assert f"saved at step {status()['step']}; to go on: ftrun resume run" in out
    assert ftrun("resume", "run").exit_code == 0
    assert outcome(Path("run")) == straight()


@pytest.mark.parametrize(
    ("second", "code", "workers"), [(signal.SIGINT, 130, 0), (signal.SIGTERM, 143, 0), (signal.SIGINT, 130, 2)]
)
def test_a_second_signal_ends_the_run_at_once(second, code, workers, run, straight, ftrun):
    process = run(batch_of_first_epoch(1), workers)
    process.signal_twice(signal.SIGINT, second)
    ended, _, err = process.ended()
    assert (ended, err) == (code, "")
    assert status()["state"] == "interrupted"
    assert not Path("run/checkpoints/last").exists(), "the step has not ended: its data is still held"
    let_go()
    assert ftrun("resume", "run").exit_code == 0
    assert outcome(Path("run")) == straight()


def test_a_worker_that_is_killed_ends_the_run_with_its_last_step_saved(run, straight, ftrun):
    process = run(batch_of_first_epoch(2), 2)
    worker = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
    os.kill(worker, signal.SIGKILL)
    let_go()
    ended, out, err = process.ended()
    assert (ended, err.startswith("Error: a process that reads samples has died")) == (1, True), err
    assert "Traceback" not in err
    step = status()["step"]
    assert f"saved at step {step}; to go on: ftrun resume run" in out
    assert read(Path("run/checkpoints/last/net.json"))["step"] == step
    assert ftrun("resume", "run").exit_code == 0
    assert outcome(Path("run")) == straight()


def test_sigusr1_saves_now_and_the_run_goes_on(run, straight):
    process = run(batch_of_first_epoch(2))
    assert not Path("run/checkpoints/last").exists()
    process.send_signal(signal.SIGUSR1)
    Path("hold.new").write_text(batch_of_first_epoch(5))
    Path("hold.new").rename("hold")  # whole: a reader of half of it would go on
    time.sleep(0.1)  # for who has just read the old one
    Path("held").unlink()
    process.until_held()
    saved = read(Path("run/checkpoints/last/net.json"))
    assert (saved["epoch"], saved["step"]) == (0, 2)
    assert status() | {"state": "running", "epoch": 0, "step": 2} == status()
    let_go()
    ended, out, err = process.ended()
    assert (ended, err) == (0, "")
    assert "saved at step 2, as SIGUSR1 asks" in out
    assert outcome(Path("run")) == straight()


def test_before_training_a_signal_ends_the_run_and_leaves_nothing(run):
    process = run("build")
    process.send_signal(signal.SIGINT)
    ended, out, err = process.ended()
    assert (ended, out, "Traceback" in err) == (130, "", False)
    assert not Path("run").exists()
