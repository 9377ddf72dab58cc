"""The spec's dataset, built: its splits, with a val."""

from collections.abc import Callable
from dataclasses import dataclass

from ftrun.contracts.data import Splits
from ftrun.data import splits as split_checks
from ftrun.plugins.building import build, inside
from ftrun.spec.runspec import RunSpec


@dataclass(frozen=True)
class OpenData:
    """A dataset that was built; no sample of it is read."""

    built: Splits
    """As the part gave it."""
    splits: Splits
    """Checked, with a val, which is cut from train where there was none."""


def open_data(spec: RunSpec, say: Callable[[str], None]) -> OpenData:
    """Build the dataset, and show its notes. Raises DataError where it is missing or wrong."""
    built = build(spec.dataset, "dataset")
    with inside(spec.dataset, "dataset"):
        splits = split_checks.complete(built, val_fraction=spec.train.val_fraction, seed=spec.seed)
    for note in splits.notes:
        say(note)
    return OpenData(built, splits)
