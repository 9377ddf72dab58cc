"""A kind of target that is no tensor known in advance: the brightness of each spot of an image, some or none."""

import html
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

import ftrun


class Spots(ftrun.Target):
    """How bright each spot is, float32 [n] of a sample; None where nobody has looked. A net learns their sum."""

    kind: Literal["spots"] = "spots"
    most: float = Field(100.0, description="The most that a spot can have.")
    outputs: ClassVar[int] = 1
    extensions: ClassVar = {"report.section": "ftrun_spots:section", "card.text": "ftrun_spots:card_text"}

    def faults(self, values: ftrun.Ragged) -> Iterator[tuple[int, str]]:
        for position, spots in enumerate(values.unbind()):
            if (spots > self.most).any():
                yield position, f"has a spot of {float(spots.max()):g}, but {self.most:g} is the most."

    def collate(self, values: Sequence[Any]) -> ftrun.Ragged:
        import torch

        missing = torch.tensor([float("nan")])
        return ftrun.Ragged.of([missing if each is None else each for each in values])

    def present(self, values: ftrun.Ragged) -> Any:
        import torch

        return ~torch.stack([each.isnan().any() for each in values.unbind()])

    def encode(self, values: ftrun.Ragged) -> Any:
        import torch

        return torch.stack([each.sum() for each in values.unbind()])[:, None] / self.most

    def decode(self, output: Any) -> Any:
        return output[:, 0] * self.most

    def predictions(self, decoded: Any, *, top: int = 1) -> list[ftrun.Prediction]:
        return [ftrun.Prediction([{"sum": round(each, 3)}]) for each in decoded.tolist()]

    def pack(self, decoded: Any, values: ftrun.Ragged) -> tuple[Any, Any]:
        return {"sum": decoded}, values

    def made_up(self) -> tuple[Any, Any]:
        import torch

        return torch.arange(4.0), ftrun.Ragged.of([torch.ones(count) for count in range(4)])


def section(name: str, target: Spots, outputs: Any, truth: ftrun.Ragged, ids: Any, pictures: Any) -> str:
    """A line for each of the first samples."""
    rows = zip(ids.tolist()[:3], outputs["sum"].tolist(), truth.unbind(), strict=False)
    return "".join(f"<p>spots of {html.escape(name)} {at}: {len(each)} at {made:.2f}</p>" for at, made, each in rows)


def card_text(target: Spots) -> tuple[str, str]:
    """What a model card says."""
    return "spots of an image", "counts no spot that is darker than the noise."


class SpotSplit:
    """Images with some bright pixels. Nothing of the target is known without asking for a sample."""

    def __init__(self, count: int, first: int, gap: bool) -> None:
        self.count, self.first, self.gap = count, first, gap
        self.asked: list[int] = []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int, /) -> Any:
        import torch

        self.asked.append(index)
        generator = torch.Generator().manual_seed(self.first + index)
        spots = torch.randint(20, 60, (index % 3,), generator=generator).float()
        image = torch.zeros(64, dtype=torch.uint8)
        image[torch.randperm(64, generator=generator)[: len(spots)]] = spots.to(torch.uint8)
        return image.reshape(1, 8, 8), {"spots": None if self.gap and index % 5 == 4 else spots}


class SpotData(ftrun.Dataset):
    """Images and their spots."""

    name: Literal["spots"]
    gap: bool = Field(False, description="Whether nobody has looked at some images.")
    most: float = Field(100.0, description="As the target has it.")

    def build(self) -> ftrun.Splits:
        splits: dict[str, Any] = {
            name: SpotSplit(count, first, self.gap) for name, count, first in [("train", 40, 0), ("test", 12, 1000)]
        }
        return ftrun.Splits(**splits, targets={"spots": Spots(most=self.most)})


class SpotLoss(ftrun.Loss):
    """Squared error of the sum."""

    name: Literal["spot-loss"]
    kinds = ("spots",)

    def build(self, target: ftrun.Target, values: Any) -> Any:
        from torch import nn

        assert values is None  # nothing is known unread
        return nn.MSELoss()


class SpotError(ftrun.Metric):
    """Mean absolute error of the sum, and how many samples and spots there were."""

    name: Literal["spot-error"]
    kinds = ("spots",)
    higher_is_better = False

    def build(self, target: ftrun.Target) -> Any:
        return _Error()


class _Error:
    def __init__(self) -> None:
        self.reset()

    def to(self, device: Any) -> "_Error":
        return self

    def update(self, output: Any, values: ftrun.Ragged) -> None:
        sums = [float(each.sum()) for each in values.unbind()]
        self.off += sum(abs(made - true) for made, true in zip(output.tolist(), sums, strict=True))
        self.samples, self.spots = self.samples + len(values), self.spots + int(values.lengths.sum())

    def merge_state(self, other: "_Error") -> None:
        self.off += other.off
        self.samples, self.spots = self.samples + other.samples, self.spots + other.spots

    def compute(self) -> dict[str, Any]:
        return {"mean": self.off / max(self.samples, 1), "samples": self.samples, "spots": self.spots}

    def reset(self) -> None:
        self.off, self.samples, self.spots = 0.0, 0, 0


@ftrun.hookimpl
def ftrun_targets() -> list[type[ftrun.Target]]:
    return [Spots]


@ftrun.hookimpl
def ftrun_datasets() -> list[type[ftrun.Dataset]]:
    return [SpotData]


@ftrun.hookimpl
def ftrun_losses() -> list[type[ftrun.Loss]]:
    return [SpotLoss]


@ftrun.hookimpl
def ftrun_metrics() -> list[type[ftrun.Metric]]:
    return [SpotError]
