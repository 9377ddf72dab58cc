"""Batch normalisation in training: which statistics it goes by, and what becomes of a batch of one sample."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, TypeAlias

from torch import nn

from ftrun.contracts.data import Batch
from ftrun.contracts.errors import SpecError
from ftrun.contracts.net import Net
from ftrun.contracts.stages import has_statistics
from ftrun.spec.trainspec import Train
from ftrun.train.phases import only_head

Norm: TypeAlias = Literal["train", "frozen"]
"""By the statistics of each batch, or by the running ones, which then stay as they are."""

FEWEST_STEPS = 1000
SMALLEST_BATCH = 16


def choose(net: Net, train: Train, steps_per_epoch: int) -> list[Norm]:
    """Return the norm of each phase: the spec's or, for auto, what the length of the run and its batches allow.

    In training mode a pretrained net computes by other statistics than those that its weights were trained with. A head
    that has learned by the old ones no longer fits, and it takes many steps of batches that are not small until the net
    is better than before. So the statistics are kept where a phase comes after one of the head alone and has too little
    to learn new ones from. Where everything learns from the start they are never kept by themselves: nothing fits yet,
    and it is by a batch's statistics that a net stands the rates of such runs. Statistics that nothing was trained with
    yet are not worth keeping.

    Raises SpecError where batch normalisation would have to learn from one sample at a time.
    """
    too_little = _steps(net, train, steps_per_epoch) < FEWEST_STEPS or train.batch_size < SMALLEST_BATCH
    pretrained, head_fits = _is_pretrained(net), False
    norms: list[Norm] = []
    for phase in train.each_phase:
        keep = pretrained and ((head_fits and too_little) or train.batch_size == 1)
        auto: Norm = "frozen" if keep else "train"
        norms.append(auto if phase.norm == "auto" else phase.norm)
        head_fits = head_fits or only_head(net, phase)
    if train.batch_size == 1 and (layer := _would_learn_from_one(net, train, norms)):
        raise SpecError(
            f"1: {layer} is batch normalisation, whose statistics are those of a batch, of two samples at the least. "
            'Take more, or a pretrained backbone whose statistics stay as they are: "norm": "frozen" in train.phases.',
            where="train.batch_size",
        )
    return norms


def reason(net: Net, train: Train, steps_per_epoch: int, norms: Sequence[str]) -> str | None:
    """Return what a user should know of what `choose` chose: where it kept statistics, and why."""
    auto = any(
        phase.norm == "auto" and norm == "frozen" and not only_head(net, phase)
        for phase, norm in zip(train.each_phase, norms, strict=True)
    )
    if not auto or not any(map(has_statistics, net.modules())):
        return None
    return (
        f"batch norm: the pretrained statistics are kept, since {_steps(net, train, steps_per_epoch):,} steps of "
        f'{train.batch_size} samples are too little for new ones; "norm": "train" in train.phases learns them'
    )


def _steps(net: Net, train: Train, steps_per_epoch: int) -> int:
    """Optimizer steps in which more than the head learns."""
    phases = zip(train.course(steps_per_epoch).phases, train.each_phase, strict=True)
    return sum(steps for steps, phase in phases if not only_head(net, phase))


def _would_learn_from_one(net: Net, train: Train, norms: Sequence[Norm]) -> str | None:
    """A layer of batch normalisation that is in training mode in some phase."""
    phases = zip(train.each_phase, norms, strict=True)
    trains = any(norm == "train" and not only_head(net, phase) for phase, norm in phases)
    for name, module in net.named_modules():
        if has_statistics(module) and (trains or net.in_head(name)):
            return str(name).removeprefix("model.")
    return None


def _is_pretrained(net: Net) -> bool:
    """Whether there are statistics before the head, and none is still what it was made as: mean 0, variance 1."""
    layers = [layer for name, layer in net.named_modules() if has_statistics(layer) and not net.in_head(name)]
    statistics = [(layer.get_buffer("running_mean"), layer.get_buffer("running_var")) for layer in layers]
    return bool(layers) and all(bool(mean.any()) or bool((variance != 1).any()) for mean, variance in statistics)


class LoneSamples:
    """Lets batches of one sample through: batch normalisation then goes by its running statistics.

    They come where all but one sample of a batch cannot be read, or memory has room for no more.

    say: told of the first
    """

    def __init__(self, modules: Sequence[nn.Module], say: Callable[[str], None]) -> None:
        self._modules = modules
        self._say = say
        self._told = False

    @contextmanager
    def allowed(self, batch: Batch) -> Iterator[None]:
        """While this context is entered, batch normalisation takes `batch`, whatever its size."""
        layers = self._in_training() if len(batch) == 1 else []
        if layers and not self._told:
            self._told = True
            self._say(
                "a batch of one sample has no statistics of its own: batch normalisation goes by its running ones "
                "in this and any other such batch"
            )
        for layer in layers:
            layer.training = False
        try:
            yield
        finally:
            for layer in layers:
                layer.training = True

    def _in_training(self) -> list[nn.Module]:
        every = (layer for module in self._modules for layer in module.modules())
        return [layer for layer in every if layer.training and has_statistics(layer)]
