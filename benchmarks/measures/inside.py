"""ftrun from the inside, for what cannot be seen from the command line. Its inner names may change: mend this file."""

import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftrun.train.job import Job

TESTS = Path(__file__).parents[2] / "tests"


def install(distribution: str, code: str) -> None:
    """Install a plugin for this process alone."""
    sys.path.insert(0, str(TESTS))
    from support import install as install_into

    site = Path(tempfile.mkdtemp(dir="."))
    install_into(site, distribution, code)
    sys.path.insert(0, str(site.absolute()))


def assembled(spec: Mapping[str, Any], device: str = "cpu") -> "Job":
    """A job as `ftrun run` would make it of `spec`, before its first step."""
    import torch
    from ftrun.plugins.catalogue import installed
    from ftrun.runs.console import Console
    from ftrun.spec.check import check_spec
    from ftrun.train import prepare
    from ftrun.train.assemble import assemble
    from ftrun.train.signals import Signals

    console, signals = Console(time.perf_counter()), Signals()
    job = assemble(check_spec(dict(spec), installed()), torch.device(device), console.say)
    prepare.decode(job, console, signals)
    prepare.choose_precision(job, console.say, signals)
    prepare.compile_nets(job)
    return job


class Epochs:
    """Epochs of a job's training, without evaluation and checkpoints."""

    def __init__(self, job: "Job") -> None:
        self.job, self.done = job, 0

    def seconds(self) -> float:
        """Train one epoch, and give the seconds that a step took."""
        from ftrun.runs.console import Console
        from ftrun.runs.progress import Progress
        from ftrun.train.loop import train_epoch

        steps = self.job.feed.steps_per_epoch
        progress = Progress(epoch=self.done, step=self.done * steps)
        began = time.perf_counter()
        train_epoch(self.job, progress, _Nothing(), Console(began), _Nothing(), _Nothing())
        self.done += 1
        return (time.perf_counter() - began) / steps


class _Nothing:
    """What asks an epoch to save, to show itself or to stop: none of it."""

    waiting = False

    def due(self) -> bool:
        return False

    def advance(self, samples: int, loss: Any = None) -> None:
        pass
