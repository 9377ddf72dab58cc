"""What differs between runs' specs, and between what they were made with: dotted keys, a value for each run."""

from collections.abc import Mapping, Sequence
from typing import Any

_BESIDE = ("input", "init_from", "samples", "device", "precision", "memory_format", "threads", "versions", "machine")
ABSENT = "-"


def differing(resolved: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return {key: each run's value} for each key whose values are not all alike; "-" where a run has none, or null.

    resolved: what resolved.json of each run holds
    """
    flat = [_flat(_compared(each)) for each in resolved]
    keys = dict.fromkeys(key for each in flat for key in each)
    # An option that is left open, and one that a run's part does not have, come to the same.
    values = {key: [ABSENT if (value := each.get(key)) is None else value for each in flat] for key in keys}
    return {key: each for key, each in values.items() if any(value != each[0] for value in each)}


def _compared(resolved: Mapping[str, Any]) -> dict[str, Any]:
    spec = resolved.get("spec")
    values = {key: value for key, value in spec.items() if key != "input"} if isinstance(spec, Mapping) else {}
    plugins = resolved.get("plugins")
    if isinstance(plugins, list):
        values["plugins"] = {each["distribution"]: _version(each) for each in plugins if _is_plugin(each)}
    return values | {key: resolved[key] for key in _BESIDE if resolved.get(key) is not None}


def _is_plugin(each: Any) -> bool:
    return isinstance(each, Mapping) and {"distribution", "version"} <= each.keys()


def _version(plugin: Mapping[str, Any]) -> Any:
    """Return a plugin's version or, of a file of parts, its digest."""
    return plugin.get("sha256") or plugin["version"]


def _flat(value: Any, key: str = "") -> dict[str, Any]:
    """Return leaves by dotted keys; a list of numbers or texts is a leaf, and so is what is empty."""
    if isinstance(value, Mapping) and value:
        items = [(str(name), each) for name, each in value.items()]
    elif isinstance(value, list) and any(isinstance(each, Mapping | list) for each in value):
        items = [(str(index), each) for index, each in enumerate(value)]
    else:
        return {key: value}
    return {
        place: leaf for name, each in items for place, leaf in _flat(each, f"{key}.{name}" if key else name).items()
    }
