"""What the environment says of plugins: FTRUN_PLUGINS, which of them to load; FTRUN_STRICT_PLUGINS, what to refuse."""

import os
import re
from collections.abc import Collection

from ftrun.contracts.errors import PluginError, SpecError, did_you_mean

ONLY = "FTRUN_PLUGINS"
STRICT = "FTRUN_STRICT_PLUGINS"
_PREFIX = "ftrun-"
_ON, _OFF = ("1", "true", "yes"), ("", "0", "false", "no")


def chosen(distributions: Collection[str]) -> set[str]:
    """Return the installed distributions to load: all of them, or those that FTRUN_PLUGINS names.

    Raises PluginError where it names one that is not installed.
    """
    if ONLY not in os.environ:
        return set(distributions)
    named = [each.strip() for each in os.environ[ONLY].split(",") if each.strip()]
    by_name = {name: [each for each in distributions if is_called(each, name)] for name in named}
    if missing := [name for name, those in by_name.items() if not those]:
        installed = ", ".join(sorted(set(distributions))) or "none"
        unknown = " ".join(f"no plugin named {name!r} is installed.{_nearest(name, distributions)}" for name in missing)
        raise PluginError(f"{unknown} Installed: {installed}.", where=ONLY)
    return {each for those in by_name.values() for each in those}


def is_called(distribution: str, name: str) -> bool:
    """Return whether a distribution goes by this name: its own, with or without the prefix `ftrun-`."""
    return _normal(distribution) in (_normal(name), _PREFIX + _normal(name))


def short(distribution: str) -> str:
    """Return a distribution's name without the prefix `ftrun-`."""
    return _normal(distribution).removeprefix(_PREFIX)


def is_strict() -> bool:
    """Return whether anything that is broken or clashes is an error, needed or not."""
    value = os.environ.get(STRICT, "").strip().lower()
    if value not in _ON + _OFF:
        raise SpecError(f"must be 1 or 0, but it is {value!r}.", where=STRICT)
    return value in _ON


def _nearest(name: str, distributions: Collection[str]) -> str:
    return did_you_mean(name, distributions) or did_you_mean(name, map(short, distributions))


def _normal(name: str) -> str:
    """Return a name as packaging compares names: `-`, `_` and `.` are one, and so is case."""
    return re.sub(r"[-_.]+", "-", name).lower()
