"""What `ftrun plugins --why NAME` shows: where a plugin, a part or a command comes from, or why it is not loaded."""

from collections.abc import Iterator
from typing import Any

from ftrun.contracts.errors import SpecError, did_you_mean
from ftrun.contracts.hooks import ROLE_OF_HOOK
from ftrun.plugins.apiversion import API_VERSION
from ftrun.plugins.catalogue import Catalogue
from ftrun.plugins.contract import part_names
from ftrun.plugins.installed import Plugin
from ftrun.plugins.selection import ONLY, is_called, short

_HOOKS = {role.role: hook for hook, role in ROLE_OF_HOOK.items()}


def why(catalogue: Catalogue, name: str) -> list[dict[str, Any]]:
    """Return all that goes by a name: a distribution, module, part or command. Raises SpecError where nothing does."""
    plugins = [*catalogue.plugins, *catalogue.left_out]
    offers = [(plugin, list(_parts(catalogue, plugin)), list(_commands(catalogue, plugin))) for plugin in plugins]
    found = [_about(plugin, parts, commands, "plugin") for plugin, parts, commands in offers if _is(plugin, name)]
    for plugin, parts, commands in offers:
        found += [_about(plugin, [part], [], "part") for part in parts if part["name"] == name]
        found += [_about(plugin, [], [command], "command") for command in commands if command["name"] == name]
    if not found:
        raise SpecError(
            f"no plugin, module, part or command named {name!r}.{did_you_mean(name, _names(catalogue, plugins))} "
            f"`ftrun plugins` lists what is installed.{catalogue.not_here}"
        )
    return found


def why_text(found: list[dict[str, Any]]) -> str:
    """The same for people."""
    return "\n\n".join(_block(each) for each in found)


def _is(plugin: Plugin, name: str) -> bool:
    return name in (plugin.distribution, _module(plugin)) or is_called(plugin.distribution, name)


def _module(plugin: Plugin) -> str:
    return plugin.module.partition(":")[0]


def _names(catalogue: Catalogue, plugins: list[Plugin]) -> list[str]:
    names = [each for one in plugins for each in (one.distribution, short(one.distribution), _module(one))]
    names += [command.name for plugin in plugins for command in plugin.commands]
    return names + [part["name"] for plugin in plugins for part in _parts(catalogue, plugin)]


def _parts(catalogue: Catalogue, plugin: Plugin) -> Iterator[dict[str, Any]]:
    for part in plugin.parts:
        for name in part_names(part):
            clashing = catalogue.clashes.get((part.role, name), [])
            yield {
                "role": part.role,
                "name": name,
                "hook": _HOOKS[part.role],
                "class": f"{part.__module__}.{part.__qualname__}",
                "clashes_with": [str(other) for other in clashing if other is not plugin],
            }


def _commands(catalogue: Catalogue, plugin: Plugin) -> Iterator[dict[str, Any]]:
    for command in plugin.commands:
        clashing = catalogue.command_clashes.get(("command", command.name), [])
        yield {
            "name": command.name,
            "target": command.target,
            "clashes_with": [str(other) for other in clashing if other is not plugin],
        }


def _about(plugin: Plugin, parts: list[dict[str, Any]], commands: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    clashes = [each["clashes_with"] for each in (*parts, *commands)] if kind != "plugin" else []
    state, reason = "loaded", ""
    if plugin.left_out:
        state, reason = "left out", f"{ONLY} does not name it"
    elif plugin.error:
        state, reason = "broken", plugin.error
    elif any(clashes):
        state, reason = "clashes", f"{' and '.join(clashes[0])} offers it too"
    return {
        "kind": kind,
        "state": state,
        "reason": reason,
        "traceback": plugin.traceback,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "entry_point": plugin.entry_point,
        "module": plugin.module,
        "file": plugin.file or None,
        "api": None if plugin.api is None else str(plugin.api),
        "warnings": list(plugin.warnings),
        "parts": parts,
        "commands": commands,
    }


def _block(about: dict[str, Any]) -> str:
    origin, state = f"{about['distribution']} {about['version']}", about["state"]
    title = f"{origin}: {state}"
    if about["kind"] == "part":
        title = f"{about['parts'][0]['name']} ({about['parts'][0]['role']}), from {origin}: {state}"
    elif about["kind"] == "command":
        title = f"{about['commands'][0]['name']} (command), from {origin}: {state}"
    rows = [
        ("reason", about["reason"]),
        ("module", f"{about['module']}, which is the entry point {about['entry_point']!r}"),
        ("file", about["file"] or "none"),
        ("API", about["api"] or f"not stated, so taken to be this ftrun's, {API_VERSION}"),
        *(("warning", each) for each in about["warnings"]),
        *(("part", _line(part)) for part in about["parts"]),
        *(("command", f"{each['name']}: {each['target']}{_clash(each)}") for each in about["commands"]),
    ]
    lines = [f"  {what:<7}  {text}" for what, text in rows if text]
    frames = [f"  {line}" for line in about["traceback"].splitlines()]
    return "\n".join([title, *lines, *frames])


def _line(part: dict[str, Any]) -> str:
    return f"{part['role']} {part['name']}: {part['class']}, offered by {part['hook']}{_clash(part)}"


def _clash(offered: dict[str, Any]) -> str:
    return f"; clashes with {' and '.join(offered['clashes_with'])}" if offered["clashes_with"] else ""
