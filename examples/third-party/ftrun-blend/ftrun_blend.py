"""Augmentation `blend`: each sample is mixed with another one of its batch, and their targets as much."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field

import ftrun

FTRUN_API = "2.0"  # what it was written for, so that a later ftrun can tell


class Blend(ftrun.Augmentation):
    """Weighted means of two images, and of their targets: a class becomes each class's share."""

    name: Literal["blend"]
    input_kinds = ("image",)
    reach = "batch"
    alpha: float = Field(
        0.2,
        ge=0.01,
        le=100,
        description="Both parameters of the beta distribution of the weights; smaller ones mix less, 1 is uniform.",
    )
    each: Literal["batch", "sample"] = Field(
        "batch", description='What a weight is drawn for: the "batch", as in the paper\'s code, or each "sample".'
    )

    def build(self, targets: Mapping[str, ftrun.Target]) -> Callable[[ftrun.Batch, ftrun.SampleRandom], ftrun.Batch]:
        """Inputs float32 [B, ...] to the same shape; classes int64 [B] to shares float32 [B, K].

        Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: Beyond empirical risk minimization", ICLR 2018: with a weight w
        drawn from Beta(alpha, alpha) and a random order of the batch,

            x <- w * x + (1 - w) * x[order];  y <- w * y + (1 - w) * y[order]

        Both are functions of (seed, epoch, step), by the one row of the SampleRandom. Raises SpecError for a target
        that cannot be mixed.
        """

        def blend(batch: ftrun.Batch, random: ftrun.SampleRandom) -> ftrun.Batch:
            order = random.permutation(len(batch))[0]
            shape = (len(batch),) if self.each == "sample" else (1,)
            weight = random.beta(self.alpha, self.alpha, *shape)[0]  # [B] or [1]

            def mixed(name: str, values: Any) -> Any:
                return targets[name].mixed(values, ftrun.tree_index(values, order), weight)

            share = weight.reshape(-1, *[1] * (batch.inputs.ndim - 1))
            return replace(
                batch,
                inputs=batch.inputs * share + batch.inputs[order] * (1 - share),
                targets={name: mixed(name, values) for name, values in batch.targets.items()},
            )

        return blend


@ftrun.hookimpl
def ftrun_augmentations() -> list[type[ftrun.Augmentation]]:
    return [Blend]
