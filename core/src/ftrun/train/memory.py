"""Running out of memory is no reason to fail, as long as there is less to try at once."""

import ctypes
import os
import sys
from collections.abc import Callable
from typing import TypeVar

import torch

from ftrun.contracts.data import Batch
from ftrun.contracts.errors import FtrunError
from ftrun.contracts.trees import Tree, joined

Outputs = TypeVar("Outputs", bound=Tree)

_ONEDNN = "could not create a primitive"  # all that it says; what it cannot compute at all, it names

_SMALL = 0.25


def is_small(size: int) -> bool:
    """Whether so many bytes are a small part of the machine's memory, however much of it is free just now."""
    return size <= _SMALL * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether this is the device's or the processor's way of saying that memory is short."""
    message = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in message or message.strip() == _ONEDNN


def halved(micro_batch: int | None, batch: Batch) -> int | None:
    """Half as many samples at once as have just been too many; None where that was a single one."""
    size = min(micro_batch or len(batch), len(batch))
    return size // 2 if size > 1 else None


def too_little(*, whole_batch: bool = False) -> str:
    """Return what to say where there is nothing less to try. whole_batch: as `ObjectiveModule` has it"""
    if whole_batch:
        return (
            "out of memory: the objective compares the samples of a batch with each other, so that a batch cannot go "
            "through the net in parts. Try a smaller train.batch_size, input.size or backbone."
        )
    return "out of memory, even with one sample at a time. Try a smaller input.size or backbone."


class Portions:
    """Forward passes without gradients, of whole batches; where memory is short, of a few samples at a time.

    size: most samples at once; None for whole batches
    say: told when that changes
    relieve: frees what memory can be spared, and says whether there was any
    whole_batch: whether a batch must not go through the net in parts, as `ObjectiveModule` has it
    """

    def __init__(
        self,
        device: torch.device,
        size: int | None = None,
        say: Callable[[str], None] = lambda line: None,
        relieve: Callable[[], bool] = lambda: False,
        *,
        whole_batch: bool = False,
    ) -> None:
        self.size = size
        self._device = device
        self._say = say
        self._relieve = relieve
        self._whole_batch = whole_batch

    def outputs(self, compute: Callable[[Batch], Outputs], batch: Batch) -> Outputs:
        """Return `compute(batch)`: what it gives for each sample, a tree.

        Raises FtrunError where one sample is too much, or a whole batch that has to stay one.
        """
        size = self.size
        while True:
            try:
                outputs: Outputs = joined([compute(part) for part in batch.parts(self.size)])
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                smaller = None if self._whole_batch else halved(self.size, batch)
            else:
                if self.size != size:
                    self._say(f"out of memory: from now on the net sees {self.size} samples at a time")
                return outputs
            # Out of the handler, the error and all that its frames held on to are gone.
            relieved = self._relieve()
            release(self._device)
            if relieved:
                continue
            if smaller is None:
                raise FtrunError(too_little(whole_batch=self._whole_batch))
            self.size = smaller


def release(device: torch.device) -> None:
    """Give unused memory back to the device or the system: what is free of it may be in parts too small each."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif trim := getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None:
        trim(0)
