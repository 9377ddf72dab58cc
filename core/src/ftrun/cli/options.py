"""What `ftrun plugins WHAT` shows: parts and keys of a spec with their options."""

import inspect
import json
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from ftrun.cli.listing import summary
from ftrun.contracts.errors import SpecError, did_you_mean
from ftrun.contracts.hooks import ROLE_OF_HOOK
from ftrun.contracts.printable import columns
from ftrun.contracts.specs import ROLES, Part
from ftrun.plugins.catalogue import Catalogue
from ftrun.spec.runspec import SLOTS
from ftrun.spec.trainspec import Train

_KEYS: dict[str, str | None] = {role.role: None for role in ROLES} | {slot.role.role: slot.key for slot in SLOTS}
"""The key of a spec that names parts of a role; None where no spec names them."""
# A role goes by its name, its key in a spec, and its plural as in its hook.
_ROLE_NAMES = {
    role.role: (role.role, _KEYS[role.role], hook.removeprefix("ftrun_")) for hook, role in ROLE_OF_HOOK.items()
}


def options(catalogue: Catalogue, what: str) -> list[dict[str, Any]]:
    """The options of a role's parts, of those of one name, or of a key of the spec's own: `train`.

    After a dot, one option of them with what it holds: `train.phases`, `csv.targets`.

    Raises SpecError where there are none, PluginError where plugins clash over the name.
    """
    holder, dot, option = what.rpartition(".")
    try:
        return _own(what) or parts(catalogue, what)
    except SpecError as error:
        try:
            outer = options(catalogue, holder) if dot else []
        except SpecError:
            raise error from None
        inner = [_inner(each, what, option) for each in outer]
        if found := [each for each in inner if each]:
            return found
        if not outer:
            raise
        names = [known["name"] for each in outer for known in each["options"]]
        near = did_you_mean(option, names)
        raise SpecError(f"{holder} has no option {option!r}.{near} It has {', '.join(names) or 'none'}.") from None


def _own(key: str) -> list[dict[str, Any]]:
    """A key of the spec that holds no part."""
    if key != "train":
        return []
    schema = Train.model_json_schema()
    return [
        {
            "name": key,
            "role": None,
            "key": key,
            "distribution": "ftrun",
            "version": version("ftrun"),
            "summary": summary(Train),
            "description": inspect.getdoc(Train) or "",
            "options": _options(schema, schema),
        }
    ]


def _inner(holder: dict[str, Any], name: str, option: str) -> dict[str, Any] | None:
    """One option of what `holder` describes, described likewise: itself, where it holds no options of its own."""
    for each in holder["options"]:
        if each["name"] == option:
            rows = each.get("options") or [each]
            return {**holder, "name": name, "summary": each["description"], "description": "", "options": rows}
    return None


def parts(catalogue: Catalogue, what: str) -> list[dict[str, Any]]:
    """The parts of a role, or those of one name, with their options.

    Raises SpecError where there are none, PluginError where plugins clash over the name.
    """
    for each_role in _KEYS:
        catalogue.check_clash(each_role, what)
    role = next((role for role, names in _ROLE_NAMES.items() if what in names), None)
    found = [
        (each_role, name, part)
        for each_role in _KEYS
        for name, part in catalogue.parts(each_role).items()
        if each_role == role or name == what
    ]
    if not found and role is None:
        names = [name for each_role in _KEYS for name in catalogue.parts(each_role)]
        near = did_you_mean(what, [*_KEYS, *names, "train"])
        raise SpecError(
            f"no role and no part named {what!r}.{near} Roles: {', '.join(_KEYS)}. "
            f"`ftrun plugins` lists all parts.{catalogue.not_here if catalogue.left_out else ''}"
        )
    return [_describe(catalogue, *each) for each in found]


def parts_text(listed: list[dict[str, Any]]) -> str:
    """The same for people."""
    blocks = []
    for part in listed:
        role = part["role"] or "key of a spec"
        title = f"{part['name']}  ({role}, from {part['distribution']} {part['version']})"
        rows = list(_rows(part["options"]))
        blocks.append("\n".join([title, f"  {part['summary']}", *columns(rows, indent=4)]))
    return "\n\n".join(blocks) or "None installed."


def _rows(options: list[dict[str, Any]], indent: str = "") -> Iterator[tuple[str, ...]]:
    """A row for each option, and below it, indented, for each of what it holds."""
    for option in options:
        yield indent + option["name"], option["type"], _default_text(option), option["description"]
        yield from _rows(option.get("options", []), indent + "  ")


def _describe(catalogue: Catalogue, role: str, name: str, part: type[Part]) -> dict[str, Any]:
    owner = catalogue.owner(role, name)
    schema = part.model_json_schema()
    return {
        "name": name,
        "role": role,
        "key": _KEYS[role],
        "distribution": owner.distribution,
        "version": owner.version,
        "summary": summary(part),
        "description": inspect.getdoc(part) or "",
        "options": _options(schema, schema),
    }


def _options(holder: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The options that an object's JSON Schema has, each with what it holds itself, where that is objects too."""
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
    """The JSON Schema of the objects that an option holds, one or many; None where it holds none."""
    if "$ref" in field:
        field = schema["$defs"][field["$ref"].rpartition("/")[2]]
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
    """A JSON Schema type in a few words: `number > 0`, `"macro" or "micro"`, `null or string`."""
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
    bounds = [
        f"{sign} {field[key]}"
        for key, sign in (
            ("exclusiveMinimum", ">"),
            ("minimum", ">="),
            ("exclusiveMaximum", "<"),
            ("maximum", "<="),
        )
        if key in field
    ]
    return " ".join([kind, " and ".join(bounds)]).strip()
