"""What a recipe fills in of a run's spec: from what is known of the data, and once the speed is known, too."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import torch

from ftrun.contracts.data import Split, Splits
from ftrun.contracts.geometry import Size
from ftrun.contracts.inputs import InputSpec
from ftrun.contracts.recipe import Facts, Filled, Pace
from ftrun.contracts.specs import ROLES
from ftrun.plugins.building import build, inside, misbuilt
from ftrun.plugins.catalogue import Catalogue
from ftrun.runs import environment
from ftrun.spec import filling
from ftrun.spec.runspec import RunSpec
from ftrun.spec.summary import summary
from ftrun.train.kept import of_some


@dataclass
class Recipe:
    """A spec with its recipe, and what that has come to."""

    given: RunSpec
    """As it was checked, with the recipe."""
    facts: Facts
    catalogue: Catalogue
    spec: RunSpec
    """With everything filled in, and no recipe: what the run goes by."""
    filled: list[str]
    """The places that the recipe has filled in: `train.phases`."""
    why: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: RunSpec, splits: Splits, device: torch.device, catalogue: Catalogue) -> "Recipe | None":
        """Return what the spec's recipe fills in for this data; None where the spec has no recipe.

        Raises SpecError where it cannot know, PluginError where what it fills in is wrong.
        """
        if spec.recipe is None:
            return None
        keys = filling.stated(spec)
        facts = _facts(spec, keys, splits, device, catalogue)
        filled: Filled = build(spec.recipe, "recipe", facts)
        with inside(spec.recipe, "recipe"):
            whole, places = filling.fill(spec, keys, filled, catalogue)
        return cls(spec, facts, catalogue, whole, places, _reasons(filled, places))

    def plan(self, pace: Pace) -> None:
        """Have the recipe fit the run into its time."""
        assert self.given.recipe is not None
        so_far = _without_length(self.keys)
        planned: Filled = build(self.given.recipe, "recipe", self.facts, pace, method="plan")
        with inside(self.given.recipe, "recipe"):
            filling.check_plan(self.given, planned)
            filled = Filled(_over(so_far, planned.spec))
            before = [phase.input for phase in self.spec.train.each_phase]
            self.spec, self.filled = filling.fill(self.given, self.facts.spec, filled, self.catalogue)
            if any(phase.input not in before for phase in self.spec.train.each_phase):
                raise misbuilt(self.given.recipe, "plan() gives a phase an input that no phase of build() has.")
        self.why |= _reasons(planned, self.filled)

    @property
    def keys(self) -> dict[str, Any]:
        """What it has filled in, JSON values."""
        whole = self.spec.resolved()
        keys: dict[str, Any] = {}
        for key, _, inner in (place.partition(".") for place in self.filled):
            if inner:
                keys.setdefault(key, {})[inner] = whole[key][inner]
            else:
                keys[key] = whole[key]
        return keys

    @property
    def line(self) -> str:
        """What it has come to, in words."""
        assert self.given.recipe is not None
        return f"recipe {self.given.recipe.name}: {summary(self.spec)}"

    def record(self) -> dict[str, Any]:
        """Return what resolved.json keeps of it."""
        assert self.given.recipe is not None
        return {
            "part": self.given.recipe.model_dump(mode="json"),
            "filled": self.keys,
            "why": self.why,
            "minutes": self.facts.minutes,
            "summary": summary(self.spec),
        }


def _facts(spec: RunSpec, keys: Mapping[str, Any], splits: Splits, device: torch.device, catalogue: Catalogue) -> Facts:
    with inside(spec.backbone, "backbone"):
        ranges = spec.backbone.recipe
    kind = spec.backbone.input_type
    return Facts(
        spec=keys,
        samples={name: len(split) for name, split in splits.items()},
        targets=splits.targets,
        class_counts=environment.class_counts(splits),
        ranges=ranges,
        input_kind=kind.raw_kind,
        raw_size=_raw_size(kind, splits.training) if kind.has_pixels() else None,
        device=device.type,
        minutes=spec.train.minutes,
        parts={role.role: catalogue.parts(role.role) for role in ROLES},
    )


def _without_length(keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was filled in, but for how long to train: that is what is planned."""
    train = {key: value for key, value in keys.get("train", {}).items() if key not in ("phases", "epochs")}
    return {**keys, "train": train}


def _over(keys: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Return both; of what both have, the others', and of `train` each key of it."""
    return {**keys, **others, "train": {**keys.get("train", {}), **others.get("train", {})}}


def _raw_size(kind: type[InputSpec], split: Split) -> Size | None:
    """Return the median height and width of some raw inputs; None where none can be read."""
    prepare = kind.model_construct()  # its options are the backbone's, which is not built yet

    def size_of(raw: Any) -> Size | None:
        try:
            return prepare.raw_size(raw)
        except (AttributeError, TypeError, ValueError):  # it is no image: `check_sample` says what is wrong with it
            return None

    sizes = [size for size in of_some(split, size_of) if size is not None]
    if not sizes:
        return None
    return round(median(height for height, _ in sizes)), round(median(width for _, width in sizes))


def _reasons(filled: Filled, places: list[str]) -> dict[str, str]:
    return {place: str(reason) for place, reason in filled.why.items() if place in places}
