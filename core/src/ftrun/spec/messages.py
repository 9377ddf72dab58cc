"""What pydantic finds wrong with a spec, in words for people: where, what, the nearest name, what to do."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ftrun.contracts.errors import Mistake, did_you_mean
from ftrun.contracts.specs import Part
from ftrun.plugins.catalogue import Catalogue
from ftrun.plugins.qualified import MARK
from ftrun.spec import othernames
from ftrun.spec.nested import part_class, role_at
from ftrun.spec.runspec import SLOTS, RunSpec, Slot
from ftrun.spec.trainspec import EMA, SWA, Evaluation, Phase, Train


def mistakes_of(
    error: ValidationError, data: dict[str, Any], model: type[RunSpec], catalogue: Catalogue
) -> Iterator[Mistake]:
    """Yield pydantic's errors in our words, one for each place."""
    by_place: dict[tuple[str, ...], list[str]] = {}
    for each in error.errors():
        place = place_of(each, data)
        message = _message(each, place, data, model, catalogue)
        messages = by_place.setdefault(place, [])
        if message not in messages:
            messages.append(message)
    for place, messages in by_place.items():
        # A union's other branches complain about the whole of what one branch finds a fault inside of.
        if not any(len(other) > len(place) and other[: len(place)] == place for other in by_place):
            yield Mistake(_dotted(place), _either(messages))


def _dotted(place: tuple[str, ...]) -> str:
    return ".".join(step if re.fullmatch(r"[\w$/-]+", step) else json.dumps(step) for step in place)


def _either(messages: list[str]) -> str:
    """Return one sentence out of what each branch of a union says: `must be 'auto' or an object, but it is 7.`"""
    heads = [message.split(", but it is ")[0] for message in messages]
    if len(messages) > 1 and all(head.startswith("must be ") for head in heads):
        wanted = " or ".join(head.removeprefix("must be ") for head in heads)
        return f"must be {wanted}, but it is {messages[0].split(', but it is ')[-1]}"
    return messages[0]


def place_of(error: ErrorDetails, data: Any) -> tuple[str, ...]:
    """Return where in the data an error is: pydantic's location without the names of the unions' branches."""
    place: list[str] = []
    slot = next((slot for slot in SLOTS if error["loc"][:1] == (slot.key,)), None)
    depth = slot.depth(data) if slot else 0
    for position, step in enumerate(error["loc"]):
        if slot and position == depth:  # the part's name, which may also be a key in it
            continue
        if isinstance(data, dict) and step in data:
            data = data[str(step)]
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        elif not (error["type"] == "missing" and position == len(error["loc"]) - 1):
            continue
        place.append(str(step))
    return tuple(place)


_NO_PART = ("union_tag_invalid", "union_tag_not_found", "model_type", "dict_type")


def _message(
    error: ErrorDetails,
    place: tuple[str, ...],
    data: dict[str, Any],
    model: type[RunSpec],
    catalogue: Catalogue,
) -> str:
    slot = next((slot for slot in SLOTS if place and slot.key == place[0]), None)
    kind = error["type"]
    role = role_at(place, data, catalogue) if kind in _NO_PART else None
    if role is not None:
        return _part_message(_at(data, place), role, catalogue)
    if kind == "extra_forbidden":
        unknown = _unknown_key(place, _options(place, data, model, catalogue))
        return unknown + (_of_a_target_called_name(place, data, slot, catalogue) if slot else "")
    if kind == "missing":
        return (
            f"is required{_unless(slot, catalogue)}. {_installed(slot.role, catalogue)}"
            if slot and len(place) == 1
            else "is required."
        )
    return _wrong_value(error)


def _of_a_target_called_name(place: tuple[str, ...], data: dict[str, Any], slot: Slot, catalogue: Catalogue) -> str:
    """Return what to do where a part for each target, one of which is called `name`, is taken for one part."""
    value = _at(data, place)
    named = value.get("name") if isinstance(value, dict) else value
    is_part = isinstance(named, str) and named in catalogue.parts(slot.role.role)
    if not slot.by_target or len(place) != 2 or not is_part:
        return ""
    first = json.dumps({"name": {"name": _at(data, place[:1])["name"]}})[:-1]
    return f" If 'name' and {place[-1]!r} are targets, write the first one's {slot.key} as an object: {first}, ...}}."


def _part_message(value: Any, kind: type[Part], catalogue: Catalogue) -> str:
    role, listed = kind.role, _installed(kind, catalogue)
    names = catalogue.parts(role)
    if not isinstance(value, dict):
        return f'must be a name or an object such as {{"name": ...}}, but it is {_shown(value)}. {listed}'
    if "name" not in value:
        return f"needs a name. {listed}"
    if not isinstance(value["name"], str):
        return f"its name must be a string, but it is {_shown(value['name'])}. {listed}"
    family, _, rest = value["name"].partition("/")
    if "/" in value["name"] and family in names:
        member = names[family].family
        asked = json.dumps({"name": family, member: rest or "..."}) if member else ""
        hint = f"as an object it is {asked}" if member else f"{family!r} takes nothing after a slash"
        return f"no {role} named {value['name']!r}: {hint}."
    known = catalogue.qualified_names(role) if MARK in family else names
    near = _of_families(value["name"], names) or did_you_mean(family, known)
    return f"no {role} named {value['name']!r}.{near} {listed}"


