"""`ftrun.run` and `ftrun.open`: runs as objects, in somebody's own process."""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from support import TINY, install, tiny_spec, write_spec

import ftrun
from ftrun.cli import main


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> ftrun.Run:
    place = tmp_path_factory.mktemp("made")
    install(place, "ftrun-tiny", TINY)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(place)
        patch.setenv("XDG_DATA_HOME", str(place / "data"))
        run = ftrun.run(tiny_spec(), out=place / "run", device="cpu", quiet=True)
    del sys.modules["ftrun_tiny"]  # each test's site has its own
    return run


def test_a_run_tells_what_its_folder_holds(made):
    folder = made.folder
    assert made.status["state"] == "finished"
    assert made.finished
    assert made.results == json.loads((folder / "results.json").read_text())
    assert made.history == [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert made.spec == json.loads((folder / "resolved.json").read_text())["spec"]
    assert made.metrics == {name: value for name, value in made.results["test"].items() if name != "samples"}
    assert made.split == "test"
    assert list(made.targets) == ["label"]
    assert len(made.predictions()) == made.results["samples"]["test"]
    assert str(folder) in repr(made)
    assert "<table>" in made._repr_html_()
    opened = ftrun.open(folder)
    assert (opened.results, opened.spec, os.fspath(opened)) == (made.results, made.spec, str(folder))


def test_the_history_goes_into_a_table_as_it_is(made):
    rows = made.history
    assert [row["epoch"] for row in rows] == list(range(1, len(rows) + 1))
    assert all(isinstance(value, int | float) for row in rows for value in row.values())


def test_it_computes_what_the_command_line_does(made, site):
    evaluated = made.evaluate(split="test", device="cpu")
    arguments = ["evaluate", str(made.folder), "--split", "test", "--device", "cpu", "--json"]
    shown = json.loads(CliRunner().invoke(main, arguments).stdout)
    assert evaluated == shown
    assert evaluated["test"] == made.results["test"]


def test_a_spec_of_a_run_runs_again_to_the_bit(made, tmp_path, site):
    again = ftrun.run(made.spec, out=tmp_path / "again", device="cpu", quiet=True)
    assert again.weights.read_bytes() == made.weights.read_bytes()


def test_changes_of_the_spec(tmp_path, site):
    one = ftrun.run(tiny_spec(), out=tmp_path / "one", device="cpu", set={"optimizer.lr": 0.5}, quiet=True)
    other = ftrun.run(
        write_spec(tiny_spec()), out=tmp_path / "other", device="cpu", set=["optimizer.lr=0.5"], quiet=True
    )
    assert one.spec["optimizer"]["lr"] == other.spec["optimizer"]["lr"] == 0.5
    assert one.weights.read_bytes() == other.weights.read_bytes()


def test_a_run_is_extended(tmp_path, site):
    run = ftrun.run(tiny_spec(train={"epochs": 1}), out=tmp_path / "run", device="cpu", quiet=True)
    assert run.resume().history == run.history  # it is finished
    assert [line["epoch"] for line in run.resume(epochs=3, device="cpu", quiet=True).history] == [1, 2, 3]


def test_mistakes_are_exceptions_with_the_command_lines_message(tmp_path, site):
    with pytest.raises(ftrun.SpecError, match="optimiser"):
        ftrun.run({**tiny_spec(), "optimiser": "sgd"}, quiet=True)
    with pytest.raises(ftrun.SpecError, match="cannot be written as JSON"):
        ftrun.run({**tiny_spec(), "seed": object()}, quiet=True)
    with pytest.raises(ftrun.SpecError, match="exists already"):
        ftrun.run(tiny_spec(), out=tmp_path, quiet=True)
    with pytest.raises(ftrun.SpecError, match="no such run folder"):
        ftrun.open(tmp_path / "nowhere")


def test_quiet_shows_nothing_and_logs_all(tmp_path, site, capfd):
    run = ftrun.run(tiny_spec(), out=tmp_path / "run", device="cpu", quiet=True)
    assert capfd.readouterr() == ("", "")
    assert "results: " in (run.folder / "log.txt").read_text()


def test_the_callers_process_is_as_before(tmp_path, site):
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)]
    environment, threads = dict(os.environ), torch.get_num_threads()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    run = ftrun.run(tiny_spec(), out=tmp_path / "run", device="cpu", quiet=True)
    run.evaluate(device="cpu")
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads
    assert dict(os.environ) == environment
    assert handlers == [
        signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
    ]


def test_runs_of_several_threads_are_what_each_is_alone(made, tmp_path, site):
    runs, spec = [], tiny_spec()

    def work(number: int) -> None:
        runs.append(ftrun.run(spec, out=tmp_path / str(number), device="cpu", quiet=True))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs) == 3
    assert {run.weights.read_bytes() for run in runs} == {made.weights.read_bytes()}


def test_an_interrupted_run_is_saved_and_goes_on(made, tmp_path, site, monkeypatch):
    class Stop(threading.Thread):
        def run(self) -> None:
            while not (tmp_path / "run" / "metrics.jsonl").exists():
                time.sleep(0.001)
            signal.raise_signal(signal.SIGINT)

    spec = tiny_spec(train={"epochs": 60})
    stop = Stop(daemon=True)
    stop.start()
    with pytest.raises(ftrun.FtrunError):
        ftrun.run(spec, out=tmp_path / "run", device="cpu", quiet=True)
    stop.join()
    run = ftrun.open(tmp_path / "run")
    assert run.status["state"] == "interrupted"
    done = len(run.history)
    assert 1 <= done < 60
    assert len(run.resume(device="cpu", quiet=True).history) == 60


def test_twenty_runs_leave_nothing_behind(tmp_path, site):
    """No threads, no descriptors, and no memory that grows from run to run."""

    def state() -> tuple[int, int, int]:
        pages = int(Path("/proc/self/statm").read_text().split()[1]) if Path("/proc/self/statm").exists() else 0
        descriptors = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
        return threading.active_count(), descriptors, pages * 4096

    spec = tiny_spec(train={"epochs": 1})
    for number in range(5):
        ftrun.run(spec, out=tmp_path / f"warm-{number}", device="cpu", quiet=True)
    before = state()
    for number in range(20):
        ftrun.run(spec, out=tmp_path / f"run-{number}", device="cpu", quiet=True)
    after = state()
    assert after[:2] <= before[:2]
    assert after[2] - before[2] < 30e6  # bytes
