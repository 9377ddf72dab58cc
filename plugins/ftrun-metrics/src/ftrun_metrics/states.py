"""Metrics whose state is tensors that add up, or lists that grow, over batches and over parts of the data."""

from typing import Self

import torch
from torch import Tensor, nn


class Metric(nn.Module):
    """A metric with torchmetrics' methods; subclasses have `update(output, values)` and `compute()`.

    Of torchmetrics the base class alone would be of use here, and importing it imports transformers, scipy and
    torchvision where they are installed: seconds of each run.
    """

    def __init__(self) -> None:
        super().__init__()
        self._empty: dict[str, Tensor | None] = {}

    def add_state(self, name: str, empty: Tensor | None = None) -> None:
        """Add a tensor that batches add to, or a list of tensors [B, ...] that they append to where `empty` is None."""
        self._empty[name] = empty
        if empty is None:
            setattr(self, name, [])
        else:
            self.register_buffer(name, empty.clone(), persistent=False)

    def reset(self) -> None:
        """Forget all batches."""
        for name, empty in self._empty.items():
            setattr(self, name, [] if empty is None else empty.to(getattr(self, name).device, copy=True))

    @torch.no_grad()
    def merge_state(self, other: Self) -> None:
        """Take in what another metric of the same kind has seen."""
        for name in self._empty:
            setattr(self, name, getattr(self, name) + getattr(other, name))
