"""What a plugin's module must be, checked before anything of it is used."""

import inspect
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, get_args

import pluggy

from ftrun.contracts import events, hooks
from ftrun.contracts.errors import did_you_mean
from ftrun.contracts.hooks import HOOKS, ROLE_OF_HOOK
from ftrun.contracts.netroles import Takes
from ftrun.contracts.specs import Backbone, Exporter, Head, Part
from ftrun.plugins.installed import Broken, as_broken, unmarked

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


def check_hooks(module: ModuleType) -> None:
    """Raise Broken for what pluggy would pass over in silence: unknown and unmarked hooks, arguments with defaults."""
    for name, member in vars(module).items():
        marked = inspect.isroutine(member) and hasattr(member, f"{hooks.PROJECT}_impl")
        looks_like_a_hook = name.startswith("ftrun_") and inspect.isfunction(member)
        if not (marked or looks_like_a_hook):
            continue
        near = "" if name in HOOKS else did_you_mean(name, HOOKS)
        if not (marked or near or name in HOOKS):
            continue
        if name not in HOOKS:
            if hasattr(events, name):
                raise Broken(f"{name} belongs on the object that an observer builds, not on a plugin's module")
            raise Broken(f"no hook named {name!r}.{near}")
        if not marked:
            raise Broken(unmarked(name))
        known = inspect.signature(HOOKS[name]).parameters
        for argument in inspect.signature(member).parameters.values():
            # pluggy refuses an unknown one without a default, and never passes one that has a default.
            if argument.name not in known or argument.default is not argument.empty:
                takes = f"it has {', '.join(known)}" if known else "hooks that offer parts have none"
                raise Broken(f"{name} takes no argument {argument.name!r}: {takes}")


def register(manager: pluggy.PluginManager, plugin: object, name: str) -> list[str]:
    """Register a plugin, and give what pluggy says about hooks and arguments of it that are deprecated."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        manager.register(plugin, name=name)
    return [str(each.message) for each in caught]


def implementations(manager: pluggy.PluginManager, module: ModuleType) -> dict[str, Callable[..., Any]]:
    """Return a registered module's own function for each hook that it has, by the hook's name."""
    return {
        caller.name: each.function
        for caller in manager.get_hookcallers(module) or ()
        for each in caller.get_hookimpls()
        if each.plugin is module
    }


def offered(implemented: Mapping[str, Callable[..., Any]]) -> Iterator[type[Part]]:
    """Give the parts that a module's hooks offer. Raises Broken where one of them is none."""
    names: set[tuple[str, str]] = set()
    for hook in ROLE_OF_HOOK:
        parts: list[Any] = offered_by(implemented, hook)
        for part in parts:
            check_part(hook, part)
            for name in part_names(part):
                if (part.role, name) in names:
                    raise Broken(f"{hook} offers {name!r} twice")
                names.add((part.role, name))
            yield part


def offered_by(implemented: Mapping[str, Callable[..., Any]], hook: str) -> list[Any]:
    """Return what one of a module's hooks returns, as a list; empty where it has no such hook. Raises Broken."""
    with as_broken(f"{hook} failed"):
        return list(implemented[hook]()) if hook in implemented else []


def check_part(hook: str, part: Any) -> None:
    """Raise Broken where what a hook offers is no part of its role, or one that no spec could name."""
    role = ROLE_OF_HOOK[hook]
    if not (inspect.isclass(part) and issubclass(part, role)):
        raise Broken(f"{hook} must offer subclasses of ftrun.{role.__name__}, not {part!r}")
    if inspect.isabstract(part):
        missing = ", ".join(sorted(part.__abstractmethods__))
        raise Broken(f"{part.__name__} does not define {missing}()")
    names, tag = part_names(part), part.tag
    if not names:
        raise Broken(f'{part.__name__} has no {tag}: give it `{tag}: Literal["..."]`')
    if tag == "name" and not part.model_fields[tag].is_required():
        raise Broken(f"{part.__name__}: its name must have no default, for a spec always gives it")
    if tag != "name" and part.model_fields[tag].default not in names:
        raise Broken(f'{part.__name__}: its {tag} needs a default, for code gives none: `{tag}: Literal["x"] = "x"`')
    if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
        raise Broken(f"{part.__name__}: a name is lower-case letters, digits, '-', '_' and '.', unlike {names[0]!r}")
    if part.family is not None and part.family not in part.model_fields:
        raise Broken(f"{part.__name__}: family is {part.family!r}, but it has no such option")
    if issubclass(part, Backbone) and not hasattr(part, "input_type"):
        raise Broken(f"{part.__name__} does not say what its nets take: give it `input_type`, an ftrun.InputSpec class")
    if issubclass(part, Head) and part.takes not in get_args(Takes):
        raise Broken(f"{part.__name__}: takes is {part.takes!r}, but it is one of {', '.join(get_args(Takes))}")
    if issubclass(part, Exporter) and not isinstance(getattr(part, "suffix", None), str):
        raise Broken(f'{part.__name__} does not say how its files end: give it `suffix = ".bin"`')


def check_options(part: type[Part]) -> None:
    """Raise Broken where pydantic can check no spec's options of a part, or give no JSON Schema of them.

    It takes longer than all else together that is done with a part where plugins are loaded.
    """
    with as_broken(f"{part.__name__}: its options cannot be checked"):
        part.model_rebuild()
        part.model_json_schema()


def part_names(part: type[Part]) -> tuple[str, ...]:
    """Return the names that a part is known by: what its `name: Literal[...]` holds; of a target, its `kind`."""
    field = part.model_fields.get(part.tag)
    return get_args(field.annotation) if field else ()
