"""Augmentations, applied: maps of those that move pixels are composed, and the images resampled once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ftrun.contracts.data import Batch
from ftrun.contracts.geometry import Size, Warp, WarpForm
from ftrun.contracts.randomness import SampleRandom
from ftrun.contracts.resampling import resample
from ftrun.contracts.specs import Augmentation
from ftrun.contracts.targets import Target
from ftrun.plugins.building import Blaming, build
from ftrun.spec.runspec import RunSpec
from ftrun.train.checks import fault_of_augmented, fault_of_warp

if TYPE_CHECKING:
    from torch import Tensor

    from ftrun.contracts.net import Net


@dataclass(frozen=True)
class Step:
    """A function that an augmentation has built.

    moves: whether it draws where pixels go
    position: of its augmentation, which decides what it draws
    until: as `Augmentation` has it
    """

    moves: bool
    function: Callable[..., Any]
    position: int
    until: float = 1.0


@dataclass(frozen=True)
class Augmenter:
    """A spec's augmentations of samples, in order.

    Of those in a row that move pixels, the maps are composed; one that changes a batch sees images that are moved.

    targets: what the data has; those whose values lie in the inputs follow them
    size: height and width of what the net takes, where images are kept larger in training; None where they are not
    """

    steps: Sequence[Step] = ()
    targets: Mapping[str, Target] = field(default_factory=dict)
    size: Size | None = None

    @classmethod
    def of(cls, spec: RunSpec, net: "Net", size: Size | None = None) -> "Augmenter":
        """Return the spec's, built for a net's inputs. Raises PluginError where one is not what its role needs."""
        parts = [(where, part) for where, part in spec.augmentations() if part.reach == "sample"]
        made = [(part, where, build(part, where, input=net.input)) for where, part in parts]
        steps = [step for position, each in enumerate(made) for step in _steps(*each, position)]
        return cls(steps, net.targets, size)

    def at(self, progress: float) -> "Augmenter":
        """Return what is left of it where so much of the run is done, 0 to 1: some may be off by then."""
        return replace(self, steps=[step for step in self.steps if progress < step.until])

    def __bool__(self) -> bool:
        return bool(self.steps)

    def __call__(self, batch: Batch, random: Callable[[int], SampleRandom]) -> Batch:
        """Return the batch, augmented. random: gives what an augmentation draws from, by its position."""
        warp = self._to_size(batch)
        for step in self.steps:
            draws = random(step.position)
            if step.moves:
                drawn: Warp = step.function(draws, self.size or (batch.inputs.shape[-2], batch.inputs.shape[-1]))
                warp = warp.then(drawn) if warp else drawn
            else:
                batch, warp = step.function(self._moved(batch, warp), draws), None
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
            extra = {**extra, "warp": _raw(extra["warp"], warp.size).then(warp).matrix}
        inputs = resample(batch.inputs, warp)
        return replace(batch, inputs=inputs, targets={**targets, **following}, extra=extra)


def _steps(part: Augmentation, where: str, built: Any, position: int) -> Iterator[Step]:
    """Yield the functions that an augmentation of samples has built."""
    for index, function in enumerate(built if isinstance(built, tuple) else (built,)):
        moves = part.moves and index == 0
        checked = Blaming(function, part, where, fault_of_warp if moves else fault_of_augmented)
        yield Step(moves, checked, position, part.until)


def _raw(matrix: "Tensor", size: Size | None) -> Warp:
    """Return the map from raw pixels that a batch comes with: [B, 2, 3], or [B, 3, 3] once it is projective."""
    return Warp(matrix, size, WarpForm.PROJECTIVE if matrix.shape[-2] == 3 else WarpForm.AFFINE)
