"""Boxes: a kind of target, an anchor-free head with its loss, average precision, and drawn shapes to try them on."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

import ftrun

if TYPE_CHECKING:
    from torch import Tensor, nn

FTRUN_API = "2.0"


class Boxes(ftrun.Target):
    """Boxes in an image, each of a class.

    Values: a Ragged of float32 [n, 5], left, top, right, bottom in pixels, and the class, a position in `names`.
    Decoded: a Ragged of float32 [n, 6], the same and a score, 0 to 1; the surest first.
    """

    kind: Literal["boxes-toy"] = "boxes-toy"
    names: tuple[str, ...] = Field(min_length=1, description="The classes.")
    extensions: ClassVar = {
        "report.section": "ftrun_boxes_toy.page:section",
        "card.text": "ftrun_boxes_toy.page:card_text",
        "devkit.target": "ftrun_boxes_toy:example",
    }

    def faults(self, values: ftrun.Ragged) -> Iterator[tuple[int, str]]:
        for position, boxes in enumerate(values.unbind()):
            good = (boxes[:, 2:4] > boxes[:, :2]).all(1) & (boxes[:, 4] >= 0) & (boxes[:, 4] < len(self.names))
            if not good.all():
                yield position, f"has {boxes[~good][0].tolist()}: no left, top, right, bottom and class of a box."

    def collate(self, values: "Sequence[Tensor]") -> ftrun.Ragged:
        return ftrun.Ragged.of(values)

    def follow(self, values: Any, warp: ftrun.Warp) -> Any:
        if not isinstance(values, ftrun.Ragged):  # one sample's
            return self.follow(self.collate([values]), warp[None]).values
        boxes = _moved(values, warp)
        height, width = warp.size
        boxes[:, 0:4:2].clamp_(0, width)
        boxes[:, 1:4:2].clamp_(0, height)
        seen = (boxes[:, 2:4] - boxes[:, :2]).amin(1) >= 1  # of what lies outside, nothing is left
        lengths = values.lengths.new_zeros(len(values)).index_add(0, values.samples, seen.long())
        return ftrun.Ragged(boxes[seen], lengths)

    def to_raw(self, decoded: ftrun.Ragged, warp: ftrun.Warp, sizes: Any) -> ftrun.Ragged:
        return ftrun.Ragged(_moved(decoded, warp), decoded.lengths)

    def default_head(self) -> ftrun.Head:
        return BoxesHead(name="boxes-toy")

    def decode(self, output: "dict[str, Tensor]") -> ftrun.Ragged:
        from ftrun_boxes_toy.nets import decoded

        return decoded(**self.exported(output))

    def exported(self, output: "dict[str, Tensor]") -> "dict[str, Tensor]":
        return {"boxes": output["boxes"], "scores": output["scores"].sigmoid()}  # of each cell: an application chooses

    def predictions(self, decoded: ftrun.Ragged, *, top: int = 1) -> list[ftrun.Prediction]:
        def box(row: list[float]) -> dict[str, Any]:
            return {"name": self.names[int(row[4])], "score": row[5], "box": [round(each, 3) for each in row[:4]]}

        return [ftrun.Prediction([box(row) for row in found.tolist()]) for found in decoded.unbind()]

    def pack(self, decoded: ftrun.Ragged, values: ftrun.Ragged) -> tuple[ftrun.Ragged, ftrun.Ragged]:
        return decoded, values

    def names_in_use(self) -> tuple[str, ...]:
        return self.names

    def made_up(self) -> tuple[ftrun.Ragged, ftrun.Ragged]:
        import torch

        truth = [
            torch.tensor([[1.0, 2, 6, 7, each % len(self.names)]] * (each % 3)).reshape(-1, 5) for each in range(6)
        ]
        found = [torch.cat([boxes, torch.full((len(boxes), 1), 0.9)], dim=1) for boxes in truth]
        return ftrun.Ragged.of(found), ftrun.Ragged.of(truth)


def _moved(boxes: ftrun.Ragged, warp: ftrun.Warp) -> "Tensor":
    import torch

    rows = boxes.values
    return torch.cat([warp.of_items(boxes.lengths, len(rows)).boxes(rows[:, :4]), rows[:, 4:]], dim=1)


def example() -> Boxes:
    return Boxes(names=("disc", "square"))


class BoxesHead(ftrun.Head):
    """A class and a box for each cell of one level, without anchors (Tian et al., "FCOS", 2019)."""

    name: Literal["boxes-toy"]
    takes = "pyramid"
    kinds = ("boxes-toy",)
    stride: int = Field(8, ge=1, description="Pixels from cell to cell: the level nearest below is taken.")
    width: int = Field(64, ge=1, description="Channels of its hidden layer.")

    def build(self, net: "ftrun.Net", target: ftrun.Target) -> "nn.Module":
        from ftrun_boxes_toy.nets import AnchorFree

        fine = [at for at, level in enumerate(net.levels) if (level.stride or 1) <= self.stride]
        at = max(fine, default=0)
        return AnchorFree(at, net.levels[at], self.width, len(target.names))


class BoxesLoss(ftrun.Loss):
    """Focal loss of the classes and 1 - GIoU of the boxes, divided by the number of cells that lie in a box."""

    name: Literal["boxes-toy"]
    kinds = ("boxes-toy",)

    def build(self, target: ftrun.Target, values: Any) -> "nn.Module":
        from ftrun_boxes_toy.nets import BoxLoss

        return BoxLoss()


class BoxesPrecision(ftrun.Metric):
    """Average precision: the area under precision over recall, the mean of the classes that occur."""

    name: Literal["boxes-toy-ap"]
    kinds = ("boxes-toy",)
    overlap: float = Field(0.5, gt=0, le=1, description="Least intersection over union of a box that is right.")

    def build(self, target: ftrun.Target) -> Any:
        from ftrun_boxes_toy.nets import AveragePrecision

        return AveragePrecision(len(target.names), self.overlap)


class BoxesData(ftrun.Dataset):
    """Drawn discs and squares, none to three in an image of noise."""

    name: Literal["boxes-toy"]
    input_kind = "image"
    samples: int = Field(64, ge=4, description="Training samples; val and test have a quarter as many each.")
    size: tuple[int, int] = Field((48, 64), description="Height and width of the raw images in pixels.")

    def build(self) -> ftrun.Splits:
        counts = {"train": self.samples, "val": self.samples // 4, "test": self.samples // 4}
        splits = {name: Drawn(count, self.size, seed) for seed, (name, count) in enumerate(counts.items())}
        return ftrun.Splits(**splits, targets={"shapes": example()})


class Drawn:
    """Images [3, H, W] and their boxes [n, 5]; each sample is drawn anew from its number."""

    def __init__(self, count: int, size: tuple[int, int], seed: int) -> None:
        self.count, self.size, self.seed = count, size, seed
        self.fingerprint = f"boxes-toy {count} {size} {seed}"

    def __len__(self) -> int:
        return self.count

    def values(self, index: int) -> "dict[str, Tensor]":
        return self[index][1]

    def __getitem__(self, index: int, /) -> ftrun.Sample:
        import torch

        draw = torch.Generator().manual_seed(self.seed * 10**6 + index)
        image = torch.randint(0, 60, (3, *self.size), generator=draw, dtype=torch.uint8)
        y, x = (torch.arange(side) + 0.5 for side in self.size)
        boxes = []
        for _ in range(int(torch.randint(4, (), generator=draw))):
            radius = int(torch.randint(5, min(self.size) // 4, (), generator=draw))
            row, column = (int(torch.randint(radius, side - radius, (), generator=draw)) for side in self.size)
            kind = int(torch.randint(2, (), generator=draw))
            away = torch.stack(torch.meshgrid((y - row).abs(), (x - column).abs(), indexing="ij"))
            inside = (away.amax(0) if kind else away.norm(dim=0)) < radius
            image[:, inside] = torch.randint(120, 256, (3, 1), generator=draw, dtype=torch.uint8)
            boxes.append([column - radius, row - radius, column + radius, row + radius, kind])
        return image, {"shapes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 5)}


@ftrun.hookimpl
def ftrun_targets() -> list[type[ftrun.Target]]:
    return [Boxes]


@ftrun.hookimpl
def ftrun_heads() -> list[type[ftrun.Head]]:
    return [BoxesHead]


@ftrun.hookimpl
def ftrun_losses() -> list[type[ftrun.Loss]]:
    return [BoxesLoss]


@ftrun.hookimpl
def ftrun_metrics() -> list[type[ftrun.Metric]]:
    return [BoxesPrecision]


@ftrun.hookimpl
def ftrun_datasets() -> list[type[ftrun.Dataset]]:
    return [BoxesData]
