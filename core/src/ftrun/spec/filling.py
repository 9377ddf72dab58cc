"""A spec that leaves out how to train, and the same with what a recipe fills in. Pure, and loads nothing heavy."""

from collections.abc import Mapping
from typing import Any

from ftrun.contracts.recipe import Filled
from ftrun.plugins.building import misbuilt
from ftrun.plugins.catalogue import Catalogue
from ftrun.spec.check import InvalidSpec, check_spec
from ftrun.spec.runspec import RunSpec

PLANS = frozenset({"optimizer", "scheduler", "train"})
"""The keys of a spec that a recipe may fill in once the speed is known: those that no data or net depends on."""
PLANS_OF_TRAIN = frozenset({"phases", "epochs", "clip", "average"})
_NESTED = ("train", "input")
_SETTLED = ("minutes", "val_fraction")
"""Keys of `train` that a recipe leaves alone: the data was cut by the one, and the other is what it plans for."""


def stated(spec: RunSpec) -> dict[str, Any]:
    """Return what the user states, as JSON values with parts as objects; nothing that is a default."""
    keys = spec.model_dump(mode="json", by_alias=True, serialize_as_any=True, exclude_unset=True)
    absent = [key for key in ("loss", "optimizer", "recipe", "$schema") if keys.get(key) is None]
    return {key: value for key, value in keys.items() if key not in absent}


def merged(keys: Mapping[str, Any], filled: Filled) -> tuple[dict[str, Any], list[str]]:
    """Return `keys` with what is filled in of the ones that they leave out, and the places of these: `train.phases`."""
    result, places = dict(keys), []
    for key, value in filled.spec.items():
        if key in _NESTED and isinstance(value, Mapping):
            own = dict(keys.get(key) or {})
            new = {inner: each for inner, each in value.items() if inner not in own and inner not in _SETTLED}
            if new:
                result[key] = {**own, **new}
            places += [f"{key}.{inner}" for inner in new]
        elif key not in keys:
            result[key] = value
            places.append(key)
    return result, places


def fill(spec: RunSpec, keys: Mapping[str, Any], filled: Filled, catalogue: Catalogue) -> tuple[RunSpec, list[str]]:
    """Return the whole spec, and the places that were filled in.

    spec: as it was checked, with its recipe; keys: what is settled of it so far, JSON values

    Raises PluginError where the recipe fills in what is wrong.
    """
    assert spec.recipe is not None
    whole, places = merged(keys, filled)
    whole["recipe"] = None
    whole["train"] = {key: value for key, value in (whole.get("train") or {}).items() if key != "minutes"}
    try:
        return check_spec(whole, catalogue, name="what it fills in"), places
    except InvalidSpec as error:
        raise misbuilt(spec.recipe, str(error)) from None


def check_plan(spec: RunSpec, filled: Filled) -> None:
    """Raise PluginError where a plan is for keys that data or net depend on."""
    assert spec.recipe is not None
    train = filled.spec.get("train", {})
    unknown = sorted(
        [key for key in filled.spec if key not in PLANS]
        + [f"train.{key}" for key in train if key not in PLANS_OF_TRAIN]
    )
    if unknown:
        raise misbuilt(
            spec.recipe,
            f"plan() gives the key {unknown[0]!r}, but may give "
            f"{', '.join(sorted(PLANS))} alone, and of train {', '.join(sorted(PLANS_OF_TRAIN))}.",
        )
