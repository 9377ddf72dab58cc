"""A class for each pixel: a kind of target, a head on the last map with its loss, mean IoU, and drawn shapes."""

import html
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

import ftrun

if TYPE_CHECKING:
    from torch import Tensor, nn

FTRUN_API = "2.0"
UNKNOWN = 255
COLOURS = ("none", "orange", "deepskyblue")


class Mask(ftrun.Target):
    """The class of each pixel. Values: uint8 [H, W], positions in `names`; 255 where nobody has looked.

    A net gives logits [B, K, H, W] at its input's size, or larger below and to the right. Decoded: uint8 [B, H, W].
    """

    kind: Literal["mask-toy"] = "mask-toy"
    names: tuple[str, ...] = Field(min_length=1, max_length=UNKNOWN, description="The classes.")
    extensions: ClassVar = {"report.section": "ftrun_mask_toy:section", "devkit.target": "ftrun_mask_toy:example"}

    def faults(self, values: "Tensor") -> Iterator[tuple[int, str]]:
        wrong = (values >= len(self.names)) & (values != UNKNOWN)
        for sample in wrong.flatten(1).any(1).nonzero().flatten().tolist():
            yield sample, f"has the class {int(values[sample][wrong[sample]][0])}, but there are {len(self.names)}."

    def present(self, values: "Tensor") -> "Tensor":
        return (values != UNKNOWN).flatten(1).any(1)

    def follow(self, values: "Tensor", warp: ftrun.Warp) -> "Tensor":
        if values.ndim == 2:  # one sample's
            return self.follow(values[None], warp[None])[0]
        return ftrun.resample(values[:, None], warp, nearest=True, fill=UNKNOWN)[:, 0]

    def default_head(self) -> ftrun.Head:
        return MaskHead(name="mask-toy")

    def decode(self, output: "Tensor") -> "Tensor":
        import torch

        return output.argmax(1).to(torch.uint8)

    def exported(self, output: "Tensor") -> "Tensor":
        return output.softmax(1)

    def to_raw(self, decoded: "Tensor", warp: ftrun.Warp, sizes: Sequence[tuple[int, int]]) -> "list[Tensor]":
        import dataclasses

        maps = (dataclasses.replace(warp[place], size=size)[None] for place, size in enumerate(sizes))
        return [
            ftrun.resample(mask[None, None], each, nearest=True, fill=UNKNOWN)[0, 0]
            for mask, each in zip(decoded, maps, strict=True)
        ]

    def predictions(self, decoded: "Sequence[Tensor]", *, top: int = 1) -> list[ftrun.Prediction]:
        """Return each image's size and, row by row, [class, number of pixels] of each run of equal ones."""

        def runs(mask: "Tensor") -> dict[str, Any]:
            classes, counts = mask.flatten().unique_consecutive(return_counts=True)
            named = [self.names[each] if each != UNKNOWN else None for each in classes.tolist()]
            return {"size": list(mask.shape), "runs": list(map(list, zip(named, counts.tolist(), strict=True)))}

        return [ftrun.Prediction(runs(mask)) for mask in decoded]

    def pack(self, decoded: "Tensor", values: "Tensor") -> "tuple[Tensor, Tensor]":
        height, width = values.shape[1:]
        return decoded[:, :height, :width], values

    def names_in_use(self) -> tuple[str, ...]:
        return self.names

    def made_up(self) -> "tuple[Tensor, Tensor]":
        import torch

        values = (torch.arange(6 * 8 * 8).reshape(6, 8, 8) % len(self.names)).to(torch.uint8)
        return values.roll(1, 0), values


def example() -> Mask:
    return Mask(names=("background", "disc", "square"))


