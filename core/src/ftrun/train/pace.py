"""How fast a run computes here: measured on its own net and batches before the first step, so that it can be planned.

What is measured is rough, and need not be more: `timekeeper` follows what the run then takes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import torch

from ftrun.contracts.data import Batch
from ftrun.contracts.objective import StepInfo
from ftrun.contracts.recipe import Pace
from ftrun.train import memory
from ftrun.train.accel.buffers import KeptBuffers
from ftrun.train.forward import blaming
from ftrun.train.job import Job
from ftrun.train.timekeeper import Costs

_LONG_ENOUGH = 0.3  # seconds: what is measured for so long is not measured again
_MOST_TIMES = 3
_HEAD_STEP = 0.003  # seconds of a step of the head alone, on embeddings: hardly anything but the optimizer
_SAVING = 0.2  # seconds, of a checkpoint and what else an epoch ends with
_END = 1.5  # seconds from the results to the end of the process: what plugins write of the run


@dataclass(frozen=True)
class Speed:
    """Seconds of a batch: read and made ready, through the net, through the net forth and back."""

    read: float
    inference: float
    training: float


def measure(job: Job, check: Callable[[], None] = lambda: None) -> Speed:
    """Try a batch or two, and leave everything as it was.

    Where memory does not suffice for a whole batch, the times are no more than guesses: the run then finds a way.

    check: called between two measurements; raises what is to end them
    """
    learner, feed = job.learner, job.feed
    learner.plan.enter_epoch(learner.net, learner.plan.widest_phase)
    phase = learner.plan.number(learner.plan.widest_phase)
    began = perf_counter()
    raw = feed.loader_in("train", phase).sample()
    if raw is None:
        return Speed(0.0, 0.0, 0.0)
    batch = feed.ready_in(phase)(raw, learner.plan.draw(1))
    read = perf_counter() - began
    buffers = KeptBuffers(learner.net, learner.objective)
    try:
        inference = _seconds(lambda: _infer(job, batch), job, check)
        training = _seconds(lambda: _train(job, batch), job, check)
    except RuntimeError as error:
        if not memory.is_out_of_memory(error):
            raise
        return Speed(read, read, 3 * read)
    finally:
        learner.net.zero_grad(set_to_none=True)
        learner.objective.zero_grad(set_to_none=True)
        buffers.restore()
    return Speed(read, inference, training)


def _seconds(once: Callable[[], None], job: Job, check: Callable[[], None]) -> float:
    """Return the least seconds of a few times, after a first one that sets up what it needs."""
    taken: list[float] = []
    while len(taken) <= _MOST_TIMES and sum(taken[1:]) < _LONG_ENOUGH:
        check()
        began = perf_counter()
        once()
        if job.engine.device.type != "cpu":
            torch.accelerator.synchronize(job.engine.device)
        taken.append(perf_counter() - began)
    return min(taken[1:])


@torch.no_grad()
def _infer(job: Job, batch: Batch) -> None:
    job.learner.net.eval()
    with job.engine.autocast(), blaming(job.learner.net):
        job.learner.net(batch.inputs)


def _train(job: Job, batch: Batch) -> None:
    learner = job.learner
    learner.net.train()
    with job.engine.autocast():
        loss = learner.objective(learner.net, batch, StepInfo(0, training=True)).loss
    loss.backward()


def pace_of(job: Job, speed: Speed, seconds: float) -> Pace:
    """Return what a recipe plans by. seconds: what is left of the run's time"""
    steps = job.feed.steps_per_epoch
    batches = {name: loader.steps(1) for name, loader in job.feed.loaders.items()}
    return Pace(
        seconds=max(0.0, seconds - _end(job, speed)),
        steps_per_epoch=steps,
        features=(batches["train"] + batches["val"]) * (speed.inference + speed.read),
        head=steps * _HEAD_STEP + _SAVING,
        everything=batches["train"] * (speed.training + speed.read),
        evaluation=batches["val"] * (speed.inference + speed.read) + _SAVING,
    )


def costs_of(job: Job, speed: Speed) -> Costs:
    """Return the same by the phases of the job, for whoever keeps it to its time."""
    pace, samples = pace_of(job, speed, 0.0), job.feed.samples
    costs = Costs([], [], [], _END, samples.get("test", samples["val"]) / samples["val"])
    costs.evaluation = pace.evaluation - _SAVING
    forward = (pace.features - pace.evaluation + _SAVING) / pace.steps_per_epoch
    everything = pace.everything / pace.steps_per_epoch
    for number, steps in enumerate(job.course.phases):
        alone, kept = job.learner.plan.only_head(job.course.ends[number]), steps >= pace.steps_per_epoch
        costs.step.append((_HEAD_STEP if kept else forward) if alone else everything)
        costs.epoch.append(_SAVING if alone and kept else pace.evaluation)
        costs.kept.append(kept if alone else None)
        costs.begin.append(pace.features if alone and kept else 0.0)
    return costs


def _end(job: Job, speed: Speed) -> float:
    """Seconds from the last epoch to the end of the process."""
    tested = job.feed.loaders.get("test") or job.feed.loaders["val"]
    return tested.steps(1) * (speed.inference + speed.read) + _END
