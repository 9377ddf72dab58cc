import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ftrun import FtrunError
from ftrun.runs.lock import Lock, is_locked

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")

HOLD = """
import sys
from ftrun.runs.lock import Lock
lock = Lock(sys.argv[1])
print(lock.held, flush=True)
{then}
sys.stdin.read()
"""

AND_FORK = """
import os, signal
if os.fork() == 0:
    os.close(sys.stdin.fileno())
    print(os.getpid(), flush=True)
    signal.pause()
"""

AND_START_ANOTHER_PROGRAM = """
import subprocess
print(subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL).pid, flush=True)
"""


LOOK = """
import time
from ftrun.runs.lock import is_locked
print(is_locked(sys.argv[1]), flush=True)
while True:
    is_locked(sys.argv[1])
    time.sleep(0.0002)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / ".lock"


@pytest.fixture
def other(path) -> Iterator:
    """Start another process that asks for the lock, says whether it has it, does some more, and waits for us."""
    started = []

    def start(then: str = "") -> subprocess.Popen[str]:
        code = HOLD.replace("{then}", then)
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def says(process: subprocess.Popen[str]) -> str:
    return process.stdout.readline().strip()


def test_one_process_at_a_time(path, other):
    first = other()
    assert says(first) == "True"
    assert says(other()) == "False"
    assert not Lock(path).held
    assert is_locked(path)
    first.communicate()  # its input ends, and so it ends
    assert not is_locked(path)
    assert Lock(path).held


def test_a_lock_ends_with_its_process_whatever_it_died_of(path, other):
    process = other()
    assert says(process) == "True"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not is_locked(path)
    lock = Lock(path)
    assert lock.held
    lock.release()


@pytest.mark.parametrize("then", [AND_FORK, AND_START_ANOTHER_PROGRAM], ids=["forked", "another program"])
def test_children_that_outlive_their_parent_do_not_keep_the_lock(then, path, other):
    process = other(then)
    assert says(process) == "True"
    child = int(says(process))
    try:
        assert is_locked(path)
        process.send_signal(signal.SIGKILL)
        process.wait()
        os.kill(child, 0)
        assert not is_locked(path)
        assert says(other()) == "True"
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_fork_keeps_the_lock_with_the_parent(path):
    lock = Lock(path)
    child = os.fork()
    if child == 0:
        os._exit(7 if lock.held or not is_locked(path) else 0)
    assert os.waitpid(child, 0)[1] == 0
    assert lock.held
    assert is_locked(path)
    lock.release()
    assert not lock.held
    assert not is_locked(path)
    lock.release()  # once more does no harm


def test_within_a_process_it_is_one_at_a_time_too(path):
    first = Lock(path)
    second = Lock(path)
    assert (first.held, second.held) == (True, False)
    second.release()
    assert is_locked(path), "what was never had cannot be given away"
    first.release()
    third = Lock(path)
    assert third.held
    third.release()


def test_looking_takes_nothing(path):
    assert not is_locked(path)
    assert not path.exists()
    lock = Lock(path)
    lock.release()
    assert not is_locked(path)
    again = Lock(path)
    assert again.held
    again.release()


def test_who_looks_is_not_in_the_way(path, other):
    """Something that watches many runs, while one of them is resumed."""
    looking = other("lock.release()" + LOOK)
    assert [says(looking), says(looking)] == ["True", "False"]
    for _ in range(3000):
        lock = Lock(path)
        assert lock.held
        lock.release()


def test_a_place_that_cannot_be_written_is_an_error_in_one_message(tmp_path):
    with pytest.raises(FtrunError, match="cannot be written"):
        Lock(tmp_path / "nowhere" / ".lock")
