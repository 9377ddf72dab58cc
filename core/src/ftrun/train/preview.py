"""What a spec's recipe means here, without a run: the dataset is listed for it, and nothing trained."""

from dataclasses import dataclass
from typing import Any

from ftrun.contracts.errors import FtrunError
from ftrun.plugins.catalogue import Catalogue
from ftrun.spec.runspec import RunSpec
from ftrun.train.device import choose_device
from ftrun.train.opendata import open_data
from ftrun.train.recipes import Recipe


@dataclass(frozen=True)
class Preview:
    """A spec with what its recipe fills in, or why that cannot be known."""

    spec: RunSpec | None
    record: dict[str, Any]
    """As in resolved.json."""
    lines: list[str]
    """For people."""


def preview(spec: RunSpec, catalogue: Catalogue) -> Preview:
    """Return what a checked spec's recipe fills in. Raises PluginError where it is wrong, SpecError where it cannot."""
    assert spec.recipe is not None
    name = spec.recipe.name
    try:
        splits = open_data(spec, lambda line: None).splits
    except FtrunError as error:
        reason = f"{name} depends on the data, which cannot be had here: {error.message}"
        return Preview(None, {"unknown": reason}, [f"recipe {reason}"])
    recipe = Recipe.of(spec, splits, choose_device(None), catalogue)
    assert recipe is not None
    samples = len(splits.training)
    lines = [f"the dataset {spec.dataset.name} was listed for the recipe: {samples:,} training samples", recipe.line]
    if minutes := spec.train.minutes:
        lines.append(f"epochs are fitted to {minutes:g} minutes when a run has measured its speed; those above are not")
    lines += [f"  {place}: {reason}" for place, reason in recipe.why.items()]
    return Preview(recipe.spec, recipe.record(), lines)
