"""What `ftrun plugins` and `ftrun cache` list."""

from typing import Any

from ftrun.contracts.numbers import shown_bytes
from ftrun.contracts.printable import columns
from ftrun.plugins.catalogue import Catalogue
from ftrun.plugins.contract import part_names
from ftrun.plugins.selection import ONLY


def plugins(catalogue: Catalogue) -> dict[str, Any]:
    """Return plugins with their parts, the broken ones with the reason, clashes, and what FTRUN_PLUGINS leaves out."""
    return {
        "plugins": [
            {
                "distribution": plugin.distribution,
                "version": plugin.version,
                "parts": [
                    {"role": part.role, "name": name, "summary": summary(part)}
                    for part in plugin.parts
                    for name in part_names(part)
                ],
                "commands": [{"name": each.name, "summary": each.help} for each in plugin.commands],
                "warnings": list(plugin.warnings),
            }
            for plugin in catalogue.plugins
            if not plugin.error
        ],
        "broken": [
            {
                "distribution": plugin.distribution,
                "version": plugin.version,
                "module": plugin.module,
                "reason": plugin.error,
                "warnings": list(plugin.warnings),
            }
            for plugin in catalogue.broken
        ],
        "clashes": [
            {"role": role, "name": name, "plugins": [str(plugin) for plugin in clashing]}
            for (role, name), clashing in catalogue.clashes.items()
        ],
        "left_out": [
            {"distribution": plugin.distribution, "version": plugin.version, "module": plugin.module}
            for plugin in catalogue.left_out
        ],
    }


def plugins_text(listed: dict[str, Any]) -> str:
    """Return the same for people."""
    lines = []
    for plugin in listed["plugins"]:
        lines.append(f"{plugin['distribution']} {plugin['version']}")
        rows = [(part["role"], part["name"], part["summary"]) for part in plugin["parts"]]
        rows += [("command", command["name"], command["summary"]) for command in plugin["commands"]]
        lines += columns(rows, indent=2)
        lines += _warnings(plugin)
    for plugin in listed["broken"]:
        lines.append(f"{plugin['distribution']} {plugin['version']}: BROKEN")
        lines.append(f"  {plugin['module']} {plugin['reason']}")
        lines += _warnings(plugin)
    for clash in listed["clashes"]:
        lines.append(f"CLASH: {clash['role']} {clash['name']!r} comes from both {' and '.join(clash['plugins'])}")
    if listed["left_out"]:
        names = dict.fromkeys(plugin["distribution"] for plugin in listed["left_out"])
        lines.append(f"Left out by {ONLY}: {', '.join(names)}")
    return "\n".join(lines) or 'No plugins are installed: pip install "ftrun[all]" brings ftrun\'s own.'


def _warnings(plugin: dict[str, Any]) -> list[str]:
    return [f"  WARNING: {warning}" for warning in plugin["warnings"]]


def summary(part: type) -> str:
    """Return the first line of a class's own docstring."""
    # inspect.getdoc would find the role's docstring where a part has none of its own.
    return (part.__doc__ or "").strip().partition("\n")[0]


def cache_text(cache: dict[str, Any]) -> str:
    """Return what the cache holds, a line each, the longest unused first."""
    entries = cache["entries"]
    lines = [
        f"{shown_bytes(each['bytes']):>9}  {each['name']}: {each['samples']:,} samples of {each['shape']}, "
        f"used {each['used']}"
        for each in entries
    ]
    total = sum(each["bytes"] for each in entries)
    lines.append(f"{shown_bytes(total)} of at most {shown_bytes(cache['limit'])} (FTRUN_CACHE_GB) in {cache['folder']}")
    return "\n".join(lines)
