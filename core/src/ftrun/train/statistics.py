"""Batch normalisation's statistics of averaged weights: computed anew, since those of the weights' path are others."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from ftrun.contracts.data import Batch
from ftrun.contracts.net import Net
from ftrun.train.memory import Portions

if TYPE_CHECKING:
    from ftrun.train.job import Job

_MOST_BATCHES = 50  # thousands of samples are enough (Wu and Johnson, "Rethinking batch in BatchNorm", 2021)


@torch.no_grad()
def renew(job: "Job", epoch: int, portions: Portions, check: Callable[[], None]) -> None:
    """Give an equal mean of weights its own statistics, from training batches of `epoch` (from 1), as Izmailov et al.

    Layers whose statistics are frozen keep them. It is a function of the weights and the epoch alone.

    portions: make the forward passes; check: called after each batch
    """
    learner, feed = job.learner, job.feed
    if learner.average is None or not learner.average.is_mean or portions.size == 1:  # one sample has none
        return
    net, phase = learner.average.net, learner.plan.number(epoch)
    layers = _learning_layers(learner.net, net)
    if not layers:
        return
    ready, draw = feed.ready_in(phase).at(job.course.progress_of(epoch)), learner.plan.draw(epoch)
    steps = feed.loader_in("train", phase).shuffled(job.spec.seed, epoch, lambda batch: ready(batch, draw))

    def forward(batch: Batch) -> Any:
        with job.engine.autocast():
            return net(batch.inputs)

    net.eval()
    with _cumulative(layers):
        for batch in islice(_batches(steps), _MOST_BATCHES):
            portions.outputs(forward, batch)
            check()


def _batches(steps: Iterable[list[Batch]]) -> Iterator[Batch]:
    """Yield those that have statistics."""
    return (batch for batches in steps for batch in batches if len(batch) > 1)


def _learning_layers(net: Net, average: Net) -> list[_BatchNorm]:
    """Return the average's layers of batch normalisation that are in training mode in the net that learns."""
    pairs = zip(net.modules(), average.modules(), strict=True)
    return [
        mine
        for learning, mine in pairs
        if isinstance(mine, _BatchNorm) and learning.training and mine.track_running_stats
    ]


@contextmanager
def _cumulative(layers: list[_BatchNorm]) -> Iterator[None]:
    """While this context is entered, these layers average the statistics of all batches, anew and equally."""
    before = [(layer.momentum, layer.get_buffer("num_batches_tracked").clone()) for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum, layer.training = None, True
    try:
        yield
    finally:
        for layer, (momentum, batches) in zip(layers, before, strict=True):
            layer.momentum, layer.training = momentum, False
            layer.get_buffer("num_batches_tracked").copy_(batches)
