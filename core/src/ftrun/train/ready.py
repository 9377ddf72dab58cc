"""What makes a batch ready for the net: on its device, augmented, prepared."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch

from ftrun.contracts.data import Batch
from ftrun.contracts.randomness import SampleRandom, seed_of
from ftrun.contracts.trees import Tree
from ftrun.train.augmenting import Augmenter

_EVALUATION = 0  # the draw of views in val and test; epochs count from 1


@dataclass(frozen=True)
class Ready:
    """Makes batches ready. What a sample gets depends on (seed, draw, sample) alone.

    prepare: that of the net
    views: of each sample, as `ObjectiveModule` has it; with more than one, all but the first are augmented in
        evaluation too
    """

    seed: int
    device: torch.device
    prepare: Callable[[Tree], Tree]
    augmenter: Augmenter = field(default_factory=Augmenter)
    views: int = 1

    def at(self, progress: float) -> "Ready":
        """Return the same where so much of the run is done, 0 to 1, and some augmentations may be off."""
        return replace(self, augmenter=self.augmenter.at(progress))

    def __call__(self, batch: Batch, draw: int | None = None) -> Batch:
        """Return a batch as the net takes it, on its device; augmented if a draw is given.

        draw: which of its augmentations each sample gets, `Plan.draw` of an epoch
        """
        batch = batch.to(self.device)
        if batch.embedded:
            return batch
        views = {}
        if self.views > 1:
            others = (self._augmented(batch, draw or _EVALUATION, "view", view) for view in range(1, self.views))
            views["views"] = tuple(self.prepare(other.inputs) for other in others)
        batch = self.augmenter.plain(batch) if draw is None else self._augmented(batch, draw)
        return replace(batch, inputs=self.prepare(batch.inputs), extra={**batch.extra, **views})

    def _augmented(self, batch: Batch, draw: int, *view: int | str) -> Batch:
        draws = batch.extra.get("draws", batch.ids)  # a sample that comes again draws again

        def random(position: int) -> SampleRandom:
            return SampleRandom(seed_of(self.seed, "augment", draw, position, *view), draws)

        return self.augmenter(batch, random)
