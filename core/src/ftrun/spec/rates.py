"""Learning rates that a backbone's nets hardly train well with. Loads nothing heavy."""

from collections.abc import Iterator

from ftrun.contracts.errors import Mistake
from ftrun.plugins.building import inside
from ftrun.spec.runspec import RunSpec

_FAR = 2  # times out of the range: what is just outside may well be meant
_ALIKE = ({"adam", "adamw"}, {"sgd"})
"""Optimizers whose rates mean the same."""


def unusual_rates(spec: RunSpec) -> Iterator[Mistake]:
    """Yield a warning for each phase of a whole spec whose rate is far out of the range of the backbone.

    It is about what more than the head learns by, and optimizers whose rates the range is of.
    """
    with inside(spec.backbone, "backbone"):
        ranges = spec.backbone.recipe
    lr = getattr(spec.optimizer, "lr", None)
    alike = any({spec.optimizer.name, ranges.optimizer} <= names for names in _ALIKE) if ranges else False
    if ranges is None or not alike or not isinstance(lr, float | int):
        return
    low, high = ranges.lr_range
    for number, phase in enumerate(spec.train.each_phase):
        rate = lr * phase.lr_scale
        if phase.freeze == "features" or low / _FAR <= rate <= high * _FAR:
            continue
        where = f"train.phases.{number}" if spec.train.phases else "optimizer.lr"
        nets = f"{ranges.family}," if ranges.pretrained else f"{ranges.family} without weights,"
        side = "above" if rate > high else "below"
        range_of = f"{low:g} to {high:g}; try {ranges.lr:g}"
        yield Mistake(where, f"{spec.optimizer.name} at {rate:g} is far {side} the rates of {nets} {range_of}.")
