"""What the command line tells OpenMP and torch before torch is loaded."""

import os
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
        ({}, "1000 1"),
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
