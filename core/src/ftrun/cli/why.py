"""What `ftrun plugins --why NAME` shows: where a plugin, a part or a command comes from, or why it is not loaded."""

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
    about: list[dict[str, Any]] = []
    named: list[dict[str, Any]] = []  # parts, then commands
    names: list[str] = []
    for plugin in (*catalogue.plugins, *catalogue.left_out):
        parts, commands = _parts(catalogue, plugin), _commands(catalogue, plugin)
        module = plugin.module.partition(":")[0]
        if name in (plugin.distribution, module) or is_called(plugin.distribution, name):
            about.append(_about(plugin, "plugin", parts, commands))
        named += [_about(plugin, "part", [part], []) for part in parts if part["name"] == name]
        named += [_about(plugin, "command", [], [command]) for command in commands if command["name"] == name]
        names += [plugin.distribution, short(plugin.distribution), module]
        names += [each["name"] for each in (*commands, *parts)]
    if not about and not named:
        raise SpecError(
            f"no plugin, module, part or command named {name!r}.{did_you_mean(name, names)} "
            f"`ftrun plugins` lists what is installed.{catalogue.not_here}"
        )
    return [*about, *named]


def why_text(about: list[dict[str, Any]]) -> str:
    """Return the same for people."""
    return "\n\n".join(_block(each) for each in about)


def _parts(catalogue: Catalogue, plugin: Plugin) -> list[dict[str, Any]]:
    return [
        {
            "role": part.role,
            "name": name,
            "hook": _HOOKS[part.role],
            "class": f"{part.__module__}.{part.__qualname__}",
            "clashes_with": _others(catalogue.clashes.get((part.role, name), []), plugin),
        }
        for part in plugin.parts
        for name in part_names(part)
    ]


def _commands(catalogue: Catalogue, plugin: Plugin) -> list[dict[str, Any]]:
    return [
        {
            "name": command.name,
            "target": command.target,
            "clashes_with": _others(catalogue.clashes.get(("command", command.name), []), plugin),
        }
        for command in plugin.commands
    ]


def _others(clashing: list[Plugin], plugin: Plugin) -> list[str]:
    return [str(other) for other in clashing if other is not plugin]


def _about(plugin: Plugin, kind: str, parts: list[dict[str, Any]], commands: list[dict[str, Any]]) -> dict[str, Any]:
    clashing = [each["clashes_with"] for each in (*parts, *commands)] if kind != "plugin" else []
    state, reason = "loaded", ""
    if plugin.left_out:
        state, reason = "left out", f"{ONLY} does not name it"
    elif plugin.error:
        state, reason = "broken", plugin.error
    elif any(clashing):
        state, reason = "clashes", f"{' and '.join(clashing[0])} offers it too"
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
    title = f"{about['distribution']} {about['version']}: {about['state']}"
    if about["kind"] != "plugin":
        offered = [*about["parts"], *about["commands"]][0]
        title = f"{offered['name']} ({offered.get('role', 'command')}), from {title}"
    rows = [
        ("reason", about["reason"]),
        ("module", f"{about['module']}, which is the entry point {about['entry_point']!r}"),
        ("file", about["file"] or "none"),
        ("API", about["api"] or f"not stated, so taken to be this ftrun's, {API_VERSION}"),
        *(("warning", each) for each in about["warnings"]),
        *(
            ("part", f"{each['role']} {each['name']}: {each['class']}, offered by {each['hook']}{_clash(each)}")
            for each in about["parts"]
        ),
        *(("command", f"{each['name']}: {each['target']}{_clash(each)}") for each in about["commands"]),
    ]
    lines = [f"  {what:<7}  {text}" for what, text in rows if text]
    return "\n".join([title, *lines, *(f"  {line}" for line in about["traceback"].splitlines())])


def _clash(offered: dict[str, Any]) -> str:
    return f"; clashes with {' and '.join(offered['clashes_with'])}" if offered["clashes_with"] else ""
