"""Augmentations of whole batches, applied: what mixes their samples."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ftrun.contracts.data import Batch
from ftrun.contracts.randomness import SampleRandom, seed_of
from ftrun.contracts.targets import Target
from ftrun.plugins.building import Blaming, build
from ftrun.spec.runspec import RunSpec
from ftrun.train.augmenting import Step
from ftrun.train.checks import fault_of_augmented


@dataclass(frozen=True)
class Mixing:
    """Augments whole batches as they come from the loader: before memory pressure may split them, and so whatever fits.

    What is drawn depends on (seed, epoch, step) and on which of the step's batches it is.
    """

    seed: int
    steps: Sequence[Step] = ()

    @classmethod
    def of(cls, spec: RunSpec, targets: Mapping[str, Target]) -> "Mixing":
        """Return the spec's, built. Raises PluginError where one is not what its role needs."""
        parts = [(where, part) for where, part in spec.augmentations() if part.reach == "batch"]
        return cls(
            spec.seed,
            [
                Step(
                    False,
                    Blaming(build(part, where, targets=targets), part, where, fault_of_augmented),
                    position,
                    part.until,
                )
                for position, (where, part) in enumerate(parts)
            ],
        )

    def at(self, progress: float) -> "Mixing":
        """Return what is left of it where so much of the run is done, 0 to 1: some may be off by then."""
        return replace(self, steps=[step for step in self.steps if progress < step.until])

    def __bool__(self) -> bool:
        return bool(self.steps)

    def __call__(self, steps: Iterator[list[Batch]], epoch: int, first: int) -> Iterator[list[Batch]]:
        """Return the batches of each step, augmented. first: the number of the first step"""
        return self._steps(steps, epoch, first) if self else steps

    def _steps(self, steps: Iterator[list[Batch]], epoch: int, first: int) -> Iterator[list[Batch]]:
        for step, batches in enumerate(steps, first):
            yield [self.augmented(batch, epoch, step, number) for number, batch in enumerate(batches)]

    def augmented(self, batch: Batch, *place: int) -> Batch:
        """Return a batch augmented. place: (epoch, step, number of the batch in it)"""
        for step in self.steps:
            seed = seed_of(self.seed, "augment batch", *place, step.position)
            batch = step.function(batch, SampleRandom(seed, batch.ids.new_zeros(1)))
        return batch
