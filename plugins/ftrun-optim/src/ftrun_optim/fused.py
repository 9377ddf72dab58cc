"""torch's fused optimizers, without the copy of each gradient that they make on a CPU where it is channels_last.

As of torch 2.15 a step asks for the gradient in contiguous memory, and then does not use what it got
(aten/src/ATen/native/cpu/FusedSGDKernel.cpp, FusedAdamKernel.cpp): two fifths of SGD's time on ResNet-18. Since it goes
through weights, gradient and state number by number, as they lie in memory, the gradient may as well be given as one
long row, which is contiguous.
"""

from typing import Any

import torch
from torch import Tensor

from ftrun_optim.start import DecaysApart, DecaysInGradient


class _NoCopy(torch.optim.Optimizer):
    """What goes before one of torch's optimizers in a class's bases."""

    def _init_group(
        self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[Any], *more: Any
    ) -> bool:
        """Fill the lists that torch makes a group's step of."""
        special: bool = super()._init_group(group, params, grads, states, *more)  # type: ignore[misc]
        for index, parameter in enumerate(params[: len(states)]):
            if states[index] is None:  # SGD has no momentum yet, and torch's step fails where only some have none
                states[index] = torch.zeros_like(parameter)
        if not special and params and params[0].is_cpu:
            grads[:] = map(_as_it_lies, grads, params)
        return special


def _as_it_lies(gradient: Tensor, parameter: Tensor) -> Tensor:
    """`gradient` as a row [N], in the order in which the numbers of `parameter` lie in memory.

    It is copied only where its own order is another one, which torch's step would not see.
    """
    if gradient.is_contiguous() and parameter.is_contiguous():
        return gradient
    if gradient.stride() != parameter.stride():
        gradient = torch.empty_like(parameter).copy_(gradient)
    return gradient.as_strided((gradient.numel(),), (1,))


class SGD(DecaysInGradient, _NoCopy, torch.optim.SGD):
    """torch's, as above."""


class Adam(DecaysInGradient, _NoCopy, torch.optim.Adam):
    """torch's, as above."""


class AdamW(DecaysApart, _NoCopy, torch.optim.AdamW):
    """torch's, as above."""
