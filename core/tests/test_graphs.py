"""What keeps a step from being recorded as a CUDA graph; the rest needs a GPU: tests/test_gpu.py."""

import random

import numpy as np
import pytest
import torch

from ftrun.train.accel.graphs import _Cpu

DRAWS = {"torch": lambda: torch.rand(()).item(), "python": random.random, "numpy": np.random.rand}


@pytest.mark.parametrize("name", DRAWS)
def test_a_number_drawn_on_the_cpu_is_seen_and_taken_back(name):
    before = _Cpu()
    assert not before.has_drawn()
    drawn = DRAWS[name]()
    assert before.has_drawn()
    before.restore()
    assert not before.has_drawn()
    assert DRAWS[name]() == drawn
