"""Training, from top to bottom in the order in which things happen."""

import math
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import torch

from ftrun.errors import DivergedError, Interrupted
from ftrun.net import outputs_by_target
from ftrun.randomness import SampleRandom, reseed, seed_of
from ftrun.run.assemble import Job, total_loss
from ftrun.run.evaluate import autocast, evaluate
from ftrun.run.loader import groups
from ftrun.run.report import Bar, Report
from ftrun.run.saver import Saver
from ftrun.run.signals import Signals


@dataclass
class Progress:
    """How far a run is; with the weights and the optimizer, all there is to know of it."""

    epoch: int = 0
    """Epochs that are complete."""
    step: int = 0
    """Optimizer steps that are done."""
    best_epoch: int = 0
    best_val: dict[str, Any] = field(default_factory=dict)
    """What `evaluate` gave for val in the best epoch."""
    history: list[dict[str, float]] = field(default_factory=list)
    """Each epoch's figures: the lines of metrics.jsonl."""


def fit(job: Job, progress: Progress, save: Saver, report: Report, signals: Signals) -> None:
    """Train for the spec's epochs, or until patience ends; keeps the best checkpoint and the last."""
    train = job.spec.train
    try:
        while progress.epoch < train.epochs:
            run_epoch(job, progress, save, report, signals)
            if train.patience is not None and progress.epoch - progress.best_epoch >= train.patience:
                report.say(f"stopped early: no better {job.spec.monitor} in {train.patience} epochs")
                break
    except Interrupted:  # comes between two steps or two batches of val, so all that is saved is whole
        save.last(progress)
        raise


def run_epoch(job: Job, progress: Progress, save: Saver, report: Report, signals: Signals) -> None:
    """Train one epoch, evaluate on val, save."""
    epoch = progress.epoch + 1
    title = f"epoch {epoch}/{job.spec.train.epochs}"

    started = perf_counter()
    with report.progress(title, job.loaders["train"].samples) as bar:
        train_loss = train_epoch(job, epoch, progress, bar, signals)
    trained = perf_counter()
    with report.progress("  val", job.loaders["val"].samples) as bar:
        val = evaluate(job, "val", bar, signals)
    evaluated = perf_counter()

    progress.epoch = epoch
    figures = {
        "epoch": epoch,
        "step": progress.step,
        "lr": max(group["lr"] for group in job.optimizer.param_groups),
        "train/loss": train_loss,
        **{f"val/{name}": value for name, value in val.items() if isinstance(value, float)},
        "seconds/train": round(trained - started, 3),
        "seconds/eval": round(evaluated - trained, 3),
    }
    is_best = _is_best(job, progress, val)
    if is_best:
        progress.best_epoch, progress.best_val = epoch, val
    progress.history.append(figures)
    save.epoch(progress, is_best)
    report.epoch(title, figures, is_best)


def train_epoch(job: Job, epoch: int, progress: Progress, bar: Bar, signals: Signals) -> float:
    """One pass over the training samples; the mean loss. Raises DivergedError where that is not finite."""
    train, seed, net, optimizer = job.spec.train, job.spec.seed, job.net, job.optimizer
    total_steps = train.epochs * job.steps_per_epoch
    loss_sum = torch.zeros((), device=job.device)
    net.train()

    for micro_batches in groups(job.loaders["train"].shuffled(seed, epoch), train.accumulate):
        samples = sum(len(batch) for batch in micro_batches)
        factor = job.schedule(progress.step / total_steps)
        for group, lr in zip(optimizer.param_groups, job.learning_rates, strict=True):
            group["lr"] = lr * factor

        for position, batch in enumerate(micro_batches):
            batch = augment(job, batch.to(job.device), epoch)
            reseed(job.device, seed_of(seed, "step", progress.step, position))  # for dropout and the like
            with autocast(job):
                outputs = outputs_by_target(net, net(net.input.prepare(batch.inputs)))
            loss = total_loss(job.losses, outputs, batch.targets)
            (loss * (len(batch) / samples)).backward()  # type: ignore[no-untyped-call]
            loss_sum += loss.detach() * len(batch)  # stays on the device: reading it would make the loop wait

        if train.clip is not None:
            torch.nn.utils.clip_grad_norm_(net.parameters(), train.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

        progress.step += 1
        bar.advance(samples, loss)
        signals.check()

    mean_loss = float(loss_sum) / job.loaders["train"].samples
    if not math.isfinite(mean_loss):
        raise DivergedError(
            f"training diverged: the mean loss of epoch {epoch} is {mean_loss}. "
            "Try a lower optimizer.lr, or train.clip to bound the gradient."
        )
    return mean_loss


def augment(job: Job, batch: Any, epoch: int) -> Any:
    """The batch after each augmentation in order; a sample's draws depend on (seed, epoch, sample) alone."""
    for position, augmentation in enumerate(job.augmentations):
        batch = augmentation(batch, SampleRandom(seed_of(job.spec.seed, "augment", epoch, position), batch.ids))
    return batch


def _is_best(job: Job, progress: Progress, val: dict[str, Any]) -> bool:
    """Whether these val figures are the best so far, by `train.monitor`; a tie goes to the earlier epoch."""
    name = job.spec.monitor.removeprefix("val/")
    best, value = progress.best_val.get(name), val[name]
    if best is None or math.isnan(best):
        return True
    return bool(value > best if job.spec.monitors[job.spec.monitor] else value < best)
