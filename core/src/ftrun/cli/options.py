"""What `ftrun plugins WHAT` shows: parts and keys of a spec with their options."""

import inspect
import json
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel

from ftrun.cli.listing import summary
from ftrun.contracts.errors import SpecError, did_you_mean
from ftrun.contracts.hooks import ROLE_OF_HOOK
from ftrun.contracts.nested import SCHEMA_KEY
from ftrun.contracts.printable import columns
from ftrun.contracts.specs import ROLES
from ftrun.plugins.catalogue import Catalogue
from ftrun.spec.runspec import SLOTS
from ftrun.spec.trainspec import Evaluation, Train

_KEYS: dict[str, str | None] = {role.role: None for role in ROLES} | {slot.role.role: slot.key for slot in SLOTS}
"""The key of a spec that names parts of a role; None where no spec names them."""
_OWN: dict[str, type[BaseModel]] = {"train": Train, "evaluation": Evaluation}
"""Keys of a spec that hold options of ftrun's own."""
# A role goes by its name, its key in a spec, and its plural as in its hook.
_ROLE_NAMES = {
    role.role: (role.role, _KEYS[role.role], hook.removeprefix("ftrun_")) for hook, role in ROLE_OF_HOOK.items()
}
_BOUNDS = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}


def options(catalogue: Catalogue, what: str) -> list[dict[str, Any]]:
    """Return the options of a role's parts, of those of one name, or of a key of the spec's own: `train`.

    After a dot, one option of them with what it holds: `train.phases`, `csv.targets`.

    Raises SpecError where there are none, PluginError where plugins clash over the name.
    """
    holder, dot, option = what.rpartition(".")
    try:
        if what in _OWN:
            return [_described(_OWN[what], what, None, what, "ftrun", version("ftrun"))]
        return parts(catalogue, what)
    except SpecError as error:
        try:
            outer = options(catalogue, holder) if dot else []
        except SpecError:
            raise error from None
        inner = [_inner(each, what, option) for each in outer]
        if known := [each for each in inner if each]:
            return known
        if not outer:
            raise
        names = [known["name"] for each in outer for known in each["options"]]
        near = did_you_mean(option, names)
        raise SpecError(f"{holder} has no option {option!r}.{near} It has {', '.join(names) or 'none'}.") from None


def _inner(holder: dict[str, Any], name: str, option: str) -> dict[str, Any] | None:
    """Return one option of what `holder` describes, described likewise: itself, where it holds no options."""
    for each in holder["options"]:
        if each["name"] == option:
            rows = each.get("options") or [each]
            return {**holder, "name": name, "summary": each["description"], "description": "", "options": rows}
    return None


def parts(catalogue: Catalogue, what: str) -> list[dict[str, Any]]:
    """Return the parts of a role, of a distribution, or those of one name, with their options.

    Raises SpecError where there are none, PluginError where plugins clash over the name.
    """
    for each_role in _KEYS:
        catalogue.check_clash(each_role, what)
    role = next((role for role, names in _ROLE_NAMES.items() if what in names), None)
    named = [
        (each_role, name, part)
        for each_role in _KEYS
        for name, part in catalogue.parts(each_role).items()
        if each_role == role or what in (name, catalogue.owner(each_role, name).distribution)
    ]
    if not named and role is None:
        names = [name for each_role in _KEYS for name in catalogue.parts(each_role)]
        near = did_you_mean(what, [*_KEYS, *names, *_OWN])
        raise SpecError(
            f"no role and no part named {what!r}.{near} Roles: {', '.join(_KEYS)}. "
            f"`ftrun plugins` lists all parts.{catalogue.not_here if catalogue.left_out else ''}"
        )
    owners = [catalogue.owner(each_role, name) for each_role, name, _ in named]
    return [
        _described(part, name, each_role, _KEYS[each_role], owner.distribution, owner.version)
        for (each_role, name, part), owner in zip(named, owners, strict=True)
    ]


def parts_text(listed: list[dict[str, Any]]) -> str:
    """Return the same for people."""
    blocks = []
    for part in listed:
        role = part["role"] or "key of a spec"
        title = f"{part['name']}  ({role}, from {part['distribution']} {part['version']})"
        rows = list(_rows(part["options"]))
        blocks.append("\n".join([title, f"  {part['summary']}", *columns(rows, indent=4)]))
    return "\n\n".join(blocks) or "None installed."


def _rows(options: list[dict[str, Any]], indent: str = "") -> Iterator[tuple[str, ...]]:
    """Yield a row for each option, and below it, indented, for each of what it holds."""
    for option in options:
        yield indent + option["name"], option["type"], _default_text(option), option["description"]
        yield from _rows(option.get("options", []), indent + "  ")


def _described(
    holder: type[BaseModel], name: str, role: str | None, key: str | None, distribution: str, version: str
) -> dict[str, Any]:
    schema = holder.model_json_schema()
    schema["properties"].pop(getattr(holder, "tag", "name"), None)
    return {
        "name": name,
        "role": role,
        "key": key,
        "distribution": distribution,
        "version": version,
        "summary": summary(holder),
        "description": inspect.getdoc(holder) or "",
        "options": _options(schema, schema),
    }


def _options(holder: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the options that an object's JSON Schema has, each with those of the objects that it holds."""
    required = holder.get("required", [])
    described = []
    for option, field in holder["properties"].items():
        if option == "name":
            continue
        held = _held(field, schema)
        described.append(
            {
                "name": option,
                "type": _type(field, schema),
                "required": option in required,
                **({"default": field["default"]} if "default" in field else {}),
                "description": field.get("description", ""),
                **({"options": _options(held, schema)} if held else {}),
            }
        )
    return described


def _held(field: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any] | None:
    """Return the JSON Schema of the objects that an option holds, one or many; None where it holds none."""
    if "$ref" in field:
        field = schema["$defs"][field["$ref"].rpartition("/")[2]]
    if SCHEMA_KEY in field:  # a part, which has a place of its own
        return None
    if "properties" in field:
        return field
    inside = [field[key] for key in ("items", "additionalProperties") if isinstance(field.get(key), dict)]
    branches = [*field.get("anyOf", []), *field.get("oneOf", []), *inside]
    kinds = [held for each in branches if (held := _held(each, schema))]
    return kinds[0] if len(kinds) == 1 else None  # of several kinds of object, each has its own


def _default_text(option: dict[str, Any]) -> str:
    if "default" in option:
        return f"default {json.dumps(option['default'])}"
    return "required" if option["required"] else "optional"


def _type(field: dict[str, Any], schema: dict[str, Any]) -> str:
    """Return a JSON Schema type in a few words: `number > 0`, `"macro" or "micro"`, `null or string`."""
    if SCHEMA_KEY in field:
        return str(field[SCHEMA_KEY])
    if "$ref" in field:
        return _type(schema["$defs"][field["$ref"].rpartition("/")[2]], schema)
    if branches := field.get("anyOf") or field.get("oneOf"):
        return " or ".join(dict.fromkeys(_type(each, schema) for each in branches))
    if "enum" in field or "const" in field:
        return " or ".join(f'"{each}"' for each in field.get("enum", [field.get("const")]))
    kind = str(field.get("type", "value"))
    if kind == "array" and "items" in field:
        return f"list of {_type(field['items'], schema)}"
    if kind == "object" and isinstance(field.get("additionalProperties"), dict):
        return f"object of {_type(field['additionalProperties'], schema)}"
    bounds = [f"{sign} {field[key]}" for key, sign in _BOUNDS.items() if key in field]
    return " ".join([kind, " and ".join(bounds)]).strip()
