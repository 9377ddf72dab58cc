"""Which precision and memory format is the fastest here: measured on the run's own net and batch, and remembered.

What is measured is what the run mostly does, steps of training or inference by a frozen backbone, and for no longer
than a small part of what the run will take.

What is fastest depends on the processor, the net and the size of the input: bf16 doubles the speed of ResNet-18 on a
processor that has instructions for it, and halves that of EfficientNet-Lite's backward pass on the same one.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import product
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from ftrun.contracts.data import Batch
from ftrun.contracts.errors import SpecError
from ftrun.contracts.net import Net
from ftrun.contracts.objective import ObjectiveModule, StepInfo
from ftrun.contracts.trees import leaves
from ftrun.runs.environment import processor
from ftrun.spec.trainspec import Train
from ftrun.train.accel.buffers import KeptBuffers
from ftrun.train.accel.graphs import WARM_UP, Graphs
from ftrun.train.remembered import recall, remember

_FEWEST_BATCHES = 200  # a shorter run is over before the choice would have paid: to try four settings takes a dozen
_ROUNDS, _ROUNDS_ON_GPU = 5, 2  # nothing else is at work on a GPU
_SHORT_ON_GPU = 60.0  # seconds of a whole run: to load its kernels for a setting may take a GPU five
_WORTH = 1.05  # bf16 has fewer digits: it has to be faster by this factor
_SLICE = 0.05  # seconds: what is timed at once
_PART_OF_RUN, _MOST_SECONDS = 0.05, 40.0  # what measuring may take
_TRAINING = 3  # times what inference takes, forward and backward
_HOPELESS_COLD, _HOPELESS = 3.0, 1.3  # times the fastest: not timed again, after the first turn and later
_SHORTEST, _SHORTEST_ON_GPU = 300.0, 60.0  # seconds: for a run that has less time, measuring takes too much of it
_LONG = 5.0  # seconds: what a first step takes beside its own work, to set up kernels, is little of that


@dataclass(frozen=True)
class ComputeFormat:
    """How a net computes: number format of the forward pass, and order of a feature map's values in memory."""

    precision: str = "fp32"
    """fp32 or bf16."""
    memory_format: str = "channels_last"
    """contiguous or channels_last."""

    def apply(self, net: nn.Module) -> None:
        """Put the weights into the memory format; the inputs follow them."""
        last = self.memory_format == "channels_last"
        net.to(memory_format=torch.channels_last if last else torch.contiguous_format)

    def autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        """The precision, around a forward pass."""
        return torch.autocast(device.type, torch.bfloat16) if self.precision == "bf16" else nullcontext()

    def __str__(self) -> str:
        return f"{self.precision}, {self.memory_format}"


@dataclass(frozen=True)
class Work:
    """What a run does with its net, in batches."""

    training: int
    """Forward and backward."""
    inference: int
    """Forward alone: by a frozen backbone, once where its embeddings are kept, and on val."""

    @property
    def trains(self) -> bool:
        """Whether training takes the most of the time."""
        return self.training * _TRAINING >= self.inference

    @property
    def batches(self) -> int:
        """All of it, in batches of the kind that takes the most of the time."""
        return (
            self.training + self.inference // _TRAINING if self.trains else self.training * _TRAINING + self.inference
        )


def choose(
    train: Train,
    net: Net,
    objective: ObjectiveModule,
    work: Work,
    first: Callable[[], Batch | None],
    ready: Callable[[Batch], Batch],
    device: torch.device,
    graphs: Graphs,
    say: Callable[[str], None],
    check: Callable[[], None] = lambda: None,
    *,
    seconds: float | None = None,
) -> ComputeFormat:
    """The setting for a run of so much work: what the spec fixes, and for the rest what is fastest.

    net: as it is trained, stages frozen; first: gives a batch to measure on, if there is one
    ready: returns a batch as the net takes it, on the device
    check: called between two measurements; raises what is to end them
    seconds: all the time that the run has, if that is limited: how much work it does follows from it then
    """
    settings = allowed(train, net)
    if len(settings) == 1 or (seconds is None and work.batches < _FEWEST_BATCHES) or (batch := first()) is None:
        return settings[0]
    name = f"{_key(net, work, batch, device, settings)}.json"
    known = recall(name, settings)
    if known is not None:
        say(f"precision: {known}, the fastest here as measured before")
        return known
    if seconds is not None and seconds < (_SHORTEST if device.type == "cpu" else _SHORTEST_ON_GPU):
        return settings[0]
    began, most = perf_counter(), math.inf if seconds is None else _PART_OF_RUN * seconds
    taken = _measure(net, objective, ready(batch), device, graphs, settings, work, check, most)
    if not taken:
        return settings[0]
    fastest, slowest = min(taken, key=lambda each: _cost(each, taken)), max(taken, key=taken.__getitem__)
    chosen, remembered = remember(name, fastest, taken)
    say(
        f"precision: {chosen}, the fastest here: {taken[slowest] / taken[fastest]:.1f} times as fast as {slowest} "
        f"(measured in {perf_counter() - began:.1f} s, {'and remembered' if remembered else 'but not remembered'})"
    )
    return chosen


