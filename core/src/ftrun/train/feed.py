"""What feeds the net: the data, as it is augmented, prepared and read in batches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch

from ftrun.contracts.data import Batch, Splits
from ftrun.contracts.inputs import InputSpec
from ftrun.contracts.randomness import SampleRandom, seed_of
from ftrun.data.corrupt import CorruptSamples
from ftrun.data.loader import Loader
from ftrun.train.embedded import Embeddings


@dataclass
class Feed:
    """Samples, from the dataset to batches that the net takes. Nothing of it learns."""

    seed: int
    device: torch.device
    splits: Splits
    input: InputSpec
    augmentations: list[Callable[[Batch, SampleRandom], Batch]]
    draw: Callable[[int], int]
    """Which of its augmentations a sample gets in an epoch (from 1): with `views`, epochs share them in turn."""
    loaders: Mapping[str, Loader]
    accumulate: int
    """Batches of an optimizer step."""
    embeddings: Embeddings
    corrupt: CorruptSamples

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in an epoch."""
        return self.loaders["train"].steps(self.accumulate)

    @property
    def samples(self) -> dict[str, int]:
        """Number of samples in each split."""
        return {name: len(split) for name, split in self.splits.items()}

    def ready(self, batch: Batch, epoch: int | None = None) -> Batch:
        """Return a batch as the net takes it, on its device: augmented as drawn for an epoch (from 1) if one is given.

        What a sample draws depends on (seed, epoch, sample) alone.
        """
        batch = batch.to(self.device)
        if batch.embedded:
            return batch
        if epoch is not None:
            draw = self.draw(epoch)
            for position, augmentation in enumerate(self.augmentations):
                batch = augmentation(batch, SampleRandom(seed_of(self.seed, "augment", draw, position), batch.ids))
        return replace(batch, inputs=self.input.prepare(batch.inputs))
