"""What loss and metric compute with."""

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PixelLoss(nn.Module):
    """Logits [B, K, H, W], perhaps larger below and to the right, and classes uint8 [B, H, W] -> scalar."""

    def __init__(self, unknown: int) -> None:
        super().__init__()
        self.unknown = unknown

    def forward(self, output: Tensor, values: Tensor) -> Tensor:
        output = output[:, :, : values.shape[1], : values.shape[2]]
        losses = F.cross_entropy(output, values.long(), ignore_index=self.unknown, reduction="none")
        known = (values != self.unknown).flatten(1).sum(1)
        return (losses.flatten(1).sum(1) / known.clamp(min=1)).mean()


class IoU:
    """A metric: counts of pixels by true and predicted class."""

    def __init__(self, classes: int) -> None:
        self.counts = torch.zeros(classes, classes, dtype=torch.int64)

    def reset(self) -> None:
        self.counts.zero_()

    def to(self, device: torch.device | str) -> Self:
        self.counts = self.counts.to(device)
        return self

    def update(self, output: Tensor, values: Tensor) -> None:
        output, classes = output[:, : values.shape[1], : values.shape[2]], len(self.counts)
        known = values < classes
        pairs = values[known].long() * classes + output[known]
        self.counts += pairs.bincount(minlength=classes**2).reshape(classes, classes)

    def merge_state(self, other: Self) -> None:
        self.counts += other.counts.to(self.counts.device)

    def compute(self) -> Tensor:
        both = self.counts.diagonal()
        either = self.counts.sum(0) + self.counts.sum(1) - both
        return (both / either)[either > 0].mean()
