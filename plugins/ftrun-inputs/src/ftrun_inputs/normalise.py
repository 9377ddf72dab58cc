"""Normalising images on the device."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Normalise(nn.Module):
    """uint8 [B, C, H, W] -> float32 of the same shape, normalised; mean and std of each channel on the scale 0 to 1."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        for name, values in (("mean", mean), ("std", std)):  # on the scale 0 to 255: one pass over the pixels will do
            self.register_buffer(name, torch.tensor(values).mul_(255)[:, None, None], persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels.float().sub_(self.mean).div_(self.std)
