"""The observers that a spec names: called in its order, dropped where they raise."""

import inspect
import traceback
from collections.abc import Callable
from typing import Any

import pluggy

from ftrun.contracts import events, hooks
from ftrun.contracts.errors import PluginError, did_you_mean
from ftrun.plugins.building import build, inside, named
from ftrun.plugins.contract import register
from ftrun.spec.runspec import RunSpec


class Observers:
    """Calls lifecycle hooks in a manager made for one run. Installed is not active: only what the spec names is here.

    warn: told of an observer that raised, or that uses what is deprecated
    """

    def __init__(self, spec: RunSpec, warn: Callable[[str], None]) -> None:
        self._manager = pluggy.PluginManager(hooks.PROJECT)
        self._manager.add_hookspecs(events)
        self._warn = warn
        self._names: dict[str, Any] = {}
        for index, part in enumerate(spec.observers):
            where = f"observers.{index}"
            observer = build(part, where)
            with inside(part, where):
                key = f"{named(part)} ({where})"
                for deprecated in _register(self._manager, observer, key):
                    warn(f"observer {key}: {deprecated}")
            self._names[key] = observer

    def call(self, hook: str, **records: Any) -> None:
        """Call `hook` on each observer that implements it."""
        for key, observer in list(self._names.items()):
            others = [other for other in self._names.values() if other is not observer]
            try:
                self._manager.subset_hook_caller(hook, others)(**records)
            except Exception as error:  # an observer changes nothing, its failure neither
                line = traceback.extract_tb(error.__traceback__)[-1]
                self._warn(
                    f"observer {key} failed in {hook} and is dropped: {type(error).__name__}: {error} "
                    f"({line.filename}:{line.lineno})"
                )
                self._manager.unregister(observer)
                del self._names[key]


def _register(manager: pluggy.PluginManager, observer: object, key: str) -> list[str]:
    """Register an observer, and give what pluggy says is deprecated.

    Raises PluginError for what pluggy refuses, and for what it would pass over in silence.
    """
    known = [name for name in vars(events) if name.startswith("ftrun_")]
    for name, member in inspect.getmembers(type(observer), callable):
        if getattr(member, f"{hooks.PROJECT}_impl", None) is not None:
            if name not in known:
                raise PluginError(f"the observer has no hook named {name!r}.{did_you_mean(name, known)}")
            given = list(inspect.signature(getattr(events, name)).parameters)
            for argument in list(inspect.signature(member).parameters.values())[1:]:
                if argument.name not in given:
                    raise PluginError(f"{name} has no argument {argument.name!r}; it has {', '.join(given)}.")
                if argument.default is not argument.empty:
                    raise PluginError(f"{name}: argument {argument.name!r} has a default, so it would never be passed.")
    return register(manager, observer, key)
