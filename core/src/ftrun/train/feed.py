"""What feeds the net: the data, as it is augmented, prepared and read in batches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from ftrun.contracts.data import Split, Splits
from ftrun.contracts.inputs import InputSpec
from ftrun.contracts.layout import sample_bytes
from ftrun.contracts.targets import Target
from ftrun.data.collating import Collating
from ftrun.data.corrupt import CorruptSamples
from ftrun.data.decoded import Decoder
from ftrun.data.loader import Loader, Order
from ftrun.spec.runspec import RunSpec
from ftrun.train.embedded import Embeddings
from ftrun.train.mixing import Mixing
from ftrun.train.ready import Ready


@dataclass
class Feed:
    """Samples, from the dataset to batches that the net takes. Nothing of it learns."""

    spec: RunSpec
    device: torch.device
    splits: Splits
    input: InputSpec
    ready: Ready
    mixing: Mixing
    order: Order | None
    """Of training samples, where a sampler says it."""
    say: Callable[[str], None]
    kept: InputSpec
    """What prepares the inputs of train: `input`, or the same at a larger size, where augmentations enlarge parts."""
    loaders: Mapping[str, Loader] = field(init=False)
    """Of each split, by its name."""

    def __post_init__(self) -> None:
        self.corrupt = corrupt_samples(self.spec, self.say)
        self.embeddings = Embeddings(self.say)
        self.read(self.splits)

    def read(self, splits: Splits) -> None:
        """Take the samples from `splits`: the same ones, decoded."""
        self.splits = splits
        self.loaders = {
            name: loader(
                self.spec,
                name,
                split,
                self.input_of(name),
                self.corrupt,
                self.device,
                splits.targets,
                self.order_of(name),
            )
            for name, split in splits.items()
        }

    def input_of(self, name: str) -> InputSpec:
        """Return what prepares the inputs of a split."""
        return self.kept if name == "train" else self.input

    def order_of(self, name: str) -> Order | None:
        """Return which samples of a split an epoch takes, where a sampler says it."""
        return self.order if name == "train" else None

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in an epoch."""
        return self.loaders["train"].steps(self.spec.train.accumulate)

    @property
    def samples(self) -> dict[str, int]:
        """Number of samples in each split."""
        return {name: len(split) for name, split in self.splits.items()}


def corrupt_samples(spec: RunSpec, say: Callable[[str], None]) -> CorruptSamples:
    """Return the record of samples that cannot be read: none yet; as many may be skipped as the spec allows."""
    on_corrupt = spec.train.on_corrupt
    return CorruptSamples(0 if on_corrupt == "error" else on_corrupt, say)


def decoder(
    spec: RunSpec, prepare: InputSpec, targets: Mapping[str, Target], say: Callable[[str], None], **following: Any
) -> Decoder:
    """Return what decodes the spec's data for a net with this input. following: its `progress` and `check`."""
    reading: dict[str, Any] = {"dataset": spec.dataset, "targets": tuple(targets), "workers": spec.train.workers}
    return Decoder(prepare, skip=spec.train.on_corrupt != "error", say=say, **reading, **following)


def loader(
    spec: RunSpec,
    name: str,
    split: Split,
    prepare: InputSpec,
    corrupt: CorruptSamples,
    device: torch.device,
    targets: Mapping[str, Target],
    order: Order | None = None,
) -> Loader:
    """Return what reads a split in the spec's batches. targets: what the data has; order: as `Loader` has it"""
    return Loader(
        name,
        split,
        Collating(prepare),
        corrupt,
        batch_size=spec.train.batch_size,
        workers=spec.train.workers,
        device=device,
        sample_bytes=sample_bytes(prepare.collated_layout),
        dataset=spec.dataset,
        order=order,
        targets=targets,
    )
