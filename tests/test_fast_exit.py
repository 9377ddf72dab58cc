"""The end of a process: quick, and nothing is lost."""

import os
import subprocess
import sys

import pytest
import warm
from support import tiny_spec, write_spec

ENDING = """
import atexit, threading, time
from concurrent.futures import ThreadPoolExecutor
from ftrun.cli.lifecycle import fast_exit

class TakenApart:
    def __del__(self):
        print("taken apart")

kept = TakenApart()
atexit.register(print, "registered")
idle = ThreadPoolExecutor(1)
idle.submit(int).result()
threading.Thread(target=lambda: (time.sleep(0.3), print("thread"))).start()
print("main")
fast_exit({code})
print("Python's own end")
"""


def end(code: object, **options: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", ENDING.format(code=code)]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False, timeout=60, **options)


def test_all_is_done_but_taking_modules_apart():
    ended = end(3, stdout=subprocess.PIPE)
    assert (ended.returncode, ended.stderr) == (3, "")
    assert ended.stdout == "main\nthread\nregistered\n"


def test_what_is_no_number_is_left_to_python():
    ended = end("'a message'", stdout=subprocess.PIPE)
    assert ended.stdout.splitlines()[:2] == ["main", "Python's own end"]


def test_nobody_reads():
    reading, writing = os.pipe()
    os.close(reading)
    ended = end(3, stdout=writing)
    os.close(writing)
    assert "BrokenPipeError" in ended.stderr  # as Python tells it


@pytest.mark.parametrize(("lr", "code"), [(0.1, 0), (1e30, 5)])
def test_the_command_line_ends_so(site, lr, code):
    path = write_spec(tiny_spec(optimizer={"name": "sgd", "lr": lr}, backbone={"name": "tiny", "norm": False}))
    call = f"import atexit, sys; atexit.register(print, 'end'); sys.argv = ['ftrun', '{path}', '--out', 'run']"
    ended = warm.Process(code=f"{call}\nfrom ftrun.cli import process\nprocess()")
    out, err = ended.communicate()
    assert ended.returncode == code, err
    assert out.endswith("end\n")
