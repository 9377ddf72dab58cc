"""CUDA graphs: what a GPU does in a step is recorded once and replayed.

A GPU is done with a small net's kernels sooner than Python has launched them: a step of ResNet-18 on 100 images of 32
pixels takes an H100 1.5 ms, and Python 5 ms. Replayed, they are all launched at once.
"""

import random
import sys
import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ftrun.contracts.data import Batch
from ftrun.contracts.trees import Tree, leaves, tree_map
from ftrun.train import accel
from ftrun.train.accel.buffers import KeptBuffers

Compute = Callable[[Batch], dict[str, Tensor]]
"""A batch that is ready -> scalars without history. Leaves the gradients in the parameters."""

WARM_UP = 2  # passes before the one that is recorded: libraries set themselves up in the first
_WAITS, _PROTOTYPE = "synchronizing CUDA operation", "debug mode is a prototype"  # in what torch warns of
_MOST = 8  # kinds of batches that are recorded


class Graphs:
    """Makes forward and backward passes; on a GPU, those of a kind of batch that comes again and again by replay.

    A pass that waits for the device, draws numbers on the CPU, or puts another tensor in the place of a buffer is never
    recorded: what it does may differ from time to time. What else it does in Python is only done while it is recorded.

    modules: whose parameters get gradients
    say: told why, where nothing can be recorded
    enabled: whether anything is recorded
    """

    def __init__(
        self,
        modules: Sequence[nn.Module],
        device: torch.device,
        say: Callable[[str], None] = lambda line: None,
        *,
        enabled: bool = True,
    ) -> None:
        self._modules = modules
        self._device = device
        self._say = say
        self._enabled = enabled and device.type == "cuda" and accel.enabled()
        self._recorded: dict[Hashable, _Recorded] = {}
        self._passes: dict[Hashable, int] = {}
        self._pool: Any = None
        self._laid_out: list[tuple[int, bool]] = []

    def begin(self) -> None:
        """Passes of training begin: record anew if something else learns than before, or lies elsewhere in memory.

        What is in training mode, such as batch normalisation, may be another in each phase too.
        """
        tensors = [*self._parameters(), *(each for module in self._modules for each in module.buffers())]
        modes = [(0, each.training) for module in self._modules for each in module.modules()]
        laid_out = [*((each.data_ptr(), each.requires_grad) for each in tensors), *modes]
        if laid_out != self._laid_out:
            self.forget()
            self._laid_out = laid_out

    def forget(self) -> None:
        """Record anew, whatever is as it was."""
        self._recorded.clear()
        self._passes.clear()
        self._pool = None  # torch takes none again that all graphs have left

    def give_up(self, why: str) -> bool:
        """Record no more, and free the memory that the graphs work in; whether there was any."""
        if self._enabled:
            self._say(f"the steps of training are not recorded as a CUDA graph: {why}")
        there_was, self._enabled = bool(self._recorded), False
        self.forget()
        return there_was

    def run(self, compute: Compute, batch: Batch) -> dict[str, Tensor]:
        """`compute(batch)`, one way or the other. No parameter may have a gradient before."""
        if not self._enabled or (kind := _kind(batch)) is None:
            return compute(batch)
        if kind not in self._recorded:
            passes = self._passes[kind] = self._passes.get(kind, 0) + 1
            if passes < WARM_UP or len(self._recorded) == _MOST:
                return compute(batch)
            if passes == WARM_UP:
                return self._watched(compute, batch)
            recorded = self._record(compute, batch)
            if isinstance(recorded, str):
                self.give_up(recorded)
                return compute(batch)
            self._recorded[kind] = recorded
        return self._recorded[kind].replay(batch)

    def _watched(self, compute: Compute, batch: Batch) -> dict[str, Tensor]:
        """Find out whether it ever waits for the device."""
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                values = compute(batch)
            finally:
                torch.cuda.set_sync_debug_mode("default")
        for each in said:
            if _WAITS in str(each.message):
                self.give_up("one waits for the GPU half-way")
            elif _PROTOTYPE not in str(each.message):
                warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
        return values

    def _record(self, compute: Compute, batch: Batch) -> "_Recorded | str":
        """What `compute` does with such a batch, or why that cannot be recorded."""
        kept = tree_map(lambda leaf: leaf.clone(), _tree(batch))
        cpu, buffers, graph = _Cpu(), KeptBuffers(*self._modules), torch.cuda.CUDAGraph()
        values = self._captured(graph, compute, replace(batch, **kept))
        gradients = [(each, gradient) for each in self._parameters() if (gradient := each.grad) is not None]
        for parameter, _ in gradients:
            parameter.grad = None
        if cpu.has_drawn():
            cpu.restore()
            return "one draws random numbers in Python"
        if buffers.replaced:  # each replay would begin with the tensors that were buffers while it was recorded
            buffers.restore()
            return "one puts another tensor in the place of a buffer, rather than to write to it"
        return values if isinstance(values, str) else _Recorded(graph, list(leaves(kept)), values, gradients)

    def _parameters(self) -> list[nn.Parameter]:
        return [each for module in self._modules for each in module.parameters()]

    def _captured(self, graph: torch.cuda.CUDAGraph, compute: Compute, batch: Batch) -> dict[str, Tensor] | str:
        """The scalars that a replay of `graph` will write, or what torch says where there is no recording it."""
        with torch.cuda.device(self._device):
            self._pool = self._pool or torch.cuda.graph_pool_handle()
            before, stream = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
            try:
                # Other threads may go on with what they do, such as reading into pinned memory.
                with torch.cuda.graph(graph, self._pool, stream, capture_error_mode="thread_local"):
                    return compute(batch)
            except RuntimeError as error:
                torch.cuda.set_stream(before)
                generator = torch.cuda.default_generators[before.device_index]
                generator.graphsafe_set_state(generator.clone_state())  # the present state takes itself for recorded
                torch.cuda.synchronize()
                return str(error).partition("\n")[0]


