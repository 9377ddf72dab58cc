"""Running out of memory is no reason to fail, as long as there is less to try at once."""

import ctypes
import sys

import torch

from ftrun.data import Batch

_ONEDNN = "could not create a primitive"  # all that it says; what it cannot compute at all, it names


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether this is the device's or the processor's way of saying that memory is short."""
    said = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in said or said.strip() == _ONEDNN


def halved(micro_batch: int | None, batch: Batch) -> int | None:
    """Half as many samples at once as have just been too many; None where that was a single one."""
    size = min(micro_batch or len(batch), len(batch))
    return size // 2 if size > 1 else None


def release(device: torch.device) -> None:
    """Give unused memory back to the device or the system: what is free of it may be in parts too small each."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif trim := getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None:
        trim(0)
