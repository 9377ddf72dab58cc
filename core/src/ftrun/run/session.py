"""A whole run, from a checked spec to its results."""

import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

import ftrun
from ftrun.catalogue import Catalogue
from ftrun.errors import DivergedError, FtrunError, Interrupted
from ftrun.events import RunInfo
from ftrun.run import checkpoint
from ftrun.run.assemble import Job, assemble, choose_device
from ftrun.run.evaluate import evaluate
from ftrun.run.folder import RunFolder
from ftrun.run.loop import Progress, fit
from ftrun.run.observers import Observers
from ftrun.run.report import Report, line_of
from ftrun.run.saver import Saver
from ftrun.run.signals import Signals
from ftrun.runspec import RunSpec


@dataclass(frozen=True)
class Request:
    """What the user asked for: the spec as given and as checked, and the command line's options."""

    spec: RunSpec
    name: str
    text: str
    overrides: Sequence[str]
    catalogue: Catalogue
    out: Path | None
    device: str | None


def run(request: Request) -> dict[str, Any]:
    """Do the run and give what results.json holds. Every way out of it leaves a truthful status.json."""
    started = perf_counter()
    report = Report()
    job = assemble(request.spec, choose_device(request.device))
    observers = Observers(request.spec, report.say)
    folder = RunFolder.create(request.out, request.name)
    progress = Progress()
    info = _run_info(request, job, folder)
    with Signals() as signals:
        try:
            _write_start(request, job, folder)
            report.log_to(folder)
            _say_start(job, report, folder)
            observers.call("ftrun_before_run", run=info)
            fit(job, progress, Saver(job, folder, info, observers), report, signals)
            results = _judge(job, progress, folder, report, signals, started)
        except BaseException as error:
            _write_failure(folder, progress, error)
            observers.call("ftrun_on_error", run=info, error=error)
            raise
        observers.call("ftrun_after_run", run=info, results=results)
        return results


def _run_info(request: Request, job: Job, folder: RunFolder) -> RunInfo:
    return RunInfo(
        name=folder.path.name,
        folder=folder.path,
        spec=request.spec.resolved(),
        device=str(job.device),
        samples=job.samples,
        epochs=request.spec.train.epochs,
        steps_per_epoch=job.steps_per_epoch,
    )


def _write_start(request: Request, job: Job, folder: RunFolder) -> None:
    folder.write_text("spec.json", request.text)
    plugins = []
    for where, part in request.spec.parts():
        owner = request.catalogue.owner(part.role, part.name)
        plugins.append({"part": where, "name": part.name, "distribution": owner.distribution, "version": owner.version})
    folder.write_json(
        "resolved.json",
        {
            "spec": request.spec.resolved(),
            "set": list(request.overrides),
            "monitor": request.spec.monitor,
            "input": job.net.input.model_dump(mode="json"),
            "targets": {name: target.model_dump(mode="json") for name, target in job.net.targets.items()},
            "seed": request.spec.seed,
            "device": str(job.device),
            "precision": request.spec.train.precision,
            "plugins": plugins,
            "versions": {
                "ftrun": ftrun.__version__,
                "python": platform.python_version(),
                "torch": str(torch.__version__),
            },
        },
    )
    folder.write_status("running", epoch=0, step=0)


def _say_start(job: Job, report: Report, folder: RunFolder) -> None:
    samples = ", ".join(f"{count:,} {name}" for name, count in job.samples.items())
    weights = sum(parameter.numel() for parameter in job.net.parameters())
    report.say(
        f"{folder.path}: {job.spec.backbone.name} ({weights / 1e6:.1f} M weights) on {job.spec.dataset.name} "
        f"({samples}), on {job.device}"
    )
    if job.val_was_cut:
        report.say("the dataset has no val split: one is cut from train")
    if job.splits.test is None:
        report.say("the dataset has no test split: the best epoch is judged on val alone, which chose it")


def _judge(
    job: Job, progress: Progress, folder: RunFolder, report: Report, signals: Signals, started: float
) -> dict[str, Any]:
    """Evaluate the best epoch's weights on test, if there is one, and write results.json."""
    checkpoint.load_weights(folder.checkpoints / "best", job.net)
    began = perf_counter()
    judged = {"val": progress.best_val}
    if "test" in job.loaders:
        with report.progress("test", job.loaders["test"].samples) as bar:
            judged["test"] = evaluate(job, "test", bar, signals)
    results = {
        "best_epoch": progress.best_epoch,
        "val": judged["val"],
        "test": judged.get("test"),
        "samples": job.samples,
        "seconds": {
            "train": round(sum(figures["seconds/train"] for figures in progress.history), 3),
            "eval": round(sum(figures["seconds/eval"] for figures in progress.history) + perf_counter() - began, 3),
            "total": round(perf_counter() - started, 3),
        },
    }
    folder.write_json("results.json", results)
    folder.write_status("finished", epoch=progress.epoch, step=progress.step)
    for split, figures in judged.items():
        report.say(f"{split} of best epoch {progress.best_epoch}: {line_of(figures)}")
    report.say(f"results: {folder.path / 'results.json'}")
    return results


def _write_failure(folder: RunFolder, progress: Progress, error: BaseException) -> None:
    state = "failed"
    if isinstance(error, DivergedError):
        state = "diverged"
    elif isinstance(error, Interrupted | KeyboardInterrupt | SystemExit):
        state = "interrupted"
    with suppress(FtrunError):  # the disk may be what failed; the error itself says so
        folder.write_status(state, epoch=progress.epoch, step=progress.step, reason=str(error) or type(error).__name__)
