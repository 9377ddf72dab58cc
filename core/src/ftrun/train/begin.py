"""How a run begins: anew, from a checked spec, or after a break, from its folder."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from ftrun.contracts.data import Splits
from ftrun.contracts.errors import SpecError
from ftrun.plugins.catalogue import Catalogue
from ftrun.runs import environment, identity
from ftrun.runs.console import Console
from ftrun.runs.folder import PARTS, RunFolder
from ftrun.runs.progress import Progress
from ftrun.spec.runspec import RunSpec
from ftrun.train import init_from
from ftrun.train.assemble import assemble
from ftrun.train.device import choose_device, if_here
from ftrun.train.job import Job
from ftrun.train.loop import is_over
from ftrun.train.observers import Observers
from ftrun.train.opendata import open_data
from ftrun.train.patience import patience_of
from ftrun.train.recipes import Recipe
from ftrun.train.saver import restore, saved, saved_states
from ftrun.train.session import Session
from ftrun.train.signals import Signals
from ftrun.train.tuning import ComputeFormat


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
    init_from: Path | None = None
    short: bool = False
    """Whether a few batches of the data are enough."""
    with_plugins: bool = True
    """Whether plugins are called with the finished run, which may write something about it."""
    quiet: bool = False
    """Whether nothing is shown; the log has it all."""
    started: float = field(default_factory=perf_counter)
    """When the command was given, by perf_counter: before torch was loaded."""


def run(request: Request, signals: Signals | None = None) -> dict[str, Any]:
    """Do the run and give what results.json holds. Every way out of it leaves a truthful status.json."""
    return run_in_folder(request, signals)[1]


def run_in_folder(request: Request, signals: Signals | None = None) -> tuple[RunFolder, dict[str, Any]]:
    """Do the same, and return the run folder too."""
    console = Console(request.started, quiet=request.quiet)
    weights = init_from.find(request.init_from) if request.init_from else None
    local = request.catalogue.local
    # From here on, the local parts are the copy in the run folder.
    spec = request.spec.model_copy(update={"parts_": f"{PARTS}/{local.name}" if local else None})
    device = choose_device(request.device)
    data = open_data(spec, console.say) if spec.recipe else None
    recipe = Recipe.of(spec, data.splits, device, request.catalogue) if data else None
    spec = recipe.spec if recipe else spec
    job = assemble(spec, device, console.say, weights=weights, short=request.short, data=data)
    observers = Observers(spec, console.say, patience_of(spec, job.monitor))
    description = _description(
        job, request.catalogue
    )  # a target that no plugin offers is an error before anything is there
    folder = RunFolder.create(request.out, request.name)
    with folder.locked():
        if local:
            folder.keep_parts(local)
            local.remember()
        folder.write("spec.json", request.text)
        resolved = {
            "spec": spec.resolved(),
            "paths": identity.paths_of(spec),
            "set": list(request.overrides),
            "init_from": asdict(job.source) if job.source else None,
            "recipe": recipe.record() if recipe else None,
            **description,
        }
        folder.write_json("resolved.json", resolved)
        folder.write_status("running", epoch=0, step=0)
        plugins = request.catalogue if request.with_plugins and not request.short else None
        signals = signals or Signals()
        live = observers, console, signals
        session = Session(job, Progress(), folder, resolved, *live, plugins, request.short, recipe)
        return folder, session.carry_out()


def resume(
    folder: RunFolder,
    catalogue: Catalogue,
    epochs: int | None,
    device: str | None,
    signals: Signals | None = None,
    *,
    short: bool = False,
    with_plugins: bool = True,
    other_data: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Go on from the run's last checkpoint, with the spec that it was started with, and give its results.

    epochs: how long the run is to be in all, if longer than it was
    short: whether it was started with a few batches of the data; then, or without with_plugins, no plugin is called
        with the finished run
    other_data: whether to go on although the content of the data is not what it was
    quiet: whether nothing is shown; the log has it all

    Raises FtrunError where the environment, the data or the checkpoints do not allow it.
    """
    started = perf_counter()
    resolved = folder.read_json("resolved.json")
    spec = environment.recorded_spec(folder, resolved, catalogue)
    environment.check_torch(resolved["versions"]["torch"])
    if epochs is not None:
        if epochs < spec.train.epochs:
            raise SpecError(f"--epochs {epochs}: this run is for {spec.train.epochs} epochs; it can only be extended.")
        spec = _extended(spec, epochs, resolved)
    with folder.locked():
        console = Console(started, quiet=quiet)
        device = device or if_here(resolved["device"])
        states = saved_states(folder, resolved)
        changed: list[str] = []

        def inspect(splits: Splits) -> Splits:
            way_out = "Bring the data back, or start a new run from its weights: ftrun run SPEC --init-from RUN."
            splits, found = identity.check(resolved, splits, way_out, allowed=other_data)
            changed.extend(found)
            return splits

        for line in identity.not_from_here(resolved):
            console.say(line)
        with identity.explaining_missing(resolved):
            job = assemble(
                spec,
                choose_device(device),
                console.say,
                states=states,
                setting=ComputeFormat(resolved["precision"], resolved["memory_format"]),
                norms=resolved["norms"],
                short=short,
                inspect=inspect,
            )
        observers = Observers(spec, console.say, patience_of(spec, job.monitor))
        description = _description(job, catalogue)
        if "data" not in resolved:  # it ended before its data was decoded: nothing of it is older than this
            resolved |= description
        now = {**description, "data": identity.fingerprints(job.feed.splits)}
        if resolved.get("init_from") and not saved(folder):
            init_from.again(job.learner.net, resolved["init_from"])
            if job.learner.average:
                job.learner.average.start()
        progress = restore(job, folder, console.say)
        if epochs is not None and progress.phase_steps:
            progress.phase_steps = list(spec.train.course(job.feed.steps_per_epoch).phases)
            job.follow_recorded(progress)
        console.began_earlier(progress.seconds_of.get("total", 0.0))
        if epochs is not None and is_over(job, progress) and progress.epoch < epochs:
            raise SpecError(f"--epochs {epochs}: this run was stopped by {progress.stopped_by}, and would be again.")
        folder.remove_leftovers()
        resolved["spec"]["train"] = spec.resolved()["train"]
        resolved |= identity.replaced(resolved, now, changed, progress.step)
        folder.write_json("resolved.json", resolved)
        if identity.best_is_of_other_data(resolved, progress):
            progress.best_val = {}  # no figure of other data is better or worse than one of this
            console.say("val is other data than the best epoch was chosen on: it is chosen anew, from here on")
        folder.write_metrics(progress.history)
        folder.write_status("running", epoch=progress.epoch, step=progress.step)
        console.log_to(folder)
        console.say(f"resumed at step {progress.step}, epoch {progress.epoch + 1}")
        for difference in environment.differences(resolved, now):
            console.say(f"not as it was: {difference}")
        for change in changed:
            console.say(f"the data is not what this run began with: {change}")
        plugins = catalogue if with_plugins and not short else None
        signals = signals or Signals()
        return Session(job, progress, folder, resolved, observers, console, signals, plugins, short).carry_out()


