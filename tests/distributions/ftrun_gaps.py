"""Grey images whose brightness tells a class, labels and values; what is missing of them is an option."""

from typing import Literal

from pydantic import Field

import ftrun
from ftrun_devkit.tiny import TinyNet

Gap = Literal["none", "rows", "cells", "val", "test"]


class Gaps(ftrun.Dataset):
    """Brightness, as a class, as labels and as values."""

    name: Literal["gaps"]
    targets: tuple[Literal["kind", "tags", "sizes"], ...] = Field(("kind",), description="What to predict.")
    gap: Gap = Field("rows", description="What is missing: rows, or single cells; or all of a target in a split.")
    of: Literal["kind", "tags", "sizes", "all"] = Field("all", description="The target that lacks it.")
    offset: float = Field(0.0, description="Added to the values.")
    single: bool = Field(False, description="Whether values are float32.")

    def build(self) -> ftrun.Splits:
        """Images uint8 [N, 1, 2, 2]."""
        import torch

        generator = torch.Generator().manual_seed(0)

        def split(name: str, count: int) -> ftrun.TensorSplit:
            bright = torch.rand(count, 1, generator=generator).double()
            values = {
                "kind": (bright[:, 0] > 0.5).long(),
                "tags": torch.cat([bright > 0.3, bright > 0.7], 1).float(),
                "sizes": torch.cat([10 * bright, -3 * bright], 1) + self.offset,
            }
            for target, each in values.items():
                gap = self.gap if self.of in (target, "all") else "none"
                nothing = -1 if target == "kind" else float("nan")
                if gap == "rows" or (gap == "cells" and target == "kind"):
                    each[::7] = nothing
                elif gap == "cells":
                    each[::5, 0] = each[1::3, 1] = nothing
                elif gap == name:
                    each[:] = nothing
            if self.single:
                values["sizes"] = values["sizes"].float()
            images = (bright * 255).to(torch.uint8)[:, :, None, None].expand(-1, 1, 2, 2).contiguous()
            return ftrun.TensorSplit(images, {target: values[target] for target in self.targets})

        kinds = {
            "kind": ftrun.Classes(names=("low", "high")),
            "tags": ftrun.Labels(names=("some", "much")),
            "sizes": ftrun.Values(names=("up", "down")),
        }
        return ftrun.Splits(
            train=split("train", 120),
            val=split("val", 60),
            test=split("test", 60),
            targets={target: kinds[target] for target in self.targets},
        )


class GapsNet(TinyNet):
    """The tiny net on images of two pixels."""

    name: Literal["gaps-net"]


@ftrun.hookimpl
def ftrun_datasets() -> list[type[ftrun.Dataset]]:
    return [Gaps]


@ftrun.hookimpl
def ftrun_backbones() -> list[type[ftrun.Backbone]]:
    return [GapsNet]