def section(name: str, target: Mask, outputs: "Tensor", truth: "Tensor", ids: Any, pictures: Any) -> str:
    """Each of the first images twice: with its true classes, and with those that were predicted."""
    shown = []
    for sample, *masks in list(zip(ids.tolist(), truth, outputs, strict=True))[:8]:
        for mask in masks if (picture := pictures.picture(sample)) else ():
            height, width = mask.shape
            cells = "".join(
                f"<rect x='{x}' y='{y}' width='1' height='1' fill='{COLOURS[mask[y, x] % 3]}' opacity='0.6'/>"
                for y, x in ((mask > 0) & (mask != UNKNOWN)).nonzero().tolist()
            )
            image = f"<image href='{picture}' width='{width}' height='{height}' preserveAspectRatio='none'/>"
            shown.append(f"<svg width='160' viewBox='0 0 {width} {height}'>{image}{cells}</svg> ")
    return f"<h3>{html.escape(name)}: masks</h3><p>Truth, then prediction.</p>{''.join(shown)}"


class MaskHead(ftrun.Head):
    """Logits of each cell of the last map, made as large as the input; after `fc-to-conv`, behind its layers."""

    name: Literal["mask-toy"]
    takes = "map"
    kinds = ("mask-toy",)

    def build(self, net: "ftrun.Net", target: ftrun.Target) -> "nn.Module":
        from torch import nn

        level = net.levels[-1]
        larger = nn.Upsample(scale_factor=level.stride, mode="bilinear")
        return nn.Sequential(nn.Conv2d(level.channels, len(target.names), 1), larger)


class MaskLoss(ftrun.Loss):
    """Cross-entropy of each known pixel; the mean of an image's, then of the images'."""

    name: Literal["mask-toy"]
    kinds = ("mask-toy",)

    def build(self, target: ftrun.Target, values: Any) -> "nn.Module":
        from ftrun_mask_toy.nets import PixelLoss

        return PixelLoss(UNKNOWN)


class MeanIoU(ftrun.Metric):
    """Intersection over union of each class's pixels, the mean of the classes that occur."""

    name: Literal["mask-toy-iou"]
    kinds = ("mask-toy",)

    def build(self, target: ftrun.Target) -> Any:
        from ftrun_mask_toy.nets import IoU

        return IoU(len(target.names))


class MaskData(ftrun.Dataset):
    """A drawn disc or square in each image of noise."""

    name: Literal["mask-toy"]
    input_kind = "image"
    samples: int = Field(64, ge=4, description="Training samples; val and test have a quarter as many each.")

    def build(self) -> ftrun.Splits:
        counts = {"train": self.samples, "val": self.samples // 4, "test": self.samples // 4}
        splits = {name: Drawn(count, seed) for seed, (name, count) in enumerate(counts.items())}
        return ftrun.Splits(**splits, targets={"pixels": example()})


class Drawn:
    """Images uint8 [3, 48, 64] and their masks [48, 64]; each sample is drawn anew from its number."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed = count, seed
        self.fingerprint = f"mask-toy {count} {seed}"

    def __len__(self) -> int:
        return self.count

    def values(self, index: int) -> "dict[str, Tensor]":
        return self[index][1]

    def __getitem__(self, index: int, /) -> ftrun.Sample:
        import torch

        draw = torch.Generator().manual_seed(self.seed * 10**6 + index)
        image = torch.randint(0, 60, (3, 48, 64), generator=draw, dtype=torch.uint8)
        radius, row, column = (int(torch.randint(*span, (), generator=draw)) for span in ((7, 15), (15, 33), (15, 49)))
        y, x = (torch.arange(48)[:, None] - row).abs(), (torch.arange(64) - column).abs()
        inside = (x**2 + y**2 < radius**2) if index % 2 else (x < radius) & (y < radius)
        image[:, inside] = torch.randint(120, 256, (3, 1), generator=draw, dtype=torch.uint8)
        return image, {"pixels": inside.to(torch.uint8) * (1 if index % 2 else 2)}


@ftrun.hookimpl
def ftrun_targets() -> list[type[ftrun.Target]]:
    return [Mask]


@ftrun.hookimpl
def ftrun_heads() -> list[type[ftrun.Head]]:
    return [MaskHead]


@ftrun.hookimpl
def ftrun_losses() -> list[type[ftrun.Loss]]:
    return [MaskLoss]


@ftrun.hookimpl
def ftrun_metrics() -> list[type[ftrun.Metric]]:
    return [MeanIoU]


@ftrun.hookimpl
def ftrun_datasets() -> list[type[ftrun.Dataset]]:
    return [MaskData]
