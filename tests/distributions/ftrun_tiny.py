"""A plugin for tests: a dataset, a backbone and the like that build in milliseconds."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

import ftrun
import ftrun_inputs


class TinyDataset(ftrun.Dataset):
    """Grey images, 8x8, whose class shows as brightness."""

    name: Literal["tiny"]
    samples: int = Field(60, ge=1, description="Training samples.")
    val: bool = Field(False, description="Whether there is a val split.")
    test: bool = Field(True, description="Whether there is a test split.")
    classes: int = Field(3, ge=1, description="Number of classes.")
    wrong_label: bool = Field(False, description="Whether one training label is out of range.")
    empty_class: bool = Field(False, description="Whether one class has no training sample.")
    fails_at: int | None = Field(None, description="Index of a training sample that cannot be read.")
    workers: bool = Field(False, description="Whether the data pretends not to lie in memory.")

    def build(self) -> ftrun.Splits:
        import torch

        names = tuple(f"class {index}" for index in range(self.classes + self.empty_class))
        splits = {}
        for offset, split in enumerate(["train", "val", "test"]):
            count = self.samples if split == "train" else 12
            labels = torch.arange(count) % self.classes
            noise = torch.randint(0, 40, (count, 1, 8, 8), generator=torch.Generator().manual_seed(offset))
            images = (noise + (labels * 200 // max(self.classes - 1, 1))[:, None, None, None]).to(torch.uint8)
            if split == "train" and self.wrong_label:
                labels[5] = 7
            splits[split] = _Failing(images, {"label": labels})
        splits["train"].fails_at = self.fails_at
        splits["train"].in_memory = not self.workers
        return ftrun.Splits(
            train=splits["train"],
            val=splits["val"] if self.val else None,
            test=splits["test"] if self.test else None,
            targets={"label": ftrun.Classes(names=names)},
        )


class _Failing(ftrun.TensorSplit):
    fails_at: int | None = None

    def __getitems__(self, indices: Any) -> Any:
        if self.fails_at in indices:
            raise ftrun.DataError(f"sample {self.fails_at} cannot be read: it is torn.")
        return super().__getitems__(indices)


class TinyBackbone(ftrun.Backbone):
    """One convolution with batch normalisation."""

    name: Literal["tiny"]
    input_type = ftrun_inputs.ImageInput
    width: int = Field(8, ge=1, description="Channels of the convolution.")
    norm: bool = Field(True, description="Whether there is batch normalisation.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout on the embedding.")
    exits: bool = Field(False, description="Whether it fails unexpectedly.")

    def build(self, overrides: Mapping[str, Any]) -> "ftrun.Net":
        from torch import nn

        if self.exits:
            raise ZeroDivisionError("an unexpected fault")
        model = nn.Sequential(
            nn.Conv2d(3, self.width, 3),
            nn.BatchNorm2d(self.width) if self.norm else nn.Identity(),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(self.dropout),
            nn.Linear(self.width, 1000),
        )

        class TinyNet(ftrun.Net):
            def features(self, x: Any) -> Any:
                return self.model[:3](x)

            def pool(self, features: Any) -> Any:
                return self.model[3:6](features)

        return TinyNet(
            model,
            input=ftrun_inputs.ImageInput(size=(8, 8)).changed(**overrides),
            num_features=self.width,
            head_path="6",
            stages={"stem": ["0", "1"]},
        )


class TinyOptimizer(ftrun.Optimizer):
    """Plain gradient descent."""

    name: Literal["tiny-sgd"]
    lr: float = Field(0.1, gt=0, description="Learning rate.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum factor.")

    def build(self, params: Any) -> Any:
        import torch

        return torch.optim.SGD(params, lr=self.lr, momentum=self.momentum)


class TinyLoss(ftrun.Loss):
    """Cross-entropy."""

    name: Literal["tiny-loss"]

    def build(self, target: ftrun.Target, values: Any) -> Any:
        import torch

        return torch.nn.CrossEntropyLoss()


class Recorder(ftrun.Observer):
    """Writes what it is called with to a file, and fails where it is told to."""

    name: Literal["recorder"]
    file: str = Field(description="Where to write.")
    fails_in: str | None = Field(None, description="Hook that raises.")

    def build(self) -> object:
        return _Recorder(self.file, self.fails_in)


class _Recorder:
    def __init__(self, file: str, fails_in: str | None) -> None:
        self.file = file
        self.fails_in = fails_in

    def note(self, hook: str, what: object) -> None:
        with open(self.file, "a") as file:
            file.write(f"{hook} {what}\n")
        if hook == self.fails_in:
            raise RuntimeError("the recorder's own fault")

    @ftrun.hookimpl
    def ftrun_before_run(self, run: ftrun.RunInfo) -> None:
        self.note("before_run", run.samples)

    @ftrun.hookimpl
    def ftrun_after_epoch(self, epoch: ftrun.EpochInfo) -> None:
        self.note("after_epoch", epoch.epoch)

    @ftrun.hookimpl
    def ftrun_after_run(self, results: Mapping[str, Any]) -> None:
        self.note("after_run", results["best_epoch"])

    @ftrun.hookimpl
    def ftrun_on_error(self, error: BaseException) -> None:
        self.note("on_error", error)


@ftrun.hookimpl
def ftrun_datasets() -> list[type[ftrun.Dataset]]:
    return [TinyDataset]


@ftrun.hookimpl
def ftrun_backbones() -> list[type[ftrun.Backbone]]:
    return [TinyBackbone]


@ftrun.hookimpl
def ftrun_optimizers() -> list[type[ftrun.Optimizer]]:
    return [TinyOptimizer]


@ftrun.hookimpl
def ftrun_losses() -> list[type[ftrun.Loss]]:
    return [TinyLoss]


@ftrun.hookimpl
def ftrun_observers() -> list[type[ftrun.Observer]]:
    return [Recorder]
