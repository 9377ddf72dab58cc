"""A plugin for tests: images with targets of every kind, named as a spec says, and a loss that takes them all."""

from typing import Any, Literal

from pydantic import Field

import ftrun


class Kinds(ftrun.Dataset):
    """Images of 8 pixels whose brightness is what all their targets follow."""

    name: Literal["kinds"]
    classes: dict[str, list[str]] = Field(default_factory=dict, description="Names of the classes, by target.")
    labels: dict[str, list[str]] = Field(default_factory=dict, description="Names of the labels, by target.")
    values: dict[str, list[str]] = Field(default_factory=dict, description="Names of the values, by target.")
    samples: int = Field(120, ge=1, description="Of each split.")
    test: bool = Field(True, description="Whether there is a test split.")
    gone: str | None = Field(None, description="A file without which the data is not to be had.")

    def build(self) -> ftrun.Splits:
        if self.gone is not None:
            with open(self.gone):
                pass
        targets: dict[str, ftrun.Target] = {}
        targets |= {name: ftrun.Classes(names=tuple(names)) for name, names in self.classes.items()}
        targets |= {name: ftrun.Labels(names=tuple(names)) for name, names in self.labels.items()}
        targets |= {name: ftrun.Values(names=tuple(names)) for name, names in self.values.items()}
        train, val, test = (self._split(targets, seed) for seed in range(3))
        return ftrun.Splits(train=train, val=val, test=test if self.test else None, targets=targets)

    def _split(self, targets: dict[str, ftrun.Target], seed: int) -> ftrun.TensorSplit:
        import torch

        count = max([self.samples, *(target.outputs for target in targets.values())])
        bright = torch.arange(count) / count
        noise = torch.randint(0, 80, (count, 3, 8, 8), generator=torch.Generator().manual_seed(seed))
        images = (noise + 170 * bright[:, None, None, None]).to(torch.uint8)
        given: dict[str, Any] = {}
        for name, target in targets.items():
            steps = torch.arange(target.outputs)
            if target.kind == "classes":
                given[name] = torch.arange(count) * target.outputs // count
            elif target.kind == "labels":
                given[name] = (bright[:, None] > steps / target.outputs).float()
            else:
                given[name] = bright[:, None] * steps
        return ftrun.TensorSplit(images, given)


class AnyLoss(ftrun.Loss):
    """What is usual for the target's kind."""

    name: Literal["any-loss"]
    kinds = ("classes", "labels", "values")

    def build(self, target: ftrun.Target, values: Any) -> Any:
        from torch import nn

        return {"classes": nn.CrossEntropyLoss, "labels": nn.BCEWithLogitsLoss, "values": nn.MSELoss}[target.kind]()


class BuiltOnce(ftrun.Scheduler):
    """Constant, and a fault of its own where it is built again."""

    name: Literal["built-once"]

    def build(self) -> Any:
        built.append(self.name)
        if len(built) > 1:
            raise ZeroDivisionError("built again")
        return lambda progress: 1.0


built: list[str] = []


@ftrun.hookimpl
def ftrun_datasets() -> list[type[ftrun.Dataset]]:
    return [Kinds]


@ftrun.hookimpl
def ftrun_losses() -> list[type[ftrun.Loss]]:
    return [AnyLoss]


@ftrun.hookimpl
def ftrun_schedulers() -> list[type[ftrun.Scheduler]]:
    return [BuiltOnce]