def _extended(spec: RunSpec, epochs: int, resolved: dict[str, Any]) -> RunSpec:
    """Return the spec of a run that is extended. The time that it had, if it had one, is no limit any more."""
    train = spec.train.extended(epochs)
    added = len(train.each_phase) - len(spec.train.each_phase)
    resolved["norms"] = [*resolved["norms"], *resolved["norms"][-1:] * added]
    if epochs > spec.train.epochs and resolved.get("recipe"):
        resolved["recipe"]["minutes"] = None
    return spec.model_copy(update={"train": train})


def _description(job: Job, catalogue: Catalogue) -> dict[str, Any]:
    """Return what resolved.json says of a run beside its spec, but for the content of its data."""
    return {
        "monitor": job.monitor.as_json,
        "input": job.learner.net.input.model_dump(mode="json"),
        "targets": {name: target.model_dump(mode="json") for name, target in job.learner.net.targets.items()},
        "samples": job.feed.samples,
        "notes": list(job.feed.splits.notes),
        "class_counts": environment.class_counts(job.feed.splits),
        "seed": job.spec.seed,
        "device": str(job.engine.device),
        "threads": torch.get_num_threads(),
        **asdict(job.engine.setting),
        "norms": job.learner.plan.norms,
        "steps_per_epoch": job.feed.steps_per_epoch,
        "plugins": environment.plugins_of(job.spec, catalogue, job.learner.net.targets),
        "versions": environment.versions(),
        "machine": environment.machine(job.engine.device),
    }
