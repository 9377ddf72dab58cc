"""A run, from its live objects to its results, in its folder."""

from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from ftrun.contracts.errors import DivergedError, FtrunError, Interrupted, WorkerLost
from ftrun.contracts.events import FinishedRun, RunInfo
from ftrun.plugins.catalogue import Catalogue
from ftrun.runs import checkpoint, identity
from ftrun.runs.checkpoint import Damaged
from ftrun.runs.console import Console
from ftrun.runs.folder import RunFolder
from ftrun.runs.progress import Progress
from ftrun.train import norm, prepare
from ftrun.train.finished import call_plugins
from ftrun.train.job import Job
from ftrun.train.loop import fit
from ftrun.train.observers import Observers
from ftrun.train.recipes import Recipe
from ftrun.train.results import write_results
from ftrun.train.saver import Saver, saved
from ftrun.train.signals import Signals


@dataclass
class Session:
    """A run that is going on in its folder."""

    job: Job
    progress: Progress
    folder: RunFolder
    resolved: dict[str, Any]
    """What resolved.json holds. It has fingerprints of the data once that is decoded and the precision chosen."""
    observers: Observers
    console: Console
    signals: Signals
    plugins: Catalogue | None
    """Whose hooks are called with the finished run."""
    short: bool
    recipe: Recipe | None = None
    """Of a run that begins; one that goes on has its spec filled in."""

    def carry_out(self) -> dict[str, Any]:
        """Train from where `progress` is, evaluate, write the results, and call the plugins with the finished run."""
        job, progress, folder, console, signals = self.job, self.progress, self.folder, self.console, self.signals
        info, timed = _run_info(job, progress, folder), self._minutes is not None
        with signals:
            try:
                console.log_to(folder)
                _say_start(job, console, folder)
                if not timed:
                    self._say_course()
                self._prepare()
                info = _run_info(job, progress, folder)
                if timed:  # it is planned now
                    self._say_course()
                self.observers.call("ftrun_before_run", run=info)
                with Saver(job, folder, console, signals) as save:
                    self._train(info, save)
                results = write_results(job, progress, folder, console, signals)
            except BaseException as error:
                _write_failure(folder, progress, error, console)
                self.observers.call("ftrun_on_error", run=info, error=error)
                raise
            if self.plugins:  # the run is over, and its status says so: nothing that happens here changes that
                log = partial(folder.append_line, "log.txt")
                splits, net = job.feed.splits, job.learner.net
                call_plugins(self.plugins, FinishedRun(folder.path, job.spec, splits, net, console.say, log))
            self.observers.call("ftrun_after_run", run=info, results=results)
            return results

    def _prepare(self) -> None:
        """Decode the data and choose the precision; a run that goes on computes in the precision that it had."""
        job = self.job
        minutes = self._minutes
        if not self.short:
            prepare.decode(job, self.console, self.signals)
        if "data" not in self.resolved:
            prepare.choose_precision(job, self.console.say, self.signals, 60 * minutes if minutes else None)
            self.resolved |= asdict(job.engine.setting)
            self.resolved["data"] = identity.fingerprints(job.feed.splits)
        if minutes:
            live = self.console, self.signals
            prepare.keep_time(job, self.recipe, self.resolved["recipe"], self.progress, *live, self._record_course)
            if self.recipe:
                self.recipe.spec = job.spec
                self.resolved["recipe"] |= self.recipe.record()
        self.resolved["notes"] = [*dict.fromkeys([*self.resolved["notes"], *job.feed.splits.notes])]
        self.folder.write_json("resolved.json", self.resolved)
        prepare.compile_nets(job)

    @property
    def _minutes(self) -> float | None:
        """The time that the run has, where it is limited."""
        minutes: float | None = (self.resolved.get("recipe") or {}).get("minutes")
        return None if self.short else minutes

    def _say_course(self) -> None:
        """Show what is new about how the run trains: what its recipe came to, and what becomes of batch norm."""
        job = self.job
        if self.recipe:
            self.console.say(self.recipe.line)
        if line := norm.reason(job.learner.net, job.spec.train, job.feed.steps_per_epoch, job.learner.plan.norms):
            self.console.say(line)

    def _record_course(self) -> None:
        """Have resolved.json say what the run is for, as it is planned now: never older than a checkpoint."""
        job = self.job
        job.spec = job.spec.model_copy(update={"train": job.spec.train.following(job.course)})
        self.resolved["spec"] = {**job.spec.resolved(), "parts": self.resolved["spec"].get("parts")}
        self.resolved["norms"] = job.learner.plan.norms
        self.resolved["recipe"]["knots"] = [list(knot) for knot in job.course.knots]
        self.folder.write_json("resolved.json", self.resolved)

    def _train(self, info: RunInfo, save: Saver) -> None:
        """Train epoch by epoch; the observers see each, and may end the run with it."""
        progress = self.progress
        for epoch in fit(self.job, progress, save, self.console, self.signals):
            self.folder.append_metrics(epoch.metrics)
            progress.stopped, progress.stopped_by = self.observers.reason_to_stop(info, epoch)
            save.epoch(progress, epoch)
            if self.job.timekeeper:
                self.job.timekeeper.after_epoch(self.job, progress)
            self.observers.call("ftrun_after_epoch", run=info, epoch=epoch)
            self.console.epoch(f"epoch {epoch.epoch}/{self.job.course.epochs}", epoch.metrics, epoch.best)
        if progress.epoch < self.job.course.epochs:
            self.console.say(f"stopped early: {progress.stopped}")


