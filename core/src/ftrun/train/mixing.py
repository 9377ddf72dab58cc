"""Augmentations of whole batches, applied: what mixes their samples."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ftrun.contracts.data import Batch
from ftrun.contracts.randomness import SampleRandom, seed_of
from ftrun.contracts.specs import Augmentation
from ftrun.contracts.targets import Target
from ftrun.plugins.building import Blaming, build
from ftrun.spec.runspec import RunSpec
from ftrun.train.checks import fault_of_augmented


@dataclass(frozen=True)
class Mixing:
    """Augments whole batches as they come from the loader: before memory pressure may split them, and so whatever fits.

    What is drawn depends on (seed, epoch, step) and on which of the step's batches it is.
    """

    seed: int
    functions: Sequence[Callable[[Batch, SampleRandom], Batch]] = ()

    @classmethod
    def of(cls, spec: RunSpec, targets: Mapping[str, Target]) -> "Mixing":
        """Return the spec's, built. Raises PluginError where one is not what its role needs."""
        return cls(
            spec.seed,
            [
                Blaming(build(part, where, targets=targets), part, where, fault_of_augmented)
                for where, part in spec.parts()
                if isinstance(part, Augmentation) and part.reach == "batch"
            ],
        )

    def __bool__(self) -> bool:
        return bool(self.functions)

    def __call__(self, steps: Iterator[list[Batch]], epoch: int, first: int) -> Iterator[list[Batch]]:
        """Return the batches of each step, augmented. first: the number of the first step"""
        return self._steps(steps, epoch, first) if self else steps

    def _steps(self, steps: Iterator[list[Batch]], epoch: int, first: int) -> Iterator[list[Batch]]:
        for step, batches in enumerate(steps, first):
            yield [self.augmented(batch, epoch, step, number) for number, batch in enumerate(batches)]

    def augmented(self, batch: Batch, *place: int) -> Batch:
        """Return a batch augmented. place: (epoch, step, number of the batch in it)"""
        for position, function in enumerate(self.functions):
            seed = seed_of(self.seed, "augment batch", *place, position)
            batch = function(batch, SampleRandom(seed, batch.ids.new_zeros(1)))
        return batch
