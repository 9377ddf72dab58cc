"""Outputs as the mean over each image and its mirror image (Krizhevsky et al., 2012): flips at test time."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from ftrun.contracts.data import Batch
from ftrun.contracts.errors import SpecError
from ftrun.contracts.inputs import InputSpec
from ftrun.contracts.targets import Target, VectorTarget

T = TypeVar("T")


def check_flips(prepare: InputSpec, targets: Mapping[str, Target], where: str) -> None:
    """Raise SpecError where inputs have no mirror image, or outputs no mean."""
    if not prepare.has_pixels():
        raise SpecError("flips are for images, which the inputs of this net are not.", where=where)
    for name, target in targets.items():
        if not isinstance(target, VectorTarget) or target.follows():
            raise SpecError(f"flips are for targets that are one vector, but {name!r} has {target.kind}.", where=where)


def over_flips(forward: Callable[[Batch], T]) -> Callable[[Batch], T]:
    """Return what gives the mean of `forward` over a batch of images and their mirror images, in float32.

    forward: gives tensors, in any nest of mappings and tuples
    """

    def mean(batch: Batch) -> T:
        mirrored = replace(batch, inputs=batch.inputs.flip(-1))
        both: T = _mean(forward(batch), forward(mirrored))
        return both

    return mean


def _mean(one: Any, other: Any) -> Any:
    if isinstance(one, Mapping):
        return {name: _mean(value, other[name]) for name, value in one.items()}
    if isinstance(one, tuple):
        return tuple(_mean(*each) for each in zip(one, other, strict=True))
    return (one.float() + other.float()) / 2
