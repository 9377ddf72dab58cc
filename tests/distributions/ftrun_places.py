"""A kind of target that lies in the image: where its white spot is. Images are of several sizes."""

from collections.abc import Iterator
from typing import Any, Literal

import ftrun


class PlaceHead(ftrun.LinearHead):
    """Two numbers."""

    name: Literal["place-head"]
    kinds = ("place",)


class Place(ftrun.VectorTarget):
    """A place in an image, float32 [2], x and y in its pixels."""

    kind: Literal["place"] = "place"
    names: tuple[str, ...] = ("x", "y")

    def faults(self, values: Any) -> Iterator[tuple[int, str]]:
        yield from ()

    def default_head(self) -> ftrun.Head:
        return PlaceHead(name="place-head")

    def follow(self, values: Any, warp: ftrun.Warp) -> Any:
        return warp.points(values)

    def to_raw(self, decoded: Any, warp: ftrun.Warp, sizes: Any) -> Any:
        return warp.points(decoded)

    def predictions(self, decoded: Any, *, top: int = 1) -> list[ftrun.Prediction]:
        return [ftrun.Prediction(each) for each in decoded.tolist()]


class PlaceSplit:
    """Black images with a white spot, 7 x 7 pixels, about the place."""

    fingerprint = "always the same"

    def __init__(self, count: int) -> None:
        import torch

        generator = torch.Generator().manual_seed(count)
        self.sizes = [(60, 80), (80, 60), (64, 64)]
        self.columns = {"place": torch.randint(24, 36, (count, 2), generator=generator) + 0.5}

    def __len__(self) -> int:
        return len(self.columns["place"])

    def __getitem__(self, index: int, /) -> Any:
        import torch

        image = torch.zeros(3, *self.sizes[index % 3], dtype=torch.uint8)
        x, y = self.columns["place"][index].int().tolist()
        image[:, y - 3 : y + 4, x - 3 : x + 4] = 255
        return image, {"place": self.columns["place"][index]}


class PlaceData(ftrun.Dataset):
    """Images and places."""

    name: Literal["places"]

    def build(self) -> ftrun.Splits:
        splits: dict[str, Any] = {name: PlaceSplit(count) for name, count in [("train", 24), ("val", 6), ("test", 5)]}
        return ftrun.Splits(**splits, targets={"place": Place()})


class PlaceLoss(ftrun.Loss):
    """Squared distance."""

    name: Literal["place-loss"]
    kinds = ("place",)

    def build(self, target: ftrun.Target, values: Any) -> Any:
        from torch import nn

        return nn.MSELoss()


@ftrun.hookimpl
def ftrun_targets() -> list[type[ftrun.Target]]:
    return [Place]


@ftrun.hookimpl
def ftrun_datasets() -> list[type[ftrun.Dataset]]:
    return [PlaceData]


@ftrun.hookimpl
def ftrun_losses() -> list[type[ftrun.Loss]]:
    return [PlaceLoss]


@ftrun.hookimpl
def ftrun_heads() -> list[type[ftrun.Head]]:
    return [PlaceHead]
