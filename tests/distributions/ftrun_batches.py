"""A plugin for tests: what mixes batches, what repeats samples, and losses that name what they take."""

from dataclasses import replace
from typing import Any, Literal

from pydantic import Field

import ftrun


class Mix(ftrun.Augmentation):
    """Weighted means of two samples."""

    name: Literal["mix"]
    reach = "batch"
    alpha: float = Field(0.4, gt=0, description="Both parameters of the beta distribution of the weights.")

    def build(self, targets: Any) -> Any:
        def mix(batch: Any, random: Any) -> Any:
            partner = random.permutation(len(batch))[0]
            weight = random.beta(self.alpha, self.alpha, len(batch))[0]
            inputs = batch.inputs * (wide := weight[:, None, None, None]) + batch.inputs[partner] * (1 - wide)
            mixed = {name: targets[name].mixed(each, each[partner], weight) for name, each in batch.targets.items()}
            return replace(batch, inputs=inputs, targets=mixed)

        return mix


class Twice(ftrun.Sampler):
    """The first samples, twice."""

    name: Literal["twice"]
    samples: int = Field(10, ge=1, description="How many.")

    def build(self, split: Any, targets: Any) -> Any:
        samples = self.samples

        class Order:
            def indices(self, seed: int, epoch: int) -> Any:
                import torch

                generator = torch.Generator().manual_seed(seed * 1000 + epoch)
                return torch.cat([torch.randperm(samples, generator=generator) for _ in range(2)])

        return Order()


class Curious(ftrun.Loss):
    """Cross-entropy, and a centre of the embeddings, for each class; it looks at all that it may."""

    name: Literal["curious"]
    kinds = ("classes", "values")
    inputs: bool = Field(False, description="Whether it names the inputs.")

    def build(self, target: Any, values: Any, net: Any) -> Any:
        import torch
        from torch import nn

        class Module(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.centres = nn.Parameter(torch.zeros(3, net.num_features))
                self.seen: list[Any] = []

            def forward(self, output: Any, values: Any, *, embedding: Any, ids: Any = None) -> Any:
                self.seen.append((output.shape, values.shape, embedding.shape, embedding.dtype, ids.tolist()))
                return nn.functional.cross_entropy(output, values) + (embedding - self.centres[values]).square().mean()

        class Looking(Module):
            def forward(self, output: Any, values: Any, inputs: Any = None, *, embedding: Any = None) -> Any:
                assert len(inputs) == len(output)
                return super().forward(output, values, embedding=embedding, ids=inputs[:, 0, 0, 0])

        return Looking() if self.inputs else Module()


@ftrun.hookimpl
def ftrun_augmentations() -> list[type[ftrun.Augmentation]]:
    return [Mix]


@ftrun.hookimpl
def ftrun_samplers() -> list[type[ftrun.Sampler]]:
    return [Twice]


@ftrun.hookimpl
def ftrun_losses() -> list[type[ftrun.Loss]]:
    return [Curious]
