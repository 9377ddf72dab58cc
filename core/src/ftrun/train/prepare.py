"""What a run does before its first step: it decodes its inputs, and finds the precision that is the fastest here."""

from collections.abc import Callable

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
    targets = feed.splits.targets
    decoding = decoder(job.spec, feed.input, targets, console.say, **following)
    larger = decoder(job.spec, feed.kept, targets, console.say, **following, why=" for augmentation")
    splits = feed.splits.with_splits(
        {
            name: (larger if feed.input_of(name) != feed.input else decoding).split(split, name)
            for name, split in feed.splits.items()
        }
    )
    notes = remarks(splits)
    feed.read(splits.with_notes(*notes))
    for note in notes:
        console.say(note)


def choose_precision(job: Job, say: Callable[[str], None], signals: Signals) -> None:
    """Have the job compute in the precision and memory format that are the fastest, of those that the spec allows."""
    learner, feed, engine = job.learner, job.feed, job.engine
    learner.plan.enter_epoch(learner.net, learner.plan.widest_phase)
    train, val = (feed.loaders[name].steps(1) for name in ("train", "val"))
    embeds = not learner.net.heads
    work = learner.plan.work(train, val, augmented=bool(feed.ready.augmenter), embeds=embeds)
    first = feed.loaders["train"].sample
    measured_on = learner.net, learner.objective, work, first, feed.ready, engine.device, engine.graphs
    job.compute_in(tuning.choose(job.spec.train, *measured_on, say, signals.check))


def compile_nets(job: Job) -> None:
    """Compile the net, and the average of its weights, if the spec asks for it: in the precision that was chosen."""
    if job.spec.train.compile:
        for net in {job.learner.net, job.learner.evaluated_net}:
            compile_net(net, job.engine.device)
