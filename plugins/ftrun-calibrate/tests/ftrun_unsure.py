"""A plugin for tests: images whose class, and whose labels, their brightness tells only in part; many are not known."""

from typing import Any, Literal

from pydantic import Field

import ftrun


class Unsure(ftrun.Dataset):
    """Grey images, 8x8."""

    name: Literal["unsure"]
    sure: bool = Field(False, description="Whether brightness tells all.")
    test: bool = Field(True, description="Whether there is a test split.")

    def build(self) -> ftrun.Splits:
        targets = {"kind": ftrun.Classes(names=("dark", "grey", "light")), "tags": ftrun.Labels(names=("p", "q", "r"))}
        train, val, test = (self._split(count, seed) for seed, count in enumerate((96, 90, 60)))
        return ftrun.Splits(train=train, val=val, test=test if self.test else None, targets=targets)

    def _split(self, count: int, seed: int) -> Any:
        import torch

        generator = torch.Generator().manual_seed(seed)
        kinds = torch.arange(count) % 3
        misleading = (torch.rand(count, generator=generator) < 0.3) & (not self.sure)
        shown = torch.where(misleading, (kinds + 1) % 3, kinds)
        noise = torch.randint(0, 40, (count, 1, 8, 8), generator=generator)
        images = (noise + (shown * 100)[:, None, None, None]).to(torch.uint8)
        tags = torch.stack([kinds == 0, (kinds == 2) & (torch.arange(count) % 4 == 0), kinds < 0], 1).float()
        tags[0, 2] = float(seed == 0)  # r is in train alone
        tags[::7, 0] = float("nan")
        kinds[5::11] = -1
        return ftrun.TensorSplit(images, {"kind": kinds, "tags": tags})


@ftrun.hookimpl
def ftrun_datasets() -> list[type[ftrun.Dataset]]:
    return [Unsure]
