"""What makes a batch ready for the net: on its device, augmented, prepared."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch

from ftrun.contracts.data import Batch
from ftrun.contracts.inputs import InputSpec
from ftrun.contracts.randomness import SampleRandom, seed_of

Augment: TypeAlias = Callable[[Batch, SampleRandom], Batch]

_EVALUATION = 0  # the draw of views in val and test; epochs count from 1


@dataclass(frozen=True)
class Ready:
    """Makes batches ready. What a sample gets depends on (seed, draw, sample) alone.

    views: of each sample, as `ObjectiveModule` has it; with more than one, all but the first are augmented in
        evaluation too
    """

    seed: int
    device: torch.device
    input: InputSpec
    augmentations: Sequence[Augment] = ()
    views: int = 1

    def __call__(self, batch: Batch, draw: int | None = None) -> Batch:
        """Return a batch as the net takes it, on its device; augmented if a draw is given.

        draw: which of its augmentations each sample gets, `Plan.draw` of an epoch
        """
        batch = batch.to(self.device)
        if batch.embedded:
            return batch
        extra = dict(batch.extra)
        if self.views > 1:
            others = (self._augmented(batch, draw or _EVALUATION, "view", view) for view in range(1, self.views))
            extra["views"] = tuple(self.input.prepare(other.inputs) for other in others)
        if draw is not None:
            batch = self._augmented(batch, draw)
        return replace(batch, inputs=self.input.prepare(batch.inputs), extra=extra)

    def _augmented(self, batch: Batch, draw: int, *view: int | str) -> Batch:
        for position, augmentation in enumerate(self.augmentations):
            random = SampleRandom(seed_of(self.seed, "augment", draw, position, *view), batch.ids)
            batch = augmentation(batch, random)
        return batch