def allowed(train: Train, net: Net) -> list[ComputeFormat]:
    """Return what the spec allows; first what a run takes that does not measure."""
    precisions = ("fp32", "bf16") if train.precision == "auto" else (train.precision,)
    has_images = any(parameter.ndim == 4 for parameter in net.parameters())  # weights of convolutions: of anything
    several = ("channels_last", "contiguous") if has_images else ("contiguous",)  # else there is one order alone
    formats = several if train.memory_format == "auto" else (train.memory_format,)
    return [ComputeFormat(*each) for each in product(precisions, formats)]


def _measure(
    net: Net,
    objective: ObjectiveModule,
    batch: Batch,
    device: torch.device,
    graphs: Graphs,
    settings: list[ComputeFormat],
    work: Work,
    check: Callable[[], None],
    most: float,
) -> dict[ComputeFormat, float]:
    """Seconds of a batch of what the run mostly does, the least of some rounds; nothing where no setting runs.

    The settings take turns, so that what else the machine does slows all of them. Net and objective stay as they were.
    """
    buffers = KeptBuffers(net, objective)
    net.train(work.trains)

    def batch_of(setting: ComputeFormat) -> None:
        if work.trains:
            _step(net, objective, batch, device, graphs, setting)
        else:
            _embed(net, batch, device, setting)

    def seconds_of(setting: ComputeFormat, turn: int, fastest: float) -> float | None:
        check()
        setting.apply(net)
        graphs.forget()
        try:
            return _seconds(partial(batch_of, setting), device, turn, max(_LONG, _HOPELESS_COLD * fastest))
        except (RuntimeError, SpecError):  # no kernel in this precision, or no memory: the run itself says so
            return None

    try:
        return _take_turns(seconds_of, settings, device, work.batches, most)
    finally:
        graphs.forget()
        buffers.restore()


def _take_turns(
    seconds_of: Callable[[ComputeFormat, int, float], float | None],
    settings: list[ComputeFormat],
    device: torch.device,
    batches: int,
    most: float = math.inf,
) -> dict[ComputeFormat, float]:
    """The least seconds of each setting; nothing where the run is over before the choice would have paid.

    most: seconds after which there is no further turn
    """
    least: dict[ComputeFormat, float] = {}
    began = perf_counter()
    for turn in range((_ROUNDS if device.type == "cpu" else _ROUNDS_ON_GPU) + 1):
        hopeless = _HOPELESS_COLD if turn == 1 else _HOPELESS
        for setting in settings if turn == 0 else _hopeful(least, hopeless):
            seconds = seconds_of(setting, turn, min(least.values(), default=math.inf))
            if seconds is None:
                least.pop(setting, None)
                continue
            least[setting] = min(seconds, least.get(setting, seconds) if turn > 1 else seconds)
            if perf_counter() - began > most:
                return least
            if turn == 0 and device.type != "cpu" and seconds * batches < _SHORT_ON_GPU:
                return {}
        enough = min(_MOST_SECONDS, most, _PART_OF_RUN * batches * min(least.values(), default=0.0))
        if turn and (len(_hopeful(least, _HOPELESS)) < 2 or perf_counter() - began > enough):
            break
    return least


def _hopeful(seconds: Mapping[ComputeFormat, float], hopeless: float) -> list[ComputeFormat]:
    return [each for each, value in seconds.items() if value <= hopeless * min(seconds.values())]


def _cost(setting: ComputeFormat, seconds: Mapping[ComputeFormat, float]) -> float:
    return seconds[setting] * (_WORTH if setting.precision == "bf16" else 1)


def _step(
    net: Net, objective: ObjectiveModule, batch: Batch, device: torch.device, graphs: Graphs, setting: ComputeFormat
) -> None:
    def compute(batch: Batch) -> dict[str, Tensor]:
        with setting.autocast(device):
            loss = objective(net, batch, StepInfo(0, training=True)).loss
        loss.backward()
        return {"loss": loss.detach()}

    graphs.run(compute, batch)
    net.zero_grad(set_to_none=True)
    objective.zero_grad(set_to_none=True)
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


@torch.no_grad()
def _embed(net: Net, batch: Batch, device: torch.device, setting: ComputeFormat) -> None:
    with setting.autocast(device):
        net.embed(batch.inputs)
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def _seconds(step: Callable[[], None], device: torch.device, turn: int, hopeless: float) -> float:
    """Return the mean seconds of as many steps as fill a slice of time; the first turn is a single one.

    hopeless: seconds of a first step on a CPU after which there is no second one
    """
    for _ in range(WARM_UP + 1 if device.type == "cuda" else turn == 0):
        began = perf_counter()
        step()
        if device.type == "cpu" and (cold := perf_counter() - began) > hopeless:
            return cold
    steps, began, taken = 0, perf_counter(), 0.0
    while taken < _SLICE and not (turn == 0 and steps == 1):
        step()
        steps, taken = steps + 1, perf_counter() - began
    return taken / steps


def _key(net: Net, work: Work, batch: Batch, device: torch.device, settings: list[ComputeFormat]) -> str:
    """What the choice depends on."""
    parameters = [(name, list(each.shape), each.requires_grad) for name, each in net.named_parameters()]
    what = [
        processor() if device.type == "cpu" else torch.cuda.get_device_name(device) if device.type == "cuda" else "",
        device.type,
        torch.get_num_threads(),
        torch.__version__,
        os.environ.get("THP_MEM_ALLOC_ENABLE"),  # what a large tensor costs
        hashlib.sha256(repr((net, parameters)).encode()).hexdigest(),
        [list(each.shape) for each in leaves(batch.inputs)],
        work.trains,
        [str(each) for each in settings],
    ]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:32]
