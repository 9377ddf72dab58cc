"""What a run computes on."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

import torch

from ftrun.contracts.errors import SpecError


def choose_device(name: str | None) -> torch.device:
    """The device called `name`, or the best one here. Raises SpecError where there is none of that name."""
    if name is None:
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(name)
        if device.type != "cuda":
            torch.empty(0, device=device)
        elif (device.index or 0) >= torch.cuda.device_count():  # does not wake it up
            raise RuntimeError
    except (RuntimeError, AssertionError):
        best = torch.accelerator.current_accelerator(check_available=True) or "cpu"
        raise SpecError(f"--device {name}: no such device here. Leave it out to have the best one: {best}.") from None
    return device


def if_here(device: str) -> str | None:
    """The device of a run, or none, for the best one, where it is not to be had."""
    try:
        choose_device(device)
    except SpecError:
        return None
    return device


@contextmanager
def warming_up(device: torch.device) -> Iterator[None]:
    """While this context is entered, a thread has a GPU load what it takes a second for before it can compute."""
    thread = Thread(target=_use, args=(device,)) if device.type == "cuda" else None
    if thread:
        thread.start()
    try:
        yield
    finally:
        if thread:
            thread.join()


def _use(device: torch.device) -> None:
    """Make some use of convolutions: what can go wrong here will where it matters, too, and be told there."""
    with suppress(Exception):
        kernels = torch.zeros(8, 8, 3, 3, device=device, requires_grad=True)
        torch.autograd.backward(torch.nn.functional.conv2d(torch.zeros(8, 8, 8, 8, device=device), kernels).sum())
