"""Installed plugins: found by entry point, loaded one by one, each failure kept with its cause."""

import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, get_args

import pluggy

from ftrun import events, hooks
from ftrun.errors import did_you_mean
from ftrun.hooks import ROLE_OF_HOOK
from ftrun.specs import Part

GROUP = "ftrun"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


@dataclass(frozen=True)
class Plugin:
    """One entry point of an installed distribution: what it offers or, in `error`, why it is broken."""

    distribution: str
    version: str
    entry_point: str
    module: str
    parts: tuple[type[Part], ...] = ()
    error: str = ""

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


class _Broken(Exception):
    """Why a plugin cannot be used."""


def load_plugins() -> list[Plugin]:
    """Every installed plugin, by distribution; the broken ones too."""
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    found = [_load(manager, entry_point) for entry_point in entry_points(group=GROUP)]
    return sorted(found, key=lambda plugin: (plugin.distribution, plugin.entry_point))


def _load(manager: pluggy.PluginManager, entry_point: EntryPoint) -> Plugin:
    distribution, version = _name_and_version(entry_point)
    record = Plugin(distribution, version, entry_point.name, entry_point.value)
    try:
        module = _import(entry_point)
        _check_hooks(module)
        # pluggy drops a second plugin of the same name without a word, so the distribution is part of the name.
        manager.register(module, name=f"{distribution}:{entry_point.name}")
        return replace(record, parts=tuple(_offered(manager, module)))
    except _Broken as broken:
        return replace(record, error=str(broken))


def _name_and_version(entry_point: EntryPoint) -> tuple[str, str]:
    metadata = dict(entry_point.dist.metadata.items()) if entry_point.dist else {}  # type: ignore[attr-defined]
    return metadata.get("Name", "(unnamed)"), metadata.get("Version", "(no version)")


@contextmanager
def _as_broken(what: str) -> Iterator[None]:
    """Whatever a plugin's own code raises is a fault of the plugin, with its cause."""
    try:
        yield
    except (Exception, SystemExit) as error:
        said = str(error).partition("\n\nFor further information visit")[0]  # pydantic adds links
        raise _Broken(f"{what}: {type(error).__name__}: {said}".rstrip(": ")) from error


def _import(entry_point: EntryPoint) -> ModuleType:
    with _as_broken("failed to import"):
        module = entry_point.load()
    if not isinstance(module, ModuleType):
        raise _Broken(f"its entry point must name a module, but {entry_point.value!r} is something else")
    return module


def _check_hooks(module: ModuleType) -> None:
    """What pluggy would pass over in silence: unknown hooks, unmarked ones, arguments with defaults."""
    for name, member in vars(module).items():
        marked = inspect.isroutine(member) and hasattr(member, f"{hooks.PROJECT}_impl")
        looks_like_a_hook = name.startswith("ftrun_") and inspect.isfunction(member)
        if not (marked or looks_like_a_hook):
            continue
        near = did_you_mean(name, ROLE_OF_HOOK)
        if not (marked or near):
            continue
        if name not in ROLE_OF_HOOK:
            if hasattr(events, name):
                raise _Broken(f"{name} belongs on the object that an observer builds, not on a plugin's module")
            raise _Broken(f"no hook named {name!r}.{near}")
        if not marked:
            raise _Broken(f"{name} is not marked with @ftrun.hookimpl, so it would never be called")
        for argument in inspect.signature(member).parameters.values():
            # pluggy refuses one without a default, and never passes one that has a default.
            raise _Broken(f"{name} takes no argument {argument.name!r}: hooks that offer parts have none")


def _offered(manager: pluggy.PluginManager, module: ModuleType) -> Iterator[type[Part]]:
    names: set[tuple[str, str]] = set()
    for caller in manager.get_hookcallers(module) or ():
        (implementation,) = (each for each in caller.get_hookimpls() if each.plugin is module)
        with _as_broken(f"{caller.name} failed"):
            parts: list[Any] = list(implementation.function())  # type: ignore[call-overload]
        for part in parts:
            _check_part(caller.name, part)
            for name in part_names(part):
                if (part.role, name) in names:
                    raise _Broken(f"{caller.name} offers {name!r} twice")
                names.add((part.role, name))
            yield part


def _check_part(hook: str, part: Any) -> None:
    role = ROLE_OF_HOOK[hook]
    if not (inspect.isclass(part) and issubclass(part, role)):
        raise _Broken(f"{hook} must offer subclasses of ftrun.{role.__name__}, not {part!r}")
    if inspect.isabstract(part):
        missing = ", ".join(sorted(part.__abstractmethods__))
        raise _Broken(f"{part.__name__} does not define {missing}()")
    names = part_names(part)
    if not names:
        raise _Broken(f'{part.__name__} has no name: give it `name: Literal["..."]`')
    if not part.model_fields["name"].is_required():
        raise _Broken(f"{part.__name__}: its name must have no default, for a spec always gives it")
    if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
        raise _Broken(f"{part.__name__}: a name is lower-case letters, digits, '-', '_' and '.', unlike {names[0]!r}")
    if part.family is not None and part.family not in part.model_fields:
        raise _Broken(f"{part.__name__}: family is {part.family!r}, but it has no such option")
    with _as_broken(f"{part.__name__}: its options cannot be checked"):
        part.model_rebuild()
        part.model_json_schema()


def part_names(part: type[Part]) -> tuple[str, ...]:
    """The names that a part is known by: what its `name: Literal[...]` holds."""
    return get_args(part.model_fields["name"].annotation)
