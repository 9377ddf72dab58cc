"""An optimizer's own step, without what torch wraps around it for profilers and hooks: 30 us a step, cold as it is."""

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer, optimizer

from ftrun.train import accel


def plain_step(of: Optimizer) -> Callable[[], Any]:
    """What does the same as `of.step`; while nothing hooks into steps and nothing profiles, without torch's wrapper.

    Where an optimizer's `step` is not wrapped as torch wraps it, or torch's wrapper is another one, it is `of.step`;
    and where FTRUN_ACCEL is 0.
    """
    wrapped = type(of).step
    own = getattr(wrapped, "__wrapped__", None)
    hooks = [
        getattr(of, "_optimizer_step_pre_hooks", None),
        getattr(of, "_optimizer_step_post_hooks", None),
        getattr(optimizer, "_global_optimizer_pre_hooks", None),
        getattr(optimizer, "_global_optimizer_post_hooks", None),
    ]
    is_torchs = getattr(wrapped, "hooked", False) and "step" not in vars(of)
    if own is None or None in hooks or not is_torchs or not accel.enabled():
        return of.step

    def step() -> Any:
        return of.step() if any(hooks) or torch._C._autograd._profiler_enabled() else own(of)

    return step
