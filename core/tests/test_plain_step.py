"""An optimizer's own step: the same as the whole one, quicker where nobody looks."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
import torch
from torch.optim import optimizer as torchs

from ftrun.train.accel.plainstep import plain_step

WRAPPER = "Optimizer.profile_hook_step.<locals>.wrapper"


@pytest.fixture
def sgd() -> torch.optim.SGD:
    parameter = torch.nn.Parameter(torch.ones(3))
    parameter.grad = torch.ones(3)
    return torch.optim.SGD([parameter], lr=0.1)


def value(optimizer: torch.optim.Optimizer) -> float:
    return float(optimizer.param_groups[0]["params"][0].detach()[0])


@contextmanager
def called() -> Iterator[set[str]]:
    """The Python functions that are called."""
    names: set[str] = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            names.add(frame.f_code.co_qualname)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield names
    finally:
        sys.setprofile(before)


def test_it_is_the_step_without_torchs_wrapper(sgd):
    step = plain_step(sgd)

    with called() as plain:
        step()
    with called() as whole:
        sgd.step()

    assert value(sgd) == pytest.approx(0.8)
    assert WRAPPER in whole  # else this test knows nothing
    assert WRAPPER not in plain
    assert "SGD.step" in plain


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW, torch.optim.RMSprop])
def test_weights_go_the_same_way(kind):
    ways = []
    for made in (plain_step, lambda optimizer: optimizer.step):
        layer = torch.nn.Linear(4, 2)
        torch.nn.init.constant_(layer.weight, 0.5)
        optimizer = kind(layer.parameters(), lr=0.1)
        step = made(optimizer)
        for seed in range(3):
            layer.weight.grad = torch.randn(2, 4, generator=torch.Generator().manual_seed(seed))
            step()
        ways.append(layer.weight.detach().clone())

    assert torch.equal(*ways)


def _before(optimizer: torch.optim.Optimizer, hook: Callable[..., None]) -> Any:
    return optimizer.register_step_pre_hook(hook)


def _after(optimizer: torch.optim.Optimizer, hook: Callable[..., None]) -> Any:
    return optimizer.register_step_post_hook(hook)


def _before_any(_: torch.optim.Optimizer, hook: Callable[..., None]) -> Any:
    return torchs.register_optimizer_step_pre_hook(hook)


def _after_any(_: torch.optim.Optimizer, hook: Callable[..., None]) -> Any:
    return torchs.register_optimizer_step_post_hook(hook)


@pytest.mark.parametrize("register", [_before, _after, _before_any, _after_any])
def test_a_hook_is_called_also_one_that_comes_later(sgd, register):
    step, calls = plain_step(sgd), []
    step()

    handle = register(sgd, lambda *_: calls.append(value(sgd)))
    step()
    handle.remove()
    step()

    assert len(calls) == 1
    assert value(sgd) == pytest.approx(0.7)


def test_a_profiler_sees_it(sgd):
    step = plain_step(sgd)

    with torch.autograd.profiler.profile() as seen:
        step()

    assert any("Optimizer.step#SGD" in event.name for event in seen.function_events)


def test_a_step_that_somebody_put_on_the_optimizer_is_the_one(sgd):
    calls = []
    sgd.step = lambda: calls.append("theirs")

    plain_step(sgd)()

    assert calls == ["theirs"]
    assert value(sgd) == 1