def _of_families(name: str, parts: Mapping[str, type[Part]]) -> str:
    members = [f"{family}/{name}" for family, part in parts.items() if part.family and part.has_member(name)]
    return f" Did you mean {' or '.join(map(repr, members))}?" if members else ""


def _installed(kind: type[Part], catalogue: Catalogue) -> str:
    role = kind.role
    if names := catalogue.parts(role):
        return f"Installed: {', '.join(names)}."
    return f'No {role} is installed: pip install "ftrun[all]" brings ftrun\'s own plugins.'


def _unless(slot: Slot, catalogue: Catalogue) -> str:
    """Return what to install to be able to leave a key out."""
    fillable = slot.key in ("loss", "optimizer") and not catalogue.parts("recipe")
    return ", where no recipe is installed that fills it in (pip install ftrun-recipes)" if fillable else ""


def _options(
    place: tuple[str, ...], data: dict[str, Any], model: type[RunSpec], catalogue: Catalogue
) -> tuple[str, list[str]]:
    """Return what the object that holds `place` is called, and the keys that it takes."""
    if len(place) == 1:
        return "Keys of a spec", [info.alias or name for name, info in model.model_fields.items()]
    if place[:2] == ("train", "phases"):
        return "Options of a phase", list(Phase.model_fields)
    if place[:2] == ("train", "average") and len(place) > 2:
        kind = EMA if _at(data, place[:-1])["name"] == "ema" else SWA
        return f"Options of {_at(data, place[:-1])['name']}", list(kind.model_fields)
    if place[0] == "evaluation":
        return "Options of evaluation", list(Evaluation.model_fields)
    if place[0] == "train":
        return "Options of train", list(Train.model_fields)
    if place[0] == "input":
        overrides: Any = model.model_fields["input"].annotation.__args__[0]  # type: ignore[union-attr]
        return "Options of input", list(overrides.model_fields)
    holder = _at(data, place[:-1])
    role = role_at(place[:-1], data, catalogue)
    if role is not None and (part := part_class(holder, role, catalogue)) is not None:
        return f"Options of {holder['name']}", list(part.model_fields)
    return "", []


def _unknown_key(place: tuple[str, ...], options: tuple[str, list[str]]) -> str:
    title, keys = options[0], [key for key in options[1] if key != "name"]
    listed = f" {title}: {', '.join(keys) or 'none'}." if title else ""
    what = "key" if len(place) == 1 else "option"
    ours = othernames.option(place, keys)
    if len(place) == 1 and place[0] in Train.model_fields:
        ours = f"train.{place[0]}"
    near = f" Did you mean {ours!r}?" if ours else did_you_mean(place[-1], keys)
    return f"no such {what}.{near}{listed}"


def option_message(error: ErrorDetails, name: str, options: Sequence[str]) -> str:
    """Return what is wrong with an option of the part `name`, which is no part of a spec."""
    if error["type"] == "extra_forbidden":
        return _unknown_key((name, str(error["loc"][-1])), (f"Options of {name}", list(options)))
    return "is required." if error["type"] == "missing" else _wrong_value(error)


_WANTED = {
    "string": "must be a string",
    "path": "must be a string",
    "int": "must be an integer",
    "float": "must be a number",
    "bool": "must be true or false",
    "list": "must be a list",
    "tuple": "must be a list",
    "set": "must be a list",
    "dict": "must be an object",
    "model": "must be an object",
    "none_required": "must be null",
}


def _wrong_value(error: ErrorDetails) -> str:
    kind, value = error["type"], error["input"]
    if kind in ("value_error", "assertion_error"):  # the plugin's own words
        return f"{error['msg'].partition(', ')[2].rstrip('.')}."
    if kind == "union_tag_not_found":
        return f"must be an object with {error['ctx']['discriminator']}, but it is {_shown(value)}."
    if kind == "union_tag_invalid":
        wanted = f"must have one of {error['ctx']['expected_tags']} as its {error['ctx']['discriminator']}"
        return f"{wanted}, but it is {_shown(value)}."
    wanted = _WANTED.get(kind.removesuffix("_type")) or re.sub(r"^[A-Z]\w* should ", "must ", error["msg"])
    wanted = re.sub(r" after validation, not \d+$", "", wanted)
    choices = re.findall("'([^']*)'", wanted) if kind == "literal_error" else []
    near = did_you_mean(value, choices) if isinstance(value, str) else ""
    return f"{wanted.rstrip('.')}, but it is {_shown(value)}.{near}"


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _at(data: Any, place: tuple[str, ...]) -> Any:
    for step in place:
        data = data[int(step)] if isinstance(data, list) else data[step]
    return data
