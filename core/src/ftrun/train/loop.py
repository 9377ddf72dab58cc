"""Training, from top to bottom in the order in which things happen."""

import math
from collections.abc import Sequence
from functools import partial
from time import perf_counter

import torch
from torch import Tensor

from ftrun.contracts.data import Batch
from ftrun.contracts.errors import DataError, DivergedError, FtrunError, Interrupted, WorkerLost
from ftrun.contracts.figures import is_figure
from ftrun.contracts.net import outputs_by_target
from ftrun.contracts.randomness import reseed, seed_of
from ftrun.runs.console import Bar, Report
from ftrun.runs.progress import Progress
from ftrun.train import memory
from ftrun.train.assemble import Job
from ftrun.train.embedded import output
from ftrun.train.evaluate import evaluate
from ftrun.train.guard import GoBack, Guard
from ftrun.train.saver import Saver
from ftrun.train.signals import Signals


def fit(job: Job, progress: Progress, save: Saver, report: Report, signals: Signals) -> None:
    """Train for the spec's epochs, or until patience ends; keeps the best checkpoint and the last."""
    if job.spec.train.on_nonfinite == "back" and progress.step == 0:
        save.last(progress)  # there has to be something to go back to
    try:
        while not is_over(job, progress):
            try:
                run_epoch(job, progress, save, report, signals)
            except GoBack as reason:
                save.go_back(progress, str(reason))
    except (Interrupted, WorkerLost):  # come between two steps or two batches of val: all that is saved is whole
        save.last(progress)
        raise
    if progress.epoch < job.spec.train.epochs:
        report.say(f"stopped early: no better {job.monitor} in {job.spec.train.patience} epochs")


def is_over(job: Job, progress: Progress) -> bool:
    """Whether there is no epoch left to train: all are done, or patience ended."""
    train = job.spec.train
    waited = progress.epoch - progress.improved_epoch
    return progress.epoch >= train.epochs or (train.patience is not None and waited >= train.patience)


