"""A run in somebody's own process: what it changes there is put back, and it is the only one at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_TRAINING = threading.RLock()
"""Held by the run that trains: torch has one generator for all threads, and a run's draws have to be its own."""


@contextmanager
def undisturbed() -> Iterator[None]:
    """Wait for the runs of other threads; afterwards, torch's generators and number of threads are as before."""
    with _TRAINING:
        threads, cpu = torch.get_num_threads(), torch.get_rng_state()
        gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
        try:
            yield
        finally:
            torch.set_rng_state(cpu)
            if gpus:
                torch.cuda.set_rng_state_all(gpus)
            torch.set_num_threads(threads)
