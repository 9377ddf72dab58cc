"""Augmentations that mix the samples of a batch, and their targets: mixup, cutmix."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

import ftrun
from ftrun_augment.options import Change

if TYPE_CHECKING:
    from torch import Tensor

Alpha = Annotated[float, Field(ge=0.01, le=100)]
Each = Literal["batch", "sample"]


class Mixup(ftrun.Augmentation):
    """Mixes each image with another one of its batch, and their targets as much."""

    name: Literal["mixup"]
    input_kinds = ("image",)
    reach = "batch"
    alpha: Alpha = Field(
        0.2, description="Both parameters of the beta distribution of the weights; smaller ones mix less, 1 is uniform."
    )
    each: Each = Field("batch", description="What a weight is drawn for: the batch, or each sample.")

    def build(self, targets: Mapping[str, ftrun.Target]) -> Change:
        """Inputs float32 [B, C, H, W] to the same shape; classes int64 [B] to shares float32 [B, K].

        Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: Beyond empirical risk minimization", ICLR 2018: with a weight w
        from Beta(alpha, alpha) and a random order of the batch, x <- w x + (1 - w) x[order], and y likewise.
        """

        def mixup(batch: ftrun.Batch, random: ftrun.SampleRandom) -> ftrun.Batch:
            order = random.permutation(len(batch))[0]
            weights = random.beta(self.alpha, self.alpha, len(batch) if self.each == "sample" else 1)[0]
            share = weights[:, None, None, None]
            inputs = batch.inputs * share + batch.inputs[order] * (1 - share)
            return replace(batch, inputs=inputs, targets=_mixed(batch, targets, order, weights))

        return mixup


class Cutmix(ftrun.Augmentation):
    """Puts a rectangle of another image of the batch into each, and mixes their targets by its area."""

    name: Literal["cutmix"]
    input_kinds = ("image",)
    reach = "batch"
    alpha: Alpha = Field(
        1.0, description="Both parameters of the beta distribution of what is kept of an image; 1 is uniform."
    )
    each: Each = Field("batch", description="What a rectangle is drawn for: the batch, or each sample.")

    def build(self, targets: Mapping[str, ftrun.Target]) -> Change:
        """Inputs float32 [B, C, H, W] to the same shape; classes int64 [B] to shares float32 [B, K].

        Yun et al., "CutMix: Regularization strategy to train strong classifiers with localizable features", ICCV 2019.
        The rectangle has the image's shape and is cut where it leaves the image; the weight is that of the area left.
        """
        from ftrun_augment import patches

        def cutmix(batch: ftrun.Batch, random: ftrun.SampleRandom) -> ftrun.Batch:
            size = (batch.inputs.shape[2], batch.inputs.shape[3])
            order = random.permutation(len(batch))[0]
            count = len(batch) if self.each == "sample" else 1
            boxes = patches.draw_pasted(
                random.beta(self.alpha, self.alpha, count)[0], random.uniform(count, 2)[0], size
            )
            inside = patches.within(boxes, size)
            weights = 1 - inside.float().mean(dim=(1, 2, 3))
            inputs = batch.inputs[order].where(inside, batch.inputs)
            return replace(batch, inputs=inputs, targets=_mixed(batch, targets, order, weights))

        return cutmix


def _mixed(
    batch: ftrun.Batch, targets: Mapping[str, ftrun.Target], order: "Tensor", weights: "Tensor"
) -> dict[str, Any]:
    """Return targets mixed with those of the samples in `order`, int64 [B], by `weights` of their own, [B] or [1]."""
    return {
        name: targets[name].mixed(values, ftrun.tree_index(values, order), weights)
        for name, values in batch.targets.items()
    }
