"""What an observer may implement: methods marked `@ftrun.hookimpl`, each taking the arguments that it needs.

They are called for the observers that the spec names, in its order. The records are frozen and hold no live objects.
An observer that raises is reported and dropped; the run goes on.
"""

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftrun.contracts.errors import FtrunError
from ftrun.contracts.markers import hookspec

if TYPE_CHECKING:
    from ftrun.contracts.data import Splits
    from ftrun.contracts.net import Net


@dataclass(frozen=True)
class RunInfo:
    """What is known when a run starts."""

    name: str
    folder: Path
    spec: Mapping[str, Any]
    """The resolved spec: every default filled in."""
    device: str
    samples: Mapping[str, int]
    """Number of samples in each split."""
    epochs: int
    steps_per_epoch: int
    epochs_done: int = 0
    """Complete when this process takes the run up: 0, or more if it is resumed."""


@dataclass(frozen=True)
class EpochInfo:
    """One epoch's metrics."""

    epoch: int
    """From 1."""
    step: int
    """Optimizer steps since the start."""
    metrics: Mapping[str, float]
    """`train/loss`, `val/accuracy`, `lr`, `seconds/train` and so on; fractions are 0 to 1."""
    best: bool
    """Whether this is the best epoch so far, by `train.monitor`."""
    improved_epoch: int = 0
    """The last epoch in which what `train.monitor` names got better; one that is kept as the best of equals is none."""


@dataclass(frozen=True)
class FinishedRun:
    """A run that has just finished, with the live objects that it was made with."""

    folder: Path
    spec: Any
    """The checked spec; its parts are objects: `spec.backbone`."""
    splits: "Splits"
    """The data, as the run read it."""
    net: "Net"
    say: Callable[[str], None]
    """Print a line, and write it to the run's log."""
    log: Callable[[str], None]
    """Write a line to the run's log alone."""

    @contextmanager
    def tolerating(self, what: str) -> Iterator[None]:
        """Make one line, `what: reason`, of whatever is raised in the block; the log gets the traceback.

        The results stand, and what comes after the block is done.
        """
        with suppress(FtrunError):  # of saying it: the disk may be full
            try:
                yield
            except FtrunError as error:
                self.say(f"{what}: {error}")
            except Exception as error:
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                self.say(f"{what}: {reason}. The results are not affected; log.txt has the traceback.")
                self.log(traceback.format_exc().rstrip())


@hookspec
def ftrun_before_run(run: RunInfo) -> None:
    """The run folder exists, the net is built, nothing is trained yet."""


@hookspec
def ftrun_should_stop(run: RunInfo, epoch: EpochInfo) -> str | None:
    """An epoch is trained and evaluated on val, and about to be saved: return a reason, and the run ends after it.

    The reason is saved with the epoch: a run that is killed and resumed ends where it would have ended. So it should
    follow from `run`, `epoch` and the lines of `metrics.jsonl` in `run.folder`, which has this epoch's already.
    """


@hookspec
def ftrun_after_epoch(run: RunInfo, epoch: EpochInfo) -> None:
    """An epoch is trained, evaluated on val and saved."""


@hookspec
def ftrun_after_run(run: RunInfo, results: Mapping[str, Any]) -> None:
    """The run has finished; `results` is what `results.json` holds."""


@hookspec
def ftrun_on_error(run: RunInfo, error: BaseException) -> None:
    """The run fails, diverges or is interrupted; the error goes on its way afterwards."""
