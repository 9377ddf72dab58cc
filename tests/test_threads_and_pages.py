"""What the command line tells OpenMP, torch and the C library before torch is loaded."""

import os
import platform
import resource
import subprocess
import sys

import pytest

TOLD = """
import os
from ftrun.cli import main
main(["plugins"], standalone_mode=False)
print(*(os.environ.get(each) for each in ("GOMP_SPINCOUNT", "THP_MEM_ALLOC_ENABLE")))
"""


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "100000 1"),
        ({"OMP_WAIT_POLICY": "active"}, "None 1"),
        ({"GOMP_SPINCOUNT": "5", "THP_MEM_ALLOC_ENABLE": "0"}, "5 0"),
    ],
)
def test_what_is_not_set_is_set(given, told):
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "THP_MEM_ALLOC_ENABLE")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    ended = subprocess.run(
        [sys.executable, "-c", TOLD], env={**environment, **given}, capture_output=True, text=True, check=True
    )
    assert ended.stdout.splitlines()[-1] == told


FAULTS = """
import resource
from ftrun.cli import main
main(["plugins"], standalone_mode=False)
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [bytearray(20 * 2**20) for _ in range(5)]  # one after the other they are more than glibc keeps free
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(min(faults() for _ in range(3)))
"""


@pytest.mark.skipif(sys.platform != "linux" or not platform.libc_ver()[0], reason="the C library is not glibc")
@pytest.mark.parametrize("given", [{}, {"MALLOC_TRIM_THRESHOLD_": "131072"}])
def test_memory_that_is_freed_is_kept(given):
    names = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    ended = subprocess.run(
        [sys.executable, "-c", FAULTS], env={**environment, **given}, capture_output=True, text=True, check=True
    )
    pages = 5 * 20 * 2**20 // resource.getpagesize()
    assert (int(ended.stdout.splitlines()[-1]) < pages / 10) == (not given)
