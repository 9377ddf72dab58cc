"""Tiny parts, and images of which nothing else is known."""

from typing import Literal

import ftrun
from ftrun_devkit import tiny
from ftrun_devkit.tiny import ftrun_backbones, ftrun_losses, ftrun_optimizers  # noqa: F401


class Unlabelled(ftrun.Dataset):
    """48 noisy images."""

    name: Literal["unlabelled"]
    input_kind = "image"

    def build(self) -> ftrun.Splits:
        """Images uint8 [48, 1, 12, 12] without targets; 12 of them are val."""
        import torch

        images = torch.randint(0, 256, (48, 1, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        return ftrun.Splits(
            train=ftrun.TensorSplit(images[:36], {}), val=ftrun.TensorSplit(images[36:], {}), targets={}
        )


@ftrun.hookimpl
def ftrun_datasets() -> list[type[ftrun.Dataset]]:
    return [*tiny.ftrun_datasets(), Unlabelled]
