"""Parts in a spec's JSON, also those that are options of others: written out, found, and made."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pydantic import TypeAdapter

from ftrun.contracts.nested import RESOLVE, nested_roles
from ftrun.contracts.specs import Part
from ftrun.plugins.catalogue import Catalogue
from ftrun.spec.runspec import SLOTS


def expand_part(value: Any, role: type[Part], catalogue: Catalogue) -> Any:
    """Return a part as an object, and those that are its options: "sgd" is {"name": "sgd"}."""
    if isinstance(value, str):
        name, _, rest = value.partition("/")
        part = catalogue.part(role.role, name)
        return {"name": name, part.family: rest} if rest and part is not None and part.family else {"name": value}
    part = part_class(value, role, catalogue)
    if part is None:
        return value
    nested = {option: each for option, each in nested_roles(part).items() if option in value}
    return {**value, **{option: _expand_all(value[option], each, catalogue) for option, each in nested.items()}}


def _expand_all(value: Any, role: type[Part], catalogue: Catalogue) -> Any:
    if isinstance(value, list):
        return [_expand_all(each, role, catalogue) for each in value]
    if isinstance(value, dict) and "name" not in value:
        return {key: _expand_all(each, role, catalogue) for key, each in value.items()}
    return expand_part(value, role, catalogue)


def part_class(value: Any, role: type[Part], catalogue: Catalogue) -> type[Part] | None:
    """Return the part that an object in a spec names; None where it names none that is installed."""
    name = value.get("name") if isinstance(value, dict) else None
    return catalogue.part(role.role, name) if isinstance(name, str) else None


def named_parts(data: dict[str, Any], catalogue: Catalogue) -> Iterator[tuple[type[Part], str, str]]:
    """Yield role, place and name of each part in expanded data, also of those that are options of others."""
    for slot in SLOTS:
        for where, value in slot.places(data.get(slot.key)):
            yield from _named(value, slot.role, where, catalogue)


def _named(value: Any, role: type[Part], where: str, catalogue: Catalogue) -> Iterator[tuple[type[Part], str, str]]:
    if isinstance(value, list) or (isinstance(value, dict) and "name" not in value):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _named(each, role, f"{where}.{key}", catalogue)
    elif isinstance(value, dict) and isinstance(value["name"], str):
        yield role, where, value["name"]
        part = part_class(value, role, catalogue)
        for option, nested in nested_roles(part).items() if part else ():
            if option in value:
                yield from _named(value[option], nested, f"{where}.{option}", catalogue)


def role_at(place: Sequence[str], data: dict[str, Any], catalogue: Catalogue) -> type[Part] | None:
    """Return the role of the part that a place in expanded data holds, or should; None where it is another value."""
    slot = next((slot for slot in SLOTS if place and slot.key == place[0]), None)
    depth = slot.depth(data) if slot else 0
    if slot is None or len(place) < depth:
        return None
    role: type[Part] = slot.role
    value = _at(data, place[:depth])
    steps = list(place[depth:])
    while steps:
        part = part_class(value, role, catalogue)
        nested = nested_roles(part).get(steps[0]) if part else None
        if nested is None or steps[0] not in value:
            return None
        role, value = nested, value[steps.pop(0)]
        while steps and (isinstance(value, list) or (isinstance(value, dict) and "name" not in value)):
            value = _at(value, [steps.pop(0)])
    return role


def _at(data: Any, place: Sequence[str]) -> Any:
    for step in place:
        data = data[int(step)] if isinstance(data, list) else data[step]
    return data


def part_context(catalogue: Catalogue) -> dict[str, Any]:
    """Return pydantic's context in which options that are parts are made of what is installed."""
    context: dict[str, Any] = {RESOLVE: _resolver(catalogue, lambda: context)}
    return context


def _resolver(catalogue: Catalogue, context: Callable[[], Any]) -> Callable[[type[Part], Any], Part]:
    from ftrun.spec.model import one_of

    adapters: dict[tuple[str, Any], TypeAdapter[Any]] = {}

    def resolve(role: type[Part], value: Any) -> Part:
        value = expand_part(value, role, catalogue)
        name = value.get("name") if isinstance(value, dict) else None
        key = role.role, name if isinstance(name, str) else None
        if key not in adapters:
            adapters[key] = TypeAdapter(one_of(role, catalogue, {key[1]} if key[1] else None))
        part: Part = adapters[key].validate_json(json.dumps(value), context=context())
        return part

    return resolve
