"""What feeds the net: the data, as it is augmented, prepared and read in batches."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from ftrun.train.kept import TrainInput
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
    train_inputs: Sequence[TrainInput]
    """How the inputs of train are prepared in each phase."""
    loaders: Mapping[str, Loader] = field(init=False)
    """Of each split, by its name; of train, that of the last phase."""

    def __post_init__(self) -> None:
        self.corrupt = corrupt_samples(self.spec, self.say)
        self.embeddings = Embeddings(self.say)
        self.read(self.splits)

    def read(self, splits: Splits, train: Sequence[Split] = ()) -> None:
        """Take the samples from `splits`: the same ones, decoded.

        train: the training split of each phase; that of `splits` if not given
        """
        self.splits = splits
        self._train: list[Loader] = []
        for phase, split in enumerate(train or [splits.training] * len(self.train_inputs)):
            first = self.train_inputs.index(self.train_inputs[phase])
            self._train.append(self._loader("train", split, phase) if first == phase else self._train[first])
        others = {name: self._loader(name, split) for name, split in splits.items() if name != "train"}
        self.loaders = {name: self._train[-1] if name == "train" else others[name] for name, _ in splits.items()}

    def take_phases(self, earlier: Sequence[int]) -> None:
        """Have other phases from now on, each with the inputs of one that there was, by its index."""
        self.train_inputs = [self.train_inputs[phase] for phase in earlier]
        self._train = [self._train[phase] for phase in earlier]
        self.loaders = {**self.loaders, "train": self._train[-1]}

    def _loader(self, name: str, split: Split, phase: int = -1) -> Loader:
        prepare, targets = self.input_of(name, phase), self.splits.targets
        return loader(self.spec, name, split, prepare, self.corrupt, self.device, targets, self.order_of(name))

    def loader_in(self, name: str, phase: int) -> Loader:
        """Return the loader of a split; of train, that of a phase (from 0)."""
        return self._train[phase] if name == "train" else self.loaders[name]

    def input_of(self, name: str, phase: int = -1) -> InputSpec:
        """Return what prepares the inputs of a split as they are read; of train, in a phase (from 0)."""
        return self.train_inputs[phase].kept if name == "train" else self.input

    def ready_in(self, phase: int) -> Ready:
        """Return what makes training batches of a phase (from 0) ready."""
        augmenter = replace(self.ready.augmenter, size=self.train_inputs[phase].size)
        return replace(self.ready, augmenter=augmenter)

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
