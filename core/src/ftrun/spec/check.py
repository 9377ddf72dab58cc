"""From a spec's JSON to a checked RunSpec, or to one message with all of its mistakes. Loads nothing heavy."""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ftrun.contracts.errors import Mistake, PluginError, SpecError, did_you_mean
from ftrun.contracts.specs import Part
from ftrun.plugins.catalogue import Catalogue
from ftrun.spec import othernames
from ftrun.spec.pairs import wrong_pairs
from ftrun.spec.runspec import SLOTS, Phase, RunSpec, Slot, Train, expand, run_spec_model
from ftrun.spec.specfile import json_or_text, parse_set, remove_value, set_value


class InvalidSpec(SpecError):
    """A spec with mistakes, all of them listed."""

    def __init__(self, name: str, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = mistakes
        if len(mistakes) == 1:
            super().__init__(f"{name}: {mistakes[0]}")
        else:
            lines = "\n".join(f"  {mistake}" for mistake in mistakes)
            super().__init__(f"{name} has {len(mistakes)} mistakes:\n{lines}")


def check_spec(
    data: dict[str, Any],
    catalogue: Catalogue,
    *,
    name: str = "spec",
    overrides: Sequence[str] = (),
    keys: Collection[str] | None = None,
) -> RunSpec:
    """The checked spec. Raises InvalidSpec, or PluginError where a part's plugin is broken or clashes.

    data: what the file holds; overrides: `--set` assignments, applied in order; name: how messages call the spec
    keys: those of the parts that are wanted, of a spec that was checked when its run began; others stay plain JSON
    """
    expanded = expand(deepcopy(data), catalogue)  # the caller's own stays as it is
    raw: dict[tuple[str, ...], str] = {}
    for assignment in overrides:
        path, text = parse_set(assignment)
        set_value(expanded, path, json_or_text(text), where=assignment)
        expanded = expand(expanded, catalogue)
        raw[tuple(path)] = text
    wanted = expanded if keys is None else {key: value for key, value in expanded.items() if key in keys}
    _check_plugins(wanted, catalogue)
    model = run_spec_model(catalogue, expanded, keys)
    try:
        spec = _validate(model, expanded, raw)
    except ValidationError as error:
        invalid = InvalidSpec(name, list(_mistakes(error, expanded, model, catalogue)))
        raise _plugin_error(invalid, expanded, catalogue) or invalid from None
    mistakes = [] if keys is not None else list(_cross_check(spec))
    if keys is None or {"dataset", "backbone"} <= set(keys):
        mistakes += wrong_pairs(spec, catalogue)
    if mistakes:
        raise InvalidSpec(name, mistakes)
    return spec


def _validate(model: type[RunSpec], data: dict[str, Any], raw: dict[tuple[str, ...], str]) -> RunSpec:
    # Strict JSON mode: "2" is no number, and lists are tuples.
    try:
        return model.model_validate_json(json.dumps(data))
    except ValidationError as error:
        wrong = {_place(each, data): each["type"] for each in error.errors()}
        again = False
        for path in (path for path in raw if path in wrong):
            if wrong[path] in ("string_type", "path_type"):  # `--set name=5` is the text "5" where text is wanted
                set_value(data, path, raw[path], where=".".join(path))
                again = True
            elif raw[path].strip() == "null":  # `--set key=null` leaves out a key that cannot be null
                again = remove_value(data, path) or again
        if not again:
            raise
        return model.model_validate_json(json.dumps(data))


def _check_plugins(data: dict[str, Any], catalogue: Catalogue) -> None:
    for slot, where, part in _named_parts(data):
        try:
            catalogue.check_clash(slot.role.role, part)
        except PluginError as error:
            error.where = where
            raise


def _named_parts(data: dict[str, Any]) -> Iterator[tuple[Slot, str, str]]:
    """Slot, place and name of each part in expanded data."""
    for slot in SLOTS:
        value = data.get(slot.key)
        if slot.many and isinstance(value, list):
            places = {f"{slot.key}.{index}": each for index, each in enumerate(value)}
        elif isinstance(value, dict) and slot.maps(value):
            places = {f"{slot.key}.{target}": each for target, each in value.items()}
        else:
            places = {slot.key: value}
        for where, part in places.items():
            if isinstance(part, dict) and isinstance(part.get("name"), str):
                yield slot, where, part["name"]


def _plugin_error(invalid: InvalidSpec, data: dict[str, Any], catalogue: Catalogue) -> PluginError | None:
    """The same mistakes as a fault of what is installed: a role without parts, a part of a plugin not loaded."""
    required = [slot for slot in SLOTS if RunSpec.model_fields[slot.key].is_required()]
    needed = [slot for slot in SLOTS if data.get(slot.key) or slot in required]
    unknown = [(slot, name) for slot, _, name in _named_parts(data) if name not in catalogue.parts(slot.role.role)]
    # A name that resembles an installed one is a slip of the pen; another may be that of a broken plugin's part.
    strange = [name for slot, name in unknown if not did_you_mean(name, catalogue.parts(slot.role.role))]
    if (
        any(not catalogue.parts(slot.role.role) for slot in needed)
        or (strange and catalogue.broken)
        # What is left out on purpose may well offer what resembles the rest, or what a role has by default.
        or (catalogue.left_out and (unknown or any(slot.key not in data for slot in required)))
    ):
        return PluginError(f"{invalid}{catalogue.not_here}")
    return None


def _mistakes(
    error: ValidationError, data: dict[str, Any], model: type[RunSpec], catalogue: Catalogue
) -> Iterator[Mistake]:
    """pydantic's errors in our words, one for each place."""
    by_place: dict[tuple[str, ...], list[str]] = {}
    for each in error.errors():
        place = _place(each, data)
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
    """One sentence out of what each branch of a union says: `must be 'auto' or an object, but it is 7.`"""
    heads = [message.split(", but it is ")[0] for message in messages]
    if len(messages) > 1 and all(head.startswith("must be ") for head in heads):
        wanted = " or ".join(head.removeprefix("must be ") for head in heads)
        return f"must be {wanted}, but it is {messages[0].split(', but it is ')[-1]}"
    return messages[0]


def _place(error: ErrorDetails, data: Any) -> tuple[str, ...]:
    """Where in the data an error is: pydantic's location without the names of the unions' branches."""
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


def _message(
    error: ErrorDetails,
    place: tuple[str, ...],
    data: dict[str, Any],
    model: type[RunSpec],
    catalogue: Catalogue,
) -> str:
    slot = next((slot for slot in SLOTS if place and slot.key == place[0]), None)
    kind = error["type"]
    if (
        slot
        and len(place) == slot.depth(data)
        and kind in ("union_tag_invalid", "union_tag_not_found", "model_type", "dict_type")
    ):
        return _part_message(_at(data, place), slot, catalogue)
    if kind == "extra_forbidden":
        unknown = _unknown_key(place, _options(place, data, model, catalogue))
        return unknown + (_of_a_target_called_name(place, data, slot, catalogue) if slot else "")
    if kind == "missing":
        return _missing(place, slot, catalogue)
    return _wrong_value(error)


def _of_a_target_called_name(place: tuple[str, ...], data: dict[str, Any], slot: Slot, catalogue: Catalogue) -> str:
    """What to do where one part is taken for what may be a part for each target, one of which is called `name`."""
    value = _at(data, place)
    named = value.get("name") if isinstance(value, dict) else value
    is_part = isinstance(named, str) and named in catalogue.parts(slot.role.role)
    if not slot.by_target or len(place) != 2 or not is_part:
        return ""
    first = json.dumps({"name": {"name": _at(data, place[:1])["name"]}})[:-1]
    return f" If 'name' and {place[-1]!r} are targets, write the first one's {slot.key} as an object: {first}, ...}}."


def _part_message(value: Any, slot: Slot, catalogue: Catalogue) -> str:
    role = slot.role.role
    names = catalogue.parts(role)
    listed = f"Installed: {', '.join(names)}." if names else _none_installed(role)
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
    near = _of_families(value["name"], names) or did_you_mean(family, names)
    return f"no {role} named {value['name']!r}.{near} {listed}"


def _of_families(name: str, parts: Mapping[str, type[Part]]) -> str:
    found = [f"{family}/{name}" for family, part in parts.items() if part.family and part.has_member(name)]
    return f" Did you mean {' or '.join(map(repr, found))}?" if found else ""


def _none_installed(role: str) -> str:
    return f'No {role} is installed: pip install "ftrun[all]" brings ftrun\'s own plugins.'


def _options(
    place: tuple[str, ...], data: dict[str, Any], model: type[RunSpec], catalogue: Catalogue
) -> tuple[str, list[str]]:
    """What the object that holds `place` is called, and the keys that it takes."""
    if len(place) == 1:
        return "Keys of a spec", [info.alias or name for name, info in model.model_fields.items()]
    if place[:2] == ("train", "phases"):
        return "Options of a phase", list(Phase.model_fields)
    if place[0] == "train":
        return "Options of train", list(Train.model_fields)
    if place[0] == "input":
        overrides: Any = model.model_fields["input"].annotation.__args__[0]  # type: ignore[union-attr]
        return "Options of input", list(overrides.model_fields)
    holder = _at(data, place[:-1])
    slot = next((slot for slot in SLOTS if slot.key == place[0] and len(place) == 1 + slot.depth(data)), None)
    if slot and isinstance(holder, dict) and holder.get("name") in catalogue.parts(slot.role.role):
        return f"Options of {holder['name']}", list(catalogue.parts(slot.role.role)[holder["name"]].model_fields)
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
    """What is wrong with an option of the part `name`, which is no part of a spec."""
    if error["type"] == "extra_forbidden":
        return _unknown_key((name, str(error["loc"][-1])), (f"Options of {name}", list(options)))
    return "is required." if error["type"] == "missing" else _wrong_value(error)


def _missing(place: tuple[str, ...], slot: Slot | None, catalogue: Catalogue) -> str:
    if slot and len(place) == 1:
        names = catalogue.parts(slot.role.role)
        return (
            f"is required. Installed: {', '.join(names)}."
            if names
            else f"is required. {_none_installed(slot.role.role)}"
        )
    return "is required."


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


def _cross_check(spec: RunSpec) -> Iterator[Mistake]:
    """What no single field can tell."""
    monitors = spec.monitors
    given = spec.train.monitor or ()
    for name in (given,) if isinstance(given, str) else given:
        # With several targets, theirs is between the two; and a metric may give several figures, val/<metric>/<one>.
        split, *steps = name.split("/")
        if split != "val" or not any(f"val/{step}" in monitors for step in steps):
            near = did_you_mean(name, monitors)
            yield Mistake(
                "train.monitor",
                f"no figure named {name!r}.{near} With this spec's metrics it may be: {', '.join(monitors)}.",
            )
    counts = Counter(metric.key for metric in spec.metrics)
    for index, metric in enumerate(spec.metrics):
        if counts[metric.key] > 1 and metric.key in [earlier.key for earlier in spec.metrics[:index]]:
            yield Mistake(f"metrics.{index}", f"{metric.key!r} is there twice.")
