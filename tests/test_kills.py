"""A run that is killed, at whatever point, goes on to the same end: no point loses more than what was not saved."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest
import warm
from support import TINY, ftrun_process, install, tiny_spec, write_spec

from ftrun.runs.lock import is_locked

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and renameat2")
KILLING = Path(__file__).with_name("killing.py")


def killed(what, most, place, **environment):
    """Return the report of killing.py."""
    place.mkdir()
    script = f"import runpy; runpy.run_path({str(KILLING)!r}, run_name='__main__')"
    done = warm.Process(what, str(most), place, code=script, OMP_NUM_THREADS="1", **environment)
    out, errors = done.communicate()
    assert done.returncode == 0, errors
    return json.loads(out)


@pytest.fixture(scope="module")
def one_of_each(tmp_path_factory):
    """Return the report of a short run that was killed once at each place."""
    folder = tmp_path_factory.mktemp("kills")
    (folder / "site").mkdir()
    install(folder / "site", "ftrun-tiny", TINY)
    return killed("folders", 100, folder / "runs", PYTHONPATH=str(folder / "site"))


def check(run, *, last_stays=True):
    """Each kill has left a good checkpoint, if there was one; and the end is that of the run that was not killed."""
    for kill in run["kills"]:
        assert kill["code"] in (-signal.SIGKILL, 0), run  # 0: it had less to do than it was given
        assert kill["state"] in ("interrupted", "finished"), run
        if kill["had_checkpoint"]:
            assert "good" in (kill["last"], kill["previous"]), run
            assert kill["last"] == "good" or not last_stays, run
            assert kill["last"] in ("good", "missing"), run  # what bears this name is never damaged
    if run["end"] == "nothing to resume":
        assert (run["code"], run["kills"][-1]["had_checkpoint"]) == (2, False), run
    else:
        assert (run["code"], run["equal"]) == (0, True), run


def operations(report):
    """What each run was killed at."""
    return {kill["at"].split(" /")[0] for run in report["runs"] for kill in run["kills"]}


ALL = {
    "mkdir", "open", "half of write", "save", "half of save", "fsync", "exchange", "rename", "replace", "unlink",
    "rmdir",
}  # fmt: skip


@on_linux
def test_a_kill_at_any_file_loses_nothing(one_of_each):
    for run in one_of_each["runs"]:
        check(run)
    assert sum(run["end"] == "resumed" for run in one_of_each["runs"]) >= 20


@pytest.mark.slow
@on_linux
def test_a_kill_between_any_two_operations_on_files_loses_nothing(site, tmp_path):
    report = killed("operations", 200, tmp_path / "runs")
    for run in report["runs"]:
        check(run)
    assert sum(run["end"] == "resumed" for run in report["runs"]) >= 50
    assert operations(report) == ALL


@pytest.mark.slow
def test_a_kill_loses_nothing_where_two_names_cannot_be_exchanged(site, tmp_path):
    report = killed("fallback", 200, tmp_path / "runs")
    for run in report["runs"]:
        check(run, last_stays=False)
    assert sum(run["end"] == "resumed" for run in report["runs"]) >= 50
    assert any(
        kill["last"] == "missing" and kill["previous"] == "good" for run in report["runs"] for kill in run["kills"]
    )


@pytest.mark.slow
def test_a_kill_after_any_step_or_batch_loses_nothing(site, tmp_path):
    report = killed("looks", 50, tmp_path / "runs")
    for run in report["runs"]:
        check(run)
    assert len(report["runs"]) >= 13  # 9 steps; 4 batches of val and test


@pytest.mark.slow
@on_linux
def test_a_run_that_is_killed_again_and_again_loses_nothing(site, tmp_path):
    report = killed("chains", 12, tmp_path / "runs")
    for run in report["runs"]:
        check(run)
    assert sum(len(run["kills"]) for run in report["runs"]) >= 24


@on_linux
def test_what_gets_its_name_is_on_the_disk_before_and_so_is_the_name_after(one_of_each):
    told = [line[1:] for line in one_of_each["told"] if line[0] == "done"]
    placed = [(index, Path(line[1])) for index, line in enumerate(told) if line[0] in ("exchange", "rename", "replace")]
    new = [(index, path) for index, path in placed if path.name.endswith(".new") and came_from_us(told, index, path)]
    names = [path.name for _, path in new]
    assert [names.count(each) for each in (".last.new", ".best.new", ".status.json.new")] == [8, 2, 10]
    for index, path in new:
        written = [each for each in told[:index] if each[0] == "write" and inside(each[1], path)]
        for file in {each[1] for each in written} | {str(path)}:
            assert synced_after_last_write(told[:index], file), (file, told[:index])
        after = next(line for line in told[index + 1 :] if line[0] != "rename")
        assert after == ["fsync", str(path.parent)]


def came_from_us(told, index, path):
    """Whether what is renamed was just written, and is not the older one that an exchange has left there."""
    return told[index - 1][0] != "exchange" or told[index - 1][1] != str(path)


def inside(file, path):
    return Path(file) == path or path in Path(file).parents


def synced_after_last_write(told, file):
    changes = [index for index, line in enumerate(told) if line[0] in ("write", "mkdir") and line[1].startswith(file)]
    syncs = [index for index, line in enumerate(told) if line == ["fsync", file]]
    return syncs[-1] > changes[-1]


ROUNDS = 20
LONG = tiny_spec(
    dataset={"name": "tiny", "samples": 800, "val": True},
    backbone={"name": "tiny", "dropout": 0.2},
    augment=["horizontal-flip", {"name": "random-crop", "padding": 2}],
    optimizer={"name": "sgd", "lr": 0.1},
    scheduler="cosine",
    train={"epochs": 10, "batch_size": 16, "checkpoint_minutes": 0.001},
)


@pytest.mark.slow
def test_processes_that_are_killed_at_random_times_lose_nothing(site):
    seed = time.time_ns()
    print("seed", seed)
    draw = random.Random(seed)
    kills, equal = 0, 0
    for workers in (0, 2):
        spec = write_spec({**LONG, "train": {**LONG["train"], "workers": workers}}, f"workers{workers}.json")
        whole = Path(f"whole{workers}")
        began = time.monotonic()
        assert ftrun_process("run", spec, "--out", whole).returncode == 0
        took = time.monotonic() - began
        for number in range(ROUNDS // 2):
            folder = Path(f"killed{workers}-{number}")
            steps = kill_and_resume(spec, folder, draw, took)
            kills += len(steps)
            equal += digests(folder) == digests(whole)
            print(f"{workers} workers, run {number}: killed at steps {steps}")
    print(f"{kills} kills, {equal} of {ROUNDS} runs equal")
    assert equal == ROUNDS
    assert kills >= ROUNDS


def kill_and_resume(spec, folder, draw, took):
    """Start a run, kill it at a random time, resume it, kill that one, ...; the steps that were saved at each kill."""
    steps = []
    for _ in range(draw.randint(1, 4)):
        arguments = ("resume", folder) if (folder / "resolved.json").exists() else ("run", spec, "--out", folder)
        process = subprocess.Popen([sys.executable, "-m", "ftrun", *map(str, arguments)], stdout=subprocess.DEVNULL)
        while process.poll() is None and not (is_locked(folder / ".lock") and (folder / "resolved.json").exists()):
            time.sleep(0.001)
        time.sleep(draw.uniform(0, took / 5))
        process.kill()
        if process.wait() == 0:
            break
        steps.append(saved_step(folder))
    resumed = ftrun_process("resume", folder)
    assert (resumed.returncode, resumed.stderr) == (0, "")
    return steps


def saved_step(folder):
    state = folder / "checkpoints" / "last" / "state.json"
    return json.loads(state.read_text())["progress"]["step"] if state.exists() else None


def digests(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    metrics = [{name: value for name, value in line.items() if not name.startswith("seconds/")} for line in lines]
    files = [(folder / "checkpoints" / each / "model.safetensors").read_bytes() for each in ("best", "last")]
    return metrics, [sha256(each).hexdigest() for each in files]
