"""What is written as a run goes on, and what is read back when it goes on after a break."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from time import monotonic, perf_counter
from types import TracebackType
from typing import Any, Self

from pydantic import TypeAdapter

from ftrun.contracts.events import EpochInfo
from ftrun.runs import checkpoint
from ftrun.runs.background import Background, snapshot, worth_backgrounding
from ftrun.runs.checkpoint import Damaged
from ftrun.runs.console import Console
from ftrun.runs.folder import RunFolder
from ftrun.runs.optimizerstate import load_optimizer, optimizer_state
from ftrun.runs.progress import Progress
from ftrun.train.guard import may_go_back
from ftrun.train.job import Job
from ftrun.train.objective import restore_objective, state_of
from ftrun.train.partstates import PartStates
from ftrun.train.signals import Signals


class Saver:
    """Keeps a run folder up to date."""

    def __init__(self, job: Job, folder: RunFolder, console: Console, signals: Signals) -> None:
        self.job = job
        self.folder = folder
        self.console = console
        self.signals = signals
        self._background = Background()
        self._saved = monotonic()

    def due(self) -> bool:
        """Whether it is time for a checkpoint: asked for, or long since the last one."""
        return self.signals.save_asked or monotonic() - self._saved >= 60 * self.job.spec.train.checkpoint_minutes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """All that was begun is written, or what kept it from being is raised."""
        with suppress(Exception) if error else nullcontext():  # one error is enough
            self._background.wait()

    def epoch(self, progress: Progress, epoch: EpochInfo) -> None:
        """Save a complete epoch, as the best one too if it is.

        On a GPU this takes a copy, if it is not too large, and a thread writes that while the next epoch is trained.
        """
        began = perf_counter()
        self._background.wait()
        saves = [self._best(progress), self._last(progress)] if epoch.best else [self._last(progress)]
        if worth_backgrounding(self.job.engine.device, saves):
            self._background.begin(partial(self._write, snapshot(saves), progress.epoch, progress.step))
        else:
            self._write(saves, progress.epoch, progress.step)
        if self.job.spec.observers or self.signals.save_asked:
            self._background.wait()  # somebody wants to look at it
        self._end_save(progress, began)

    def last(self, progress: Progress) -> None:
        """Save the present state as `last`; the one before stays, as `previous`."""
        began = perf_counter()
        self._background.wait()
        self._write([self._last(progress)], progress.epoch, progress.step)
        self._end_save(progress, began)

    def _end_save(self, progress: Progress, began: float) -> None:
        progress.took("checkpoint", began)
        self._saved = monotonic()
        if self.signals.save_asked:
            self.signals.save_asked = False
            self.console.say(f"saved at step {progress.step}, as SIGUSR1 asks")

    def _best(self, progress: Progress) -> dict[str, Any]:
        """What `checkpoint.save` takes, for the best epoch so far."""
        return {
            "folder": self.folder.checkpoints / "best",
            "model": self.job.learner.evaluated_net.model,
            "heads": self.job.learner.evaluated_net.extra_modules,
            "description": describe(self.job, progress, progress.best_val),
            "objective": state_of(self.job.learner.objective),
            "parts": self.job.states.now(),
        }

    def _last(self, progress: Progress) -> dict[str, Any]:
        """What `checkpoint.save` takes, for the present state."""
        progress.corrupt = self.job.feed.corrupt.samples
        progress.seconds_of["total"] = self.console.seconds
        return {
            "folder": self.folder.checkpoints / "last",
            "model": self.job.learner.net.model,
            "heads": self.job.learner.net.extra_modules,
            "description": describe(self.job, progress, {}),
            "state": {
                "progress": asdict(progress),
                "optimizer": optimizer_state(self.job.learner.optimizer),
                "average": self.job.learner.average.state() if self.job.learner.average else None,
            },
            "objective": state_of(self.job.learner.objective),
            "parts": self.job.states.now(),
            "previous": self.folder.checkpoints / "previous",
        }

    def _write(self, saves: Sequence[dict[str, Any]], epoch: int, step: int) -> None:
        for each in saves:
            checkpoint.save(**each)
        self.folder.write_status("running", epoch=epoch, step=step)

    def go_back(self, progress: Progress, reason: str) -> None:
        """Go on from the last checkpoint at half the learning rate. Raises DivergedError after a few times."""
        may_go_back(progress.went_back, reason)
        self._background.wait()
        went_back, rate_scale = progress.went_back + 1, progress.rate_scale / 2
        saved = restore(self.job, self.folder, self.console.say)
        self.job.learner.optimizer.zero_grad(set_to_none=True)  # the gradient that is not finite is still there
        for field in fields(Progress):
            setattr(progress, field.name, getattr(saved, field.name))
        progress.went_back, progress.rate_scale = went_back, rate_scale
        self.folder.write_metrics(progress.history)
        self.last(progress)
        self.console.say(f"{reason}: back to step {progress.step}, at {rate_scale:g} of the learning rate")


def describe(job: Job, progress: Progress, val: dict[str, Any]) -> dict[str, Any]:
    """What rebuilds the net around its weights, and what these are: net.json."""
    spec = job.spec.resolved()
    return {
        "backbone": spec["backbone"],
        "modifiers": spec["modifiers"],
        "head": spec["head"],
        "input": job.learner.net.input.model_dump(mode="json"),
        "targets": {name: target.model_dump(mode="json") for name, target in job.learner.net.targets.items()},
        "epoch": progress.epoch,
        "step": progress.step,
        "micro_batch": progress.micro_batch,
        "val": val,
    }


def restore(job: Job, folder: RunFolder, say: Any) -> Progress:
    """Put `last` into the job, or `previous` where `last` is damaged, and give its progress.

    Raises Damaged where neither is good, and gives progress at 0 where there is none at all.
    """
    damaged = []
    for path in saved(folder):
        try:
            progress = _restore(job, path)
        except Damaged as error:
            damaged.append(str(error))
        else:
            for message in damaged:
                say(f"{message} Going on from {path}, step {progress.step}.")
            job.feed.corrupt.samples = progress.corrupt
            job.follow_recorded(progress)
            return progress
    if damaged:
        best = folder.checkpoints / "best"
        raise Damaged("\n".join([*damaged, f"A new run can start from the weights in {best}: --init-from."]))
    return Progress()


def saved(folder: RunFolder) -> list[Path]:
    """The checkpoints that a run may go on from, the newest first."""
    folders = (folder.checkpoints / "last", folder.checkpoints / "previous")
    return [path for path in folders if path.exists()]


def saved_states(folder: RunFolder, resolved: Mapping[str, Any]) -> PartStates:
    """What a run's checkpoints have of its input and its parts; nothing where there is no checkpoint."""
    folders = saved(folder)
    for path in folders:
        with suppress(Damaged):
            return PartStates(checkpoint.load_parts(path), dict(checkpoint.load_net(path)["input"]))
    return PartStates({}, resolved["input"] if folders else None)  # `restore` will say what is damaged


def _restore(job: Job, path: Path) -> Progress:
    state = checkpoint.load_state(path)
    try:
        progress = TypeAdapter(Progress).validate_python(state["progress"])
        checkpoint.load_weights(path, job.learner.net.model, job.learner.net.extra_modules)
        load_optimizer(job.learner.optimizer, state["optimizer"])
        if job.learner.average:
            job.learner.average.load_state(state["average"])
        restore_objective(path, job.learner.objective, job.engine.device)
    except Damaged:
        raise
    except Exception as error:  # its digest is right, so the state is not of this run, or not ftrun's at all
        what = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise Damaged(f"{path / checkpoint.STATE}: is not the state of this run: {what}") from None
    return progress
