"""The observers of a run: ftrun's own, and those that the spec names, in its order. Dropped where they raise."""

import inspect
import traceback
from collections.abc import Callable, Mapping
from types import MappingProxyType
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
    own: ftrun's own observers, by what messages call them; they come first
    """

    def __init__(
        self, spec: RunSpec, warn: Callable[[str], None], own: Mapping[str, object] = MappingProxyType({})
    ) -> None:
        self._manager = pluggy.PluginManager(hooks.PROJECT)
        self._manager.add_hookspecs(events)
        self._warn = warn
        self._names: dict[str, Any] = {}
        for key, observer in own.items():
            _register(self._manager, observer, key)
            self._names[key] = observer
        for index, part in enumerate(spec.observers):
            where = f"observers.{index}"
            observer = build(part, where)
            with inside(part, where):
                key = f"observer {named(part)} ({where})"
                for deprecated in _register(self._manager, observer, key):
                    warn(f"{key}: {deprecated}")
            self._names[key] = observer

    def call(self, hook: str, **records: Any) -> list[tuple[str, Any]]:
        """Call `hook` on each observer that implements it. Returns who answered what, where that is not None."""
        answers: list[tuple[str, Any]] = []
        for key, observer in list(self._names.items()):
            others = [other for other in self._names.values() if other is not observer]
            try:
                answers += [(key, answer) for answer in self._manager.subset_hook_caller(hook, others)(**records)]
            except Exception as error:  # it changes nothing but the run's length, and its failure nothing at all
                line = traceback.extract_tb(error.__traceback__)[-1]
                self._drop(key, hook, f"{type(error).__name__}: {error} ({line.filename}:{line.lineno})")
        return answers

    def reason_to_stop(self, run: events.RunInfo, epoch: events.EpochInfo) -> tuple[str, str]:
        """Ask each observer whether the run is to end after this epoch. Returns the first reason and who gave it.

        Both are empty where none has a reason.
        """
        reasons = []
        for key, reason in self.call("ftrun_should_stop", run=run, epoch=epoch):
            if isinstance(reason, str) and reason.strip():
                reasons.append((" ".join(reason.split()), key))
            else:
                self._drop(key, "ftrun_should_stop", f"it returns a reason, as a text, or None, but gave {reason!r}")
        return reasons[0] if reasons else ("", "")

    def _drop(self, key: str, hook: str, reason: str) -> None:
        self._warn(f"{key} failed in {hook} and is dropped: {reason}")
        self._manager.unregister(self._names.pop(key))


def _register(manager: pluggy.PluginManager, observer: object, key: str) -> list[str]:
    """Register an observer, and give what pluggy says is deprecated.

    Raises PluginError for what pluggy refuses, and for what it would pass over in silence.
    """
    known = [name for name in vars(events) if name.startswith("ftrun_")]
    for name, member in inspect.getmembers(type(observer), callable):
        if getattr(member, f"{hooks.PROJECT}_impl", None) is not None:
            if name not in known:
                raise PluginError(f"the observer has no hook named {name!r}.{did_you_mean(name, known)}")
            arguments = list(inspect.signature(getattr(events, name)).parameters)
            for argument in list(inspect.signature(member).parameters.values())[1:]:
                if argument.name not in arguments:
                    raise PluginError(f"{name} has no argument {argument.name!r}; it has {', '.join(arguments)}.")
                if argument.default is not argument.empty:
                    raise PluginError(f"{name}: argument {argument.name!r} has a default, so it would never be passed.")
    return register(manager, observer, key)