@dataclass(frozen=True)
class _Recorded:
    """A graph, and the tensors that it reads and writes."""

    graph: torch.cuda.CUDAGraph
    inputs: Sequence[Tensor]
    """What it reads of a batch: the leaves of its trees."""
    values: dict[str, Tensor]
    gradients: Sequence[tuple[nn.Parameter, Tensor]]

    def replay(self, batch: Batch) -> dict[str, Tensor]:
        for kept, new in zip(self.inputs, leaves(_tree(batch)), strict=True):
            kept.copy_(new)
        self.graph.replay()
        for parameter, gradient in self.gradients:
            parameter.grad = gradient
        return self.values


def _tree(batch: Batch) -> dict[str, Tree]:
    """What of a batch a step computes with."""
    return {"inputs": batch.inputs, "targets": batch.targets, "extra": batch.extra}


def _kind(batch: Batch) -> Hashable | None:
    """What two batches have in common that the same kernels can be replayed for; None where lengths differ each time.

    Two batches of a run have the same structure, so that their leaves come in the same order.
    """
    tensors = list(leaves(_tree(batch)))
    if not all(isinstance(each, Tensor) for each in tensors):
        return None
    return batch.embedded, *((each.shape, each.dtype, each.stride()) for each in tensors)


class _Cpu:
    """The generators whose numbers a graph would hold for ever, as they are now: torch's, Python's and NumPy's own."""

    def __init__(self) -> None:
        numpy = sys.modules.get("numpy")  # where nobody has loaded it, nobody draws with it
        self._random = numpy.random if numpy else None
        self._states = self._now()

    def _now(self) -> tuple[Tensor, Any, Any]:
        return torch.default_generator.get_state(), random.getstate(), self._random and self._random.get_state()

    def has_drawn(self) -> bool:
        """Whether they are another now."""
        (torchs, pythons, numpys), (torchs_now, pythons_now, numpys_now) = self._states, self._now()
        return not torch.equal(torchs, torchs_now) or pythons != pythons_now or repr(numpys) != repr(numpys_now)

    def restore(self) -> None:
        """Put them back."""
        torchs, pythons, numpys = self._states
        torch.default_generator.set_state(torchs)
        random.setstate(pythons)
        if self._random:
            self._random.set_state(numpys)
