"""A signal between steps, or in the middle of val, loses no step."""

import os
import signal
from contextlib import contextmanager
from time import perf_counter

import pytest
import torch
from support import tiny_spec

from ftrun.contracts.errors import Interrupted
from ftrun.plugins.catalogue import installed
from ftrun.runs.console import Console
from ftrun.runs.progress import Progress
from ftrun.spec.check import check_spec
from ftrun.train.assemble import assemble
from ftrun.train.loop import fit
from ftrun.train.signals import Signals


class Interrupting(Console):
    """Sends this process a real signal when the named part of an epoch begins."""

    def __init__(self, part: str) -> None:
        super().__init__(perf_counter())
        self.part = part

    @contextmanager
    def progress(self, what, samples):
        if what.strip() == self.part:
            os.kill(os.getpid(), signal.SIGINT)
        with super().progress(what, samples) as bar:
            yield bar


class Saved:
    def __init__(self) -> None:
        self.steps: list[int] = []

    def due(self) -> bool:
        return False

    def last(self, progress: Progress) -> None:
        self.steps.append(progress.step)

    def epoch(self, progress: Progress, is_best: bool) -> None:
        pass


@pytest.mark.parametrize(("part", "step"), [("epoch 1/3", 1), ("val", 4), ("epoch 2/3", 5)])
def test_every_step_that_was_done_is_saved(site, part, step):
    spec = check_spec(tiny_spec(train={"epochs": 3, "batch_size": 16}), installed())
    job, saved = assemble(spec, torch.device("cpu")), Saved()
    with Signals() as signals, pytest.raises(Interrupted):
        fit(job, Progress(), saved, Interrupting(part), signals)
    assert saved.steps == [step]


def test_a_second_signal_ends_it_at_once():
    def twice() -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)

    with Signals(), pytest.raises(SystemExit) as ended:
        twice()
    assert ended.value.code == 143


def test_signals_are_ours_only_while_it_lasts():
    before = signal.getsignal(signal.SIGINT)
    with Signals():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
