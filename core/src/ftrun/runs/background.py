"""Checkpoints that are written while a GPU goes on: a thread writes a copy of what is trained."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor, nn

_MOST = 2**30  # bytes that are copied: a larger checkpoint is written while training waits, a file at a time


class Background:
    """One thing at a time that is done in a thread."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._pending: Future[None] | None = None

    def begin(self, work: Callable[[], None]) -> None:
        """Have it done while the caller goes on. Waits for what was begun before, and raises what that raised."""
        self.wait()
        self._pending = self._thread.submit(work)

    def wait(self) -> None:
        """Until what was begun is done; raises what it raised, once."""
        pending = self._pending
        if pending:
            try:
                pending.result()
            finally:
                if pending.done():  # else a signal has ended the waiting alone
                    self._pending = None


class _Snapshot(nn.Module):
    """What was in a module, under the same names."""

    def __init__(self, state: dict[str, Any]) -> None:
        super().__init__()
        self._state = state

    def state_dict(self, *_: Any, **__: Any) -> dict[str, Any]:  # type: ignore[override]
        return self._state


def worth_backgrounding(device: torch.device, value: Any) -> bool:
    """Return whether copying all tensors in modules, lists and dicts costs less than waiting: small ones on a GPU.

    On a CPU, training and the thread would share processor and memory.
    """
    return (
        device.type != "cpu" and sum({tensor.data_ptr(): tensor.nbytes for tensor in _tensors(value)}.values()) <= _MOST
    )


def snapshot(value: Any) -> Any:
    """Return lists and dicts of modules, tensors and others as they are now, in the CPU's memory, unchanged by steps.

    What is there under several names is so in the copy: tied weights are saved once. A copied module is good for its
    `state_dict` alone.
    """
    copies: dict[Any, Tensor] = {}

    def copy(value: Any) -> Any:
        if isinstance(value, nn.Module):
            return _Snapshot(copy(dict(value.state_dict())))
        if isinstance(value, dict):
            return {key: copy(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [copy(each) for each in value]
        if not isinstance(value, Tensor):
            return value
        place = value.device, value.data_ptr(), value.dtype, value.shape, value.stride()
        if place not in copies or not value.numel():
            copies[place] = value.detach().contiguous().to("cpu", non_blocking=True, copy=True)
        return copies[place]

    made = copy(value)
    for device in {device for device, *_ in copies if device.type != "cpu"}:  # maybe not the current one
        torch.accelerator.synchronize(device)
    return made


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, nn.Module | dict):
        yield from _tensors(list((value if isinstance(value, dict) else value.state_dict()).values()))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _tensors(each)
