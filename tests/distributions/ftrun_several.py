"""A plugin for tests: a dataset with a target of each kind, some of them missing in some samples."""

from typing import Literal

from pydantic import Field

import ftrun


class Several(ftrun.Dataset):
    """Grey images, 8x8, whose brightness shows in their class, their value and their labels."""

    name: Literal["several"]
    samples: int = Field(96, ge=8, description="Training samples.")
    missing: bool = Field(False, description="Whether every third sample misses a target, each time another one.")
    targets: tuple[str, ...] = Field(("color", "price", "tags"), description="Those that there are.")

    def build(self) -> ftrun.Splits:
        import torch

        splits = {}
        for offset, split in enumerate(["train", "val", "test"]):
            count = self.samples if split == "train" else 24
            levels = torch.arange(count) % 4
            noise = torch.randint(0, 20, (count, 1, 8, 8), generator=torch.Generator().manual_seed(offset))
            images = (noise + (levels * 70)[:, None, None, None]).to(torch.uint8)
            values = {
                "color": (levels >= 2).long(),
                "price": 5000.0 + 100.0 * levels[:, None].float(),
                "tags": torch.stack([levels > 0, levels > 2], 1).float(),
            }
            if self.missing:
                values["color"][::3] = -1
                values["price"][1::3] = float("nan")
                values["tags"][2::3] = float("nan")
            splits[split] = ftrun.TensorSplit(images, {name: values[name] for name in self.targets})
        every = {
            "color": ftrun.Classes(names=("dark", "light")),
            "price": ftrun.Values(names=("cents",)),
            "tags": ftrun.Labels(names=("not black", "white")),
        }
        return ftrun.Splits(**splits, targets={name: every[name] for name in self.targets})


@ftrun.hookimpl
def ftrun_datasets() -> list[type[ftrun.Dataset]]:
    return [Several]