def _run_info(job: Job, progress: Progress, folder: RunFolder) -> RunInfo:
    return RunInfo(
        name=folder.path.name,
        folder=folder.path,
        spec=job.spec.resolved(),
        device=str(job.engine.device),
        samples=job.feed.samples,
        epochs=job.course.epochs,
        steps_per_epoch=job.feed.steps_per_epoch,
        epochs_done=progress.epoch,
    )


def _say_start(job: Job, console: Console, folder: RunFolder) -> None:
    samples = ", ".join(f"{count:,} {name}" for name, count in job.feed.samples.items())
    weights = sum(parameter.numel() for parameter in job.learner.net.parameters())
    console.say(
        f"{folder.path}: {job.spec.backbone.name} ({weights / 1e6:.1f} M weights) on {job.spec.dataset.name} "
        f"({samples}), on {job.engine.device}"
    )
    if job.val_was_cut:
        console.say("the dataset has no val split: one is cut from train")
    if job.feed.splits.test is None:
        console.say("the dataset has no test split: the best epoch is judged on val alone, which chose it")


def _write_failure(folder: RunFolder, progress: Progress, error: BaseException, console: Console) -> None:
    state = "failed"
    if isinstance(error, DivergedError):
        state = "diverged"
    elif isinstance(error, Interrupted | KeyboardInterrupt | SystemExit):
        state = "interrupted"
    with suppress(FtrunError):  # the disk may be what failed; the error itself says so
        folder.write_status(state, epoch=progress.epoch, step=progress.step, reason=str(error) or type(error).__name__)
        if isinstance(error, Interrupted | WorkerLost) and saved(folder):
            console.say(f"saved at step {progress.step}; to go on: ftrun resume {folder.path}")
        elif state == "interrupted":
            at_once = "" if isinstance(error, Interrupted) else " at once"
            console.say(f"stopped{at_once}, at step {progress.step}; {_saved_step(folder)}")


def _saved_step(folder: RunFolder) -> str:
    """Return what of a run that was stopped at once is saved, and how to go on."""
    for path in saved(folder):
        with suppress(Damaged):
            return f"saved is step {checkpoint.load_net(path)['step']}; to go on: ftrun resume {folder.path}"
    return f"nothing is saved yet; ftrun resume {folder.path} begins anew"
