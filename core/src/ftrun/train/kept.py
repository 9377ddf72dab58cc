"""At what size training images are seen in each phase, and kept: larger where an augmentation enlarges parts."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from statistics import median
from typing import Any, TypeVar

from ftrun.contracts.data import Split, get_items
from ftrun.contracts.errors import DataError, SpecError
from ftrun.contracts.geometry import Size
from ftrun.contracts.inputs import InputSpec
from ftrun.contracts.layout import TensorLayout
from ftrun.spec.runspec import RunSpec
from ftrun.spec.trainspec import Phase

T = TypeVar("T")

_LOOKED_AT = 16  # samples, spread over the split
_STEPS = 4  # of 1: so that runs on data of similar sizes share what they keep


@dataclass(frozen=True)
class TrainInput:
    """How the training inputs of a phase are prepared."""

    seen: InputSpec
    """As the net sees them."""
    kept: InputSpec
    """As they are read: the same, or at a larger size, where augmentations enlarge parts."""

    @property
    def size(self) -> Size | None:
        """Height and width of what the net sees, where images are kept larger; None where they are not."""
        return None if self.kept == self.seen else pixel_size(self.seen)


def train_inputs(spec: RunSpec, prepare: InputSpec, split: Split, say: Callable[[str], None]) -> list[TrainInput]:
    """Return how training inputs are prepared in each phase; equal ones are one object.

    prepare: the net's input; split: the training split

    Raises SpecError where a phase changes what cannot differ from phase to phase.
    """
    made: list[TrainInput] = []
    for number, phase in enumerate(spec.train.each_phase):
        seen = _seen(phase, prepare, split, f"train.phases.{number}.input")
        known = next((each for each in made if each.seen == seen), None)
        made.append(known or TrainInput(seen, kept_input(spec, seen, split, say)))
    return made


def _seen(phase: Phase, prepare: InputSpec, split: Split, where: str) -> InputSpec:
    if not phase.input:
        return prepare
    if getattr(split, "collated", False):
        raise SpecError("the dataset's inputs are prepared already, and cannot be had otherwise.", where=where)
    overrides = prepare.overrides().model_validate_json(json.dumps(phase.input)).model_dump(exclude_unset=True)
    own = dict(prepare)  # all of it is named, so that a crop stays where the size alone changes
    for name, value in overrides.items():
        alone = prepare.changed(**{**own, name: value})
        if alone != prepare and alone.collate_options() == prepare.collate_options():
            raise SpecError("is the same in all phases: change the spec's input.", where=f"{where}.{name}")
    return prepare.changed(**{**own, **overrides})


def kept_input(spec: RunSpec, prepare: InputSpec, split: Split, say: Callable[[str], None]) -> InputSpec:
    """Return what prepares training inputs: the net's own, or one at up to the `source_scale` of its augmentations.

    It is never more than what half of the images have pixels for, and always the same for the same data and spec. What
    comes after an augmentation that changes batches does not count: that one sees images at the net's size.
    """
    parts = [part for _, part in spec.augmentations()]
    wanted = max((part.source_scale for part in takewhile(lambda part: part.moves, parts)), default=1.0)
    if wanted <= 1 or getattr(split, "collated", False):
        return prepare
    factor = math.floor(min(wanted, _resolution(prepare, split)) * _STEPS) / _STEPS
    if factor <= 1:
        return prepare
    kept = prepare.enlarged(factor)
    sizes = [" x ".join(map(str, pixel_size(each) or ())) for each in (kept, prepare)]
    say(f"train: images are kept at {sizes[0]} for augmentation, of which the net sees {sizes[1]}")
    return kept


def pixel_size(prepare: InputSpec) -> Size | None:
    """Return height and width of what an input's `collate` gives; None where samples differ, or it gives no images."""
    layout = prepare.collated_layout
    shape = layout.shape if isinstance(layout, TensorLayout) else None
    return (shape[-2], shape[-1]) if shape and len(shape) >= 2 else None


def _resolution(prepare: InputSpec, split: Split) -> float:
    """Return the median of how many times larger than the net's size some samples are; 1 where none can be read."""
    found = of_some(split, prepare.resolution)
    return median(found) if found else 1.0


def of_some(split: Split, of: Callable[[Any], T]) -> list[T]:
    """Return what `of` gives for the raw inputs of some samples, spread over a split, of those that can be read."""
    found: list[T] = []
    for place in sorted({part * len(split) // _LOOKED_AT for part in range(_LOOKED_AT)} if len(split) else ()):
        try:
            items = get_items(split, [place])
            found.append(of(items[0][0] if isinstance(items, tuple | list) else None))
        except DataError:  # whoever reads it says so, or has it skipped
            continue
    return found
