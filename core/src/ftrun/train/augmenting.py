"""Augmentations, applied: maps of those that move pixels are composed, and the images resampled once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ftrun.contracts.data import Batch
from ftrun.contracts.geometry import Size, Warp
from ftrun.contracts.randomness import SampleRandom
from ftrun.contracts.resampling import resample
from ftrun.contracts.specs import Augmentation
from ftrun.contracts.targets import Target
from ftrun.plugins.building import Blaming, build
from ftrun.spec.runspec import RunSpec
from ftrun.train.checks import fault_of_augmented, fault_of_warp


@dataclass(frozen=True)
class Augmenter:
    """A spec's augmentations of samples, in order.

    Of those in a row that move pixels, the maps are composed; one that changes a batch sees images that are moved.

    steps: for each of them, whether it moves pixels, and the function that it has built
    targets: what the data has; those whose values lie in the inputs follow them
    size: height and width of what the net takes, where images are kept larger in training; None where they are not
    """

    steps: Sequence[tuple[bool, Callable[..., Any]]] = ()
    targets: Mapping[str, Target] = field(default_factory=dict)
    size: Size | None = None

    @classmethod
    def of(cls, spec: RunSpec, targets: Mapping[str, Target], size: Size | None = None) -> "Augmenter":
        """Return the spec's, built. Raises PluginError where one is not what its role needs."""
        steps = []
        for where, part in spec.parts():
            if isinstance(part, Augmentation) and part.reach == "sample":
                check = fault_of_warp if part.moves else fault_of_augmented
                steps.append((part.moves, Blaming(build(part, where), part, where, check)))
        return cls(steps, targets, size)

    def __bool__(self) -> bool:
        return bool(self.steps)

    def __call__(self, batch: Batch, random: Callable[[int], SampleRandom]) -> Batch:
        """Return the batch, augmented. random: gives what an augmentation draws from, by its position."""
        warp = self._to_size(batch)
        for position, (moves, function) in enumerate(self.steps):
            if moves:
                drawn: Warp = function(random(position), self.size or (batch.inputs.shape[-2], batch.inputs.shape[-1]))
                warp = warp.then(drawn) if warp else drawn
            else:
                batch, warp = function(self._moved(batch, warp), random(position)), None
        return self._moved(batch, warp)

    def plain(self, batch: Batch) -> Batch:
        """Return a batch that is not augmented, at the size that the net takes."""
        return self._moved(batch, self._to_size(batch))

    def _to_size(self, batch: Batch) -> Warp | None:
        if self.size is None or batch.inputs.shape[-2:] == self.size:
            return None
        height, width = batch.inputs.shape[-2:]
        return Warp.resized((height, width), self.size, batch.inputs.device)

    def _moved(self, batch: Batch, warp: Warp | None) -> Batch:
        """Return a batch whose inputs are moved, and with them what targets have in them."""
        if warp is None:
            return batch
        targets, extra = batch.targets, batch.extra
        following = {
            name: target.follow(targets[name], warp)
            for name, target in self.targets.items()
            if target.follows() and name in targets
        }
        if "warp" in extra:
            extra = {**extra, "warp": Warp(extra["warp"], warp.size).then(warp).matrix}
        inputs = resample(batch.inputs, warp)
        return replace(batch, inputs=inputs, targets={**targets, **following}, extra=extra)
