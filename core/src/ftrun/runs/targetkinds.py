"""Targets in a run's files, of the kinds that the core and the installed plugins have."""

import json
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Annotated, Any, TypeVar, Union

from pydantic import BaseModel, Field, TypeAdapter, create_model

from ftrun.contracts.targets import CORE_KINDS, Target
from ftrun.plugins.catalogue import Catalogue
from ftrun.plugins.contract import part_names

T = TypeVar("T", bound=BaseModel)


def targets_of(value: Mapping[str, Any], kinds: Iterable[type[Target]]) -> dict[str, Target]:
    """Return targets from JSON values, of the core's kinds or of these. Raises ValueError where they are none."""
    union = _union(frozenset({*CORE_KINDS, *kinds}))
    targets: dict[str, Target] = TypeAdapter(_targets(union)).validate_json(json.dumps(value))
    return targets


def kinds_in(value: Mapping[str, Any], catalogue: Callable[[], Catalogue]) -> frozenset[type[Target]]:
    """Return the core's kinds, and those of others that the targets of a file are of."""
    core = {name for kind in CORE_KINDS for name in part_names(kind)}
    targets = value.get("targets")
    listed = targets.values() if isinstance(targets, Mapping) else ()
    named = {each.get("kind") for each in listed if isinstance(each, Mapping)}
    others = sorted(each for each in named - core if isinstance(each, str))
    if not others:
        return frozenset(CORE_KINDS)
    plugins = value.get("plugins")
    recorded = [each for each in plugins if isinstance(each, Mapping)] if isinstance(plugins, list) else []
    return frozenset({*CORE_KINDS, *catalogue().kinds(recorded, others)})


@cache
def of_kinds(model: type[T], kinds: frozenset[type[Target]]) -> type[T]:
    """Return a model whose field `targets` takes targets of these kinds."""
    return create_model(model.__name__, __base__=model, targets=(_targets(_union(kinds)), ...))


def _targets(union: Any) -> Any:
    """Return the type of targets by their names."""
    return dict.__class_getitem__((str, union))


@cache
def _union(kinds: frozenset[type[Target]]) -> Any:
    """Return the type of targets of some kinds, told apart by `kind`."""
    return Annotated[
        Union.__getitem__(tuple(sorted(kinds, key=lambda each: each.__name__))), Field(discriminator="kind")
    ]
