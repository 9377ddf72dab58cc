"""Pages of the reference: each role's parts with their options, as `ftrun plugins ROLE --json` lists them."""

import json
from collections.abc import Iterator
from typing import Any

from click.testing import CliRunner
from markup import cell, code, table

from ftrun.cli import main
from ftrun.contracts.hooks import ROLE_OF_HOOK
from ftrun_devkit.suite import properties_of

FOLDER = "reference"
ROLES = tuple(role.role for role in ROLE_OF_HOOK.values())


def pages() -> dict[str, str]:
    """Return {path: Markdown}: a page for each role, and one for the spec's key `train`."""
    train = _listed("train")[0]
    text = f"# train\n\n{train['description']}\n\n{_options(train)}"
    return {f"{FOLDER}/{role}.md": _role(role) for role in ROLES} | {f"{FOLDER}/train.md": text}


def properties(role: str) -> str:
    """Return the list of properties that parts of a role, or commands, are tested for; `part`: those of every part.

    Raises KeyError where there is no such role.
    """
    every = [{each.name: each.says for each in properties_of(known)} for known in ROLES]
    shared = [name for name in every[0] if all(name in others for others in every)]
    if role == "part":
        chosen = {name: every[0][name] for name in shared}
    elif role in ROLES:
        chosen = {name: says for name, says in every[ROLES.index(role)].items() if name not in shared}
    elif role == "command":
        chosen = {each.name: each.says for each in properties_of(role)}
    else:
        raise KeyError(role)
    return "\n".join(f"- `{name}`: {says}" for name, says in chosen.items())


def linked(text: str) -> str:
    """Return a docstring as Markdown: what would be HTML is text."""
    return text.replace("<", "&lt;")


def _listed(what: str) -> list[dict[str, Any]]:
    result = CliRunner().invoke(main, ["plugins", what, "--json"], catch_exceptions=False)
    if result.exit_code:
        raise RuntimeError(f"ftrun plugins {what}: {result.output}")
    return list(json.loads(result.stdout))


def _role(role: str) -> str:
    parts = _listed(role)
    key = parts[0]["key"] if parts else None
    named_by = "a dataset gives it" if role == "target" else "a command does"
    names = f"A spec names it in `{key}`." if key else f"No spec names it: {named_by}."
    head = f"# {role.capitalize()}\n\n{names} How to write one: [{role}](../plugins/roles/{role}.md).\n\n"
    return head + "\n\n".join(_part(part) for part in parts) + "\n"


def _part(part: dict[str, Any]) -> str:
    plugin = part["distribution"]
    origin = f"From [{plugin}](plugins/{plugin}.md)."
    return f"## {part['name']}\n\n{linked(part['description'])}\n\n{_options(part)}\n\n{origin}"


def _options(part: dict[str, Any]) -> str:
    rows = list(_rows(part["options"]))
    return table(("option", "type", "default", ""), rows) if rows else "It has no options."


def _rows(options: list[dict[str, Any]], prefix: str = "") -> Iterator[tuple[str, ...]]:
    for option in options:
        name = prefix + option["name"]
        yield code(name), cell(option["type"]), _default(option), cell(option["description"])
        yield from _rows(option.get("options", []), f"{name}.")


def _default(option: dict[str, Any]) -> str:
    if option["required"]:
        return "required"
    return code(json.dumps(option["default"])) if "default" in option else ""
