"""What a run does before its first step: it decodes its inputs, and finds the precision that is the fastest here."""

from collections.abc import Callable

from ftrun.contracts.data import Split
from ftrun.contracts.inputs import InputSpec
from ftrun.data.decoded import Decoder
from ftrun.data.remarks import remarks
from ftrun.runs.console import Console
from ftrun.train import tuning
from ftrun.train.feed import decoder
from ftrun.train.job import Job
from ftrun.train.nets import compile_net
from ftrun.train.signals import Signals


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


def choose_precision(job: Job, say: Callable[[str], None], signals: Signals) -> None:
    """Have the job compute in the precision and memory format that are the fastest, of those that the spec allows."""
    learner, feed, engine = job.learner, job.feed, job.engine
    learner.plan.enter_epoch(learner.net, learner.plan.widest_phase)
    phase = learner.plan.number(learner.plan.widest_phase)
    train, val = (feed.loaders[name].steps(1) for name in ("train", "val"))
    embeds = not learner.net.heads
    work = learner.plan.work(train, val, augmented=bool(feed.ready.augmenter), embeds=embeds)
    first, ready = feed.loader_in("train", phase).sample, feed.ready_in(phase)
    measured_on = learner.net, learner.objective, work, first, ready, engine.device, engine.graphs
    job.compute_in(tuning.choose(job.spec.train, *measured_on, say, signals.check))


def compile_nets(job: Job) -> None:
    """Compile the net, and the average of its weights, if the spec asks for it: in the precision that was chosen."""
    if job.spec.train.compile:
        for net in {job.learner.net, job.learner.evaluated_net}:
            compile_net(net, job.engine.device)
