"""What a run does before its first step: it decodes its inputs, and finds the precision that is the fastest here."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from ftrun.contracts.data import Split
from ftrun.contracts.inputs import InputSpec
from ftrun.data.decoded import Decoder
from ftrun.data.remarks import remarks
from ftrun.runs.console import Console
from ftrun.runs.progress import Progress
from ftrun.train import tuning
from ftrun.train.feed import decoder
from ftrun.train.job import Job
from ftrun.train.nets import compile_net
from ftrun.train.pace import costs_of, measure, pace_of
from ftrun.train.recipes import Recipe
from ftrun.train.signals import Signals
from ftrun.train.timekeeper import Costs, Timekeeper


def decode(job: Job, console: Console, signals: Signals) -> None:
    """Decode what can be kept decoded, and note what a user has to know of the samples."""
    feed = job.feed
    following = {"progress": console.progress, "check": signals.check}
    decoders: list[tuple[InputSpec, Decoder]] = []

    def decoded(split: Split, name: str, phase: int = -1) -> Split:
        prepare = feed.input_of(name, phase)
        known = next((each for known, each in decoders if known == prepare), None)  # train and val may share one
        if known is None:
            larger = prepare != feed.train_inputs[phase].seen
            why = "" if prepare == feed.input else " for augmentation" if larger else " of a phase"
            known = decoder(job.spec, prepare, feed.splits.targets, console.say, **following, why=why)
            decoders.append((prepare, known))
        return known.split(split, name)

    train = [decoded(feed.splits.training, "train", phase) for phase in range(len(feed.train_inputs))]
    others = {name: decoded(split, name) for name, split in feed.splits.items() if name != "train"}
    splits = feed.splits.with_splits({"train": train[-1], **others})
    notes = remarks(splits)
    feed.read(splits.with_notes(*notes), train)
    for note in notes:
        console.say(note)


def choose_precision(job: Job, say: Callable[[str], None], signals: Signals, seconds: float | None = None) -> None:
    """Have the job compute in the precision and memory format that are the fastest, of those that the spec allows.

    seconds: the run's time, if it is limited
    """
    learner, feed, engine = job.learner, job.feed, job.engine
    learner.plan.enter_epoch(learner.net, learner.plan.widest_phase)
    phase = learner.plan.number(learner.plan.widest_phase)
    train, val = (feed.loaders[name].steps(1) for name in ("train", "val"))
    embeds = not learner.net.heads
    work = learner.plan.work(train, val, augmented=bool(feed.ready.augmenter), embeds=embeds)
    first, ready = feed.loader_in("train", phase).sample, feed.ready_in(phase)
    measured_on = learner.net, learner.objective, work, first, ready, engine.device, engine.graphs
    job.compute_in(tuning.choose(job.spec.train, *measured_on, say, signals.check, seconds=seconds))


def keep_time(
    job: Job,
    recipe: Recipe | None,
    record: dict[str, Any],
    progress: Progress,
    console: Console,
    signals: Signals,
    replanned: Callable[[], None],
) -> None:
    """Fit the run into its minutes, and have it kept to them; its recipe plans it, if it has not before.

    record: what resolved.json has of the recipe, with `minutes`; gets the plan
    replanned: called when the job has another course
    """
    seconds = 60 * record["minutes"]
    if record.get("costs"):
        costs = Costs(**deepcopy(record["costs"]))
    else:
        speed = measure(job, signals.check)
        if recipe:
            recipe.plan(pace_of(job, speed, seconds - console.seconds))
            job.learn_by(recipe.spec)
            record |= recipe.record()
        costs = costs_of(job, speed)
        record["costs"] = costs.as_json()
    job.timekeeper = Timekeeper(seconds, costs, lambda: console.seconds, console.say, replanned)
    job.timekeeper.begin(job, progress)
    replanned()


def compile_nets(job: Job) -> None:
    """Compile the net, and the average of its weights, if the spec asks for it: in the precision that was chosen."""
    if job.spec.train.compile:
        for net in {job.learner.net, job.learner.evaluated_net}:
            compile_net(net, job.engine.device)
