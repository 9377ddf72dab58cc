"""Running out of memory is no reason to fail, as long as there is less to try at once."""

import torch

from ftrun.data import Batch


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether this is the device's or the processor's way of saying that memory is short."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def halved(micro_batch: int | None, batch: Batch) -> int | None:
    """Half as many samples at once as have just been too many; None where that was a single one."""
    size = min(micro_batch or len(batch), len(batch))
    return size // 2 if size > 1 else None


def release(device: torch.device) -> None:
    """Give unused memory back to the device, whose free parts may be too small each."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
