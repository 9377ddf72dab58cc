"""Training, from top to bottom in the order in which things happen."""

import math
from collections.abc import Iterator
from functools import partial
from time import perf_counter

from ftrun.contracts.data import Batch
from ftrun.contracts.errors import DataError, DivergedError, Interrupted, WorkerLost
from ftrun.contracts.events import EpochInfo
from ftrun.contracts.numbers import is_figure
from ftrun.contracts.objective import StepInfo
from ftrun.runs.console import Bar, Console
from ftrun.runs.progress import Progress
from ftrun.train import statistics
from ftrun.train.evaluate import evaluate
from ftrun.train.guard import GoBack, Guard
from ftrun.train.job import Job
from ftrun.train.saver import Saver
from ftrun.train.signals import Signals


def fit(job: Job, progress: Progress, save: Saver, console: Console, signals: Signals) -> Iterator[EpochInfo]:
    """Train and evaluate epoch by epoch; yield each, to be saved, until all are done or `progress.stopped` is set."""
    if job.spec.train.on_nonfinite == "back" and progress.step == 0:
        save.last(progress)  # there has to be something to go back to
    while not is_over(job, progress):
        try:
            epoch = run_epoch(job, progress, save, console, signals)
        except GoBack as reason:
            save.go_back(progress, str(reason))
        except (Interrupted, WorkerLost):  # come between two steps or two batches of val: all that is saved is whole
            save.last(progress)
            raise
        else:
            yield epoch


def is_over(job: Job, progress: Progress) -> bool:
    """Whether there is no epoch left to train: all are done, or an observer had a reason to stop."""
    return progress.epoch >= job.course.epochs or bool(progress.stopped)


def run_epoch(job: Job, progress: Progress, save: Saver, console: Console, signals: Signals) -> EpochInfo:
    """Train one epoch, or what is left of it, and evaluate on val."""
    epoch = progress.epoch + 1
    title = f"epoch {epoch}/{job.course.epochs}"

    with console.progress(title, job.feed.loaders["train"].per_epoch) as bar:
        trained = train_epoch(job, progress, save, console, bar, signals)
    started = perf_counter()
    with console.progress("  val", job.feed.loaders["val"].samples) as bar:
        portions = job.portions(progress)
        statistics.renew(job, epoch, portions, signals.check)
        loader = job.feed.embeddings.loader(job, "val", epoch, portions, signals) or job.feed.loaders["val"]
        val = evaluate(job.evaluator, loader, bar, signals, portions=portions)
        progress.micro_batch = portions.size

    metrics = {
        "epoch": epoch,
        "step": progress.step,
        "lr": max(group["lr"] for group in job.learner.optimizer.param_groups),
        **{f"train/{name}": value for name, value in trained.items()},
        **{f"val/{name}": value for name, value in val.items() if is_figure(value)},
        "seconds/train": round(progress.seconds, 3),
        "seconds/eval": round(perf_counter() - started, 3),
    }
    if job.monitor.improves(val, progress.best_val):
        progress.improved_epoch = epoch
    is_best = job.monitor.is_better(val, progress.best_val)
    if is_best:
        progress.best_epoch, progress.best_val = epoch, val
    if math.isnan(job.monitor.value(val)) and not progress.undefined:
        progress.undefined = True
        console.say(
            f"epoch {epoch}: {job.monitor} is undefined (nan): such an epoch is no better than any other, for the best "
            "epoch as for train.patience; of several, the one with the smallest val/loss is kept"
        )
    progress.epoch = epoch
    progress.sums, progress.samples, progress.seconds = {}, 0, 0.0
    progress.history.append(metrics)
    return EpochInfo(epoch, progress.step, metrics, is_best, progress.improved_epoch)


def train_epoch(
    job: Job, progress: Progress, save: Saver, console: Console, bar: Bar, signals: Signals
) -> dict[str, float]:
    """One pass over the training samples, or what is left of it; the mean loss, and the means of its parts.

    Raises DivergedError, or GoBack, where the loss or the gradient is not finite.
    """
    train, feed, learner, engine = job.spec.train, job.feed, job.learner, job.engine
    epoch = progress.epoch + 1
    began = perf_counter() - progress.seconds
    bar.advance(progress.samples)
    guard = Guard(job.spec, learner, engine.device)
    rates, learning = learner.enter_epoch(epoch)
    phase = learner.plan.number(epoch)
    portions = job.portions(progress)
    loader = feed.embeddings.loader(job, "train", epoch, portions, signals) or feed.loader_in("train", phase)
    progress.micro_batch = portions.size
    learner.net.train()
    engine.graphs.begin()
    reached, draw = job.course.progress_of(epoch), learner.plan.draw(epoch)
    ready = partial(feed.ready_in(phase).at(reached), draw=draw)  # augments and normalises
    done = progress.step - job.course.begin(epoch)
    steps = loader.shuffled(job.spec.seed, epoch, ready, accumulate=train.accumulate, start=done)
    steps = feed.mixing.at(reached)(steps, epoch, progress.step)

    for batches in progress.timed("data", _until_over(job, progress, epoch, steps)):
        samples = sum(len(batch) for batch in batches)
        at = StepInfo(job.spec.seed, epoch, progress.step, job.course.progress(progress.step), training=True)
        factor = job.course.rate_factor(learner.schedule, progress.step)
        learner.set_rates(rates, factor * progress.rate_scale)

        guard.before_step()
        values = engine.gradients(learner, batches, samples, at, progress)
        means = guard.step(values, learning, at, batches)  # clips; the weights change here
        if means is not None:
            learner.after_step(at)
            progress.count(means, samples)
        else:
            progress.skipped.append(progress.step + 1)
            console.say(f"step {progress.step + 1}: skipped, its loss or gradient is not finite")
        for parameter in learning:
            parameter.grad = None  # what optimizer.zero_grad does, without the 18 us that its profiling takes

        progress.step += 1
        if progress.step == 1:
            progress.took("first_step", console.started)
        progress.seconds = perf_counter() - began
        bar.advance(samples, values["loss"])
        if signals.waiting or save.due():
            signals.check()
            save.last(progress)
        if job.timekeeper:
            job.timekeeper.after_step(job, progress)  # the rest may be planned anew

    if not progress.samples:
        if sum(each.split == "train" for each in job.feed.corrupt.samples) == job.feed.loaders["train"].samples:
            raise DataError("no sample of train can be read.")
        raise DivergedError(f"every step of epoch {epoch} was skipped. Try a lower optimizer.lr, or train.clip.")
    return {name: value / progress.samples for name, value in progress.sums.items()}


def _until_over(job: Job, progress: Progress, epoch: int, steps: Iterator[list[Batch]]) -> Iterator[list[Batch]]:
    """Yield the steps of an epoch; it may be cut short, also while it goes on."""
    while progress.step < job.course.end(epoch) and (batches := next(steps, None)) is not None:
        yield batches