def run_epoch(job: Job, progress: Progress, save: Saver, report: Report, signals: Signals) -> None:
    """Train one epoch, or what is left of it, evaluate on val, save."""
    epoch = progress.epoch + 1
    title = f"epoch {epoch}/{job.spec.train.epochs}"

    with report.progress(title, job.loaders["train"].samples) as bar:
        train_loss = train_epoch(job, progress, save, report, bar, signals)
    started = perf_counter()
    with report.progress("  val", job.loaders["val"].samples) as bar:
        portions = job.portions(progress.micro_batch, report.say)
        loader = job.embeddings.loader(job, "val", epoch, portions, signals) or job.loaders["val"]
        val = evaluate(job, loader, bar, signals, portions=portions)
        progress.micro_batch = portions.size

    figures = {
        "epoch": epoch,
        "step": progress.step,
        "lr": max(group["lr"] for group in job.optimizer.param_groups),
        "train/loss": train_loss,
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
        report.say(
            f"epoch {epoch}: {job.monitor} is undefined (nan): such an epoch is no better than any other, for the best "
            "epoch as for train.patience; of several, the one with the smallest val/loss is kept"
        )
    progress.epoch = epoch
    progress.loss_sum, progress.samples, progress.seconds = 0.0, 0, 0.0
    progress.history.append(figures)
    save.epoch(progress, is_best)
    report.epoch(title, figures, is_best)


def train_epoch(job: Job, progress: Progress, save: Saver, report: Report, bar: Bar, signals: Signals) -> float:
    """One pass over the training samples, or what is left of it; the mean loss.

    Raises DivergedError, or GoBack, where the loss or the gradient is not finite.
    """
    train, seed, net, optimizer = job.spec.train, job.spec.seed, job.net, job.optimizer
    epoch, done = progress.epoch + 1, progress.step - progress.epoch * job.steps_per_epoch
    all_steps = train.epochs * job.steps_per_epoch
    began = perf_counter() - progress.seconds
    bar.advance(progress.samples)
    guard = Guard(job)
    rates = job.plan.begin(net, epoch)  # freezes what is frozen in this epoch
    portions = job.portions(progress.micro_batch, report.say)
    loader = job.embeddings.loader(job, "train", epoch, portions, signals) or job.loaders["train"]
    progress.micro_batch = portions.size
    net.train()
    job.graphs.begin()
    learning = [each for part in (net, job.losses) for each in part.parameters() if each.requires_grad]
    ready = partial(job.ready, epoch=epoch)  # augments and normalises

    for batches in progress.timed("data", loader.shuffled(seed, epoch, ready, accumulate=train.accumulate, start=done)):
        samples = sum(len(batch) for batch in batches)
        factor = job.schedule(progress.step / all_steps) * train.warm_up(progress.step, job.steps_per_epoch)
        factor *= progress.rate_scale
        for group, lr, rate in zip(optimizer.param_groups, job.learning_rates, rates, strict=True):
            group["lr"] = lr * rate * factor

        guard.before_step()
        loss = gradients(job, batches, samples, progress, report)
        mean_loss = guard.step(loss, learning, progress.step, batches)  # clips; the weights change here
        if mean_loss is not None:
            if job.average:
                job.average.update(progress.step)
            progress.loss_sum += mean_loss * samples
            progress.samples += samples
        else:
            progress.skipped.append(progress.step + 1)
            report.say(f"step {progress.step + 1}: skipped, its loss or gradient is not finite")
        for parameter in learning:
            parameter.grad = None  # what optimizer.zero_grad does, without the 18 us that its profiling takes

        progress.step += 1
        if progress.step == 1:
            progress.took("first_step", report.started)
        progress.seconds = perf_counter() - began
        bar.advance(samples, loss)
        if signals.waiting or save.due():
            signals.check()
            save.last(progress)

    if not progress.samples:
        if sum(each.split == "train" for each in job.corrupt.found) == job.loaders["train"].samples:
            raise DataError("no sample of train can be read.")
        raise DivergedError(f"every step of epoch {epoch} was skipped. Try a lower optimizer.lr, or train.clip.")
    return progress.loss_sum / progress.samples


def gradients(job: Job, batches: Sequence[Batch], samples: int, progress: Progress, report: Report) -> Tensor:
    """Leave the gradient of the mean loss over a step's samples in the parameters, and give that loss, a scalar.

    Where memory does not suffice, the batches go through the net in smaller parts, from then on: the gradient is of
    the same samples. (Batch normalisation sees a part at a time.) Raises FtrunError where one sample is too much.
    """
    given = progress.micro_batch
    while True:
        try:
            loss = _gradients(job, batches, samples, progress)
        except RuntimeError as error:
            if not memory.is_out_of_memory(error):
                raise
            smaller = memory.halved(progress.micro_batch, max(batches, key=len))
        else:
            if progress.micro_batch != given:
                report.say(
                    f"out of memory: from now on batches go through the net {progress.micro_batch} samples at a time; "
                    "each step still learns from as many as before"
                )
            return loss
        # Out of the handler, the error and all that its frames held on to are gone.
        job.optimizer.zero_grad(set_to_none=True)
        had_graphs = job.graphs.give_up("memory is short")
        memory.release(job.device)
        if had_graphs:
            continue  # without what they kept, there may be enough
        if smaller is None:
            raise FtrunError(memory.TOO_LITTLE)
        progress.micro_batch = smaller


def _gradients(job: Job, batches: Sequence[Batch], samples: int, progress: Progress) -> Tensor:
    parts = batches
    if progress.micro_batch is not None:
        parts = [part for batch in batches for part in batch.parts(progress.micro_batch)]
    losses = []
    for position, part in enumerate(parts):
        place = progress.step * 2**16 + position
        reseed(job.device, (seed_of(job.spec.seed, "step") + place) % 2**63)  # for dropout and the like
        if len(parts) == 1:
            return job.graphs.run(partial(_forward_backward, job), part)
        losses.append(_forward_backward(job, part, len(part) / samples))
    return sum(losses, torch.zeros((), device=job.device))


def _forward_backward(job: Job, part: Batch, weight: float = 1.0) -> Tensor:
    with job.lone_samples.allowed(part):
        with job.setting.autocast(job.device):
            outputs = outputs_by_target(job.net, output(job.net, part))
        loss = job.losses(outputs, part.targets)
    if weight != 1:
        loss = loss * weight
    loss.backward()
    value: Tensor = loss.detach()
    return value
