"""Muon (Jordan et al., 2024): momentum whose matrices are made orthogonal; for what is no matrix, AdamW.

The step of a matrix is scaled to the size that AdamW's has (Liu et al., "Muon is scalable for LLM training", 2025), so
that one learning rate and one decay hold for both. Kernels of convolutions are matrices [out, in x height x width], as
timm has them. Both are one optimizer with one state.
"""

from math import sqrt
from typing import Any

import torch
from torch import Tensor

from ftrun_optim.fused import AdamW

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_EPS = 1e-7


class Muon(AdamW):
    """Groups with `muon` are matrices, all others are AdamW's.

    momentum: of the matrices; options: AdamW's
    """

    def __init__(self, params: Any, *, momentum: float, **options: Any) -> None:
        super().__init__(params, **options)
        self._step_supports_amp_scaling = False  # which lets a fused step be left out, but not ours
        for group in self.param_groups:
            group.setdefault("muon", False)
            group["momentum"] = momentum

    def _init_group(self, group: dict[str, Any], *lists: Any) -> bool:
        """Leave the matrices out of AdamW's step, and make theirs."""
        if not group["muon"]:
            return super()._init_group(group, *lists)
        for parameter in group["params"]:
            if parameter.grad is not None:
                self._turn(parameter, parameter.grad, group)
        return False

    def _turn(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
            state["step"] = torch.zeros(())  # which AdamW looks for when it loads a state
        momentum = state["momentum_buffer"].lerp_(gradient, 1 - group["momentum"])
        update = gradient.lerp(momentum, group["momentum"]).flatten(1)
        size = 0.2 * sqrt(max(update.shape))
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(orthogonal(update).view(parameter.shape), alpha=-group["lr"] * size)


def orthogonal(matrix: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Return a matrix [M, N] with the same directions and singular values of about 1 (Newton and Schulz).

    dtype: to compute in; bfloat16 where there are units for it, on a GPU, else float32 if not given
    """
    dtype = dtype or (torch.float32 if matrix.is_cpu else torch.bfloat16)
    wide = matrix.shape[0] <= matrix.shape[1]
    x = (matrix if wide else matrix.T).to(dtype, copy=True)
    x /= x.norm().clamp(min=_EPS)
    a, b, c = _COEFFICIENTS
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x if wide else x.T).to(matrix.dtype)
