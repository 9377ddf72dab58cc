"""Disks that are full, that may not be written to, or that go away: one message, and what was saved stays good."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest
import warm
from support import tiny_spec, write_spec

from ftrun.contracts.errors import FtrunError
from ftrun.plugins.catalogue import installed
from ftrun.runs import checkpoint
from ftrun.runs.folder import RunFolder
from ftrun.train import begin

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_FSIZE, /dev/full and mounts")

MAIN = "import sys; from ftrun.cli import main; main(sys.argv[1:])"
LIMITED = (
    "import sys, resource; sys.dont_write_bytecode = True; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0})); "
    + MAIN
)
SPEC = tiny_spec(
    dataset={"name": "tiny", "samples": 8, "val": True},
    train={"epochs": 20, "batch_size": 4, "checkpoint_minutes": 1e-9},
)
FULL = "(File too large|No space left on device). Free some space, or let --out name a folder elsewhere."
RUN, MOUNT = Path("run"), Path("mount")


def start(code, *arguments):
    return warm.Process(*arguments, code=code)


def check_message(code, errors, folder=RUN, what=FULL):
    """It ends with one message that names the file or the checkpoint, and without half a checkpoint."""
    assert code == 1, errors
    assert re.fullmatch(rf"Error: {folder}\S*: cannot be written: {what}.*\n", errors), errors
    checkpoints = folder / "checkpoints"
    places = list(checkpoints.iterdir()) if checkpoints.exists() else []
    assert {place.name for place in places} <= {"best", "last", "previous"}
    for place in places:
        checkpoint.verify(place)


def message(result):
    """The command line's error; the run's own lines come before it."""
    return result.output[f"\n{result.output}".rindex("\nError: ") :]


def outcome(folder):
    files = [folder / "checkpoints" / name / "model.safetensors" for name in ("best", "last")]
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    metrics = [{name: value for name, value in line.items() if not name.startswith("seconds/")} for line in lines]
    return metrics, [sha256(file.read_bytes()).hexdigest() for file in files]


def check_resumes(ftrun, whole, folder=RUN):
    """Once there is space again, the run ends as the one that always had it; one that had not begun says so."""
    result = ftrun("resume", folder)
    if (folder / "resolved.json").exists():
        assert result.exit_code == 0, result.output
        assert outcome(folder) == outcome(whole)
    else:
        assert result.exit_code == 2, result.output


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("kept") / "whole"


@pytest.fixture
def whole(site, ftrun, kept):
    """The run where all is well, which is trained once."""
    if not kept.exists():
        assert ftrun(write_spec(SPEC), "--out", kept).exit_code == 0
    return Path(shutil.copytree(kept, "whole"))


@pytest.fixture
def mount(site):
    """Mount a file system in memory of some size at MOUNT, or change its size or its flags."""
    MOUNT.mkdir()

    def mount(options):
        remount = "remount," if os.path.ismount(MOUNT) else ""
        command = ["mount", "-t", "tmpfs", "-o", remount + options, "tmpfs", str(MOUNT)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode and not remount:
            pytest.skip(f"may not mount: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr

    yield mount
    if os.path.ismount(MOUNT):
        subprocess.run(["umount", "-l", str(MOUNT)], check=True)


@pytest.mark.parametrize("size", [1_000, pytest.param(4_000, marks=pytest.mark.slow), 6_000])
def test_a_file_that_may_not_grow_further_ends_the_run_and_it_goes_on_once_it_may(size, whole, ftrun):
    """The first limit is met before the run has begun; the others by the state, which gets longer with each epoch."""
    process = start(LIMITED.format(size), write_spec(SPEC), "--out", RUN)
    _, errors = process.communicate(timeout=120)
    check_message(process.returncode, errors)
    assert (RUN / "checkpoints" / "last").exists() == (size > 2_000)
    check_resumes(ftrun, whole)


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param((2, 5, 16, 24), id="few"),
        pytest.param((3, 4, 9, 15, 17, 18, 20, 22, 23, 25), id="many", marks=pytest.mark.slow),
    ],
)
def test_a_disk_that_is_full_ends_the_run_and_it_goes_on_once_there_is_space(sizes, mount, whole, ftrun):
    stopped_at = set()
    for pages in sizes:
        mount(f"size={4096 * pages}")
        folder = MOUNT / f"run{pages}"
        result = ftrun(write_spec(SPEC), "--out", folder)
        check_message(result.exit_code, message(result), folder)
        stopped_at.add(re.search(rf"{folder}(\S*):", message(result))[1])
        mount("size=16m")
        check_resumes(ftrun, whole, folder)
        shutil.rmtree(folder)
    print(stopped_at)
    assert len(stopped_at) >= 3


@pytest.mark.parametrize("name", ["log.txt", "metrics.jsonl", "resolved.json", "results.json", "status.json"])
def test_a_file_that_cannot_be_written_at_all_is_named_and_the_run_goes_on_once_it_can(name, whole, ftrun):
    shutil.copytree(whole, RUN)
    broken_off()
    full = RUN / ("log.txt" if name == "log.txt" else f".{name}.new")  # the others are written there, and then renamed
    full.unlink(missing_ok=True)
    full.symlink_to("/dev/full")
    result = ftrun("resume", RUN)
    check_message(result.exit_code, message(result))
    assert message(result).startswith(f"Error: {RUN / name}: ")
    full.unlink(missing_ok=True)
    check_resumes(ftrun, whole)


def broken_off():
    """Make a finished run one whose process was killed before its end."""
    (RUN / "results.json").unlink()
    shutil.rmtree(RUN / "checkpoints" / "last")  # the step before is what there is to go on from
    status = (RUN / "status.json").read_text()
    (RUN / "status.json").write_text(status.replace("finished", "running"))


def test_a_folder_that_goes_away_ends_the_run_and_is_not_made_again(site):
    process = start(MAIN, write_spec({**SPEC, "train": {**SPEC["train"], "epochs": 100_000}}), "--out", RUN)
    waiting = time.monotonic() + 120
    while not (RUN / "metrics.jsonl").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < waiting
        time.sleep(0.01)
    RUN.rename("gone")  # at once, where rmtree would race with what the run writes
    shutil.rmtree("gone")
    _, errors = process.communicate(timeout=60)
    check_message(process.returncode, errors, what="No such file or directory. The run folder is gone:")
    assert not RUN.exists()
    assert not Path("gone").exists()


def test_a_disk_that_may_not_be_written_to(mount, whole, ftrun):
    mount("size=16m")
    folder = MOUNT / "run"
    shutil.copytree(whole, RUN)
    broken_off()
    shutil.copytree(RUN, folder)
    mount("ro")
    read_only = "Read-only file system. Let --out name a folder that you may write to."
    for arguments in (("resume", folder), (write_spec(SPEC), "--out", MOUNT / "new")):
        result = ftrun(*arguments)
        check_message(result.exit_code, message(result), MOUNT, read_only)
    mount("rw")
    check_resumes(ftrun, whole, folder)


def test_a_disk_that_is_full_stays_so_for_a_resumed_run_without_harm(mount, whole, ftrun):
    """A run that was broken off by it and is resumed before there is space: again one message, and nothing is lost."""
    mount(f"size={4096 * 16}")
    folder = MOUNT / "run"
    result = ftrun(write_spec(SPEC), "--out", folder)
    check_message(result.exit_code, message(result), folder)
    for _ in range(3):
        with pytest.raises(FtrunError, match="No space left"):
            begin.resume(RunFolder.existing(folder), installed(), None, None)
    mount("size=16m")
    check_resumes(ftrun, whole, folder)
