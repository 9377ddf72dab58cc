"""Building a part: what `build()` gives is checked for its role, and whatever a part raises carries its name.

Imports torch only once a part is built.
"""

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from ftrun.contracts.errors import FtrunError, PluginError
from ftrun.contracts.specs import ROLES, Part
from ftrun.plugins.entrypoints import entry_points

_NOTE = "in "


def build(part: Part, where: str, *arguments: Any, method: str = "build", **offered: Any) -> Any:
    """Return what a part's `build` makes of `arguments`.

    where: the part's place in the spec, `modifiers.0`; of one that is an option of a part that is being built, the
        option: "of"
    method: another one that gives the same, such as `evaluation`
    offered: what it gets besides if it names it: a loss `net`, and any part `state`, what a checkpoint has of it

    Raises PluginError where it takes other arguments, or gives what its role cannot use. An expected error of its
    own gets its place, any other exception a note with its name.
    """
    from ftrun.plugins.built import fault_of

    where = f"{outer}.{where}" if (outer := _BUILDING.get()) else where
    with inside(part, where), _building(where):
        function = getattr(part, method)
        known = inspect.signature(function)
        named = {name: value for name, value in offered.items() if name in known.parameters}
        try:
            known.bind(*arguments, **named)
        except TypeError as error:
            role = next(role for role in ROLES if isinstance(part, role))
            wanted = list(inspect.signature(getattr(role, method)).parameters)[1:]
            raise misbuilt(part, f"{method}({', '.join(wanted)}) is how it is called, but {error}.") from None
        made = function(*arguments, **named)
        if fault := fault_of(part, made):
            raise misbuilt(part, f"{method}() gives {fault}")
        return made


_BUILDING: ContextVar[str] = ContextVar("building", default="")
"""The place of the part that is being built, if one is."""


@contextmanager
def _building(where: str) -> Iterator[None]:
    token = _BUILDING.set(where)
    try:
        yield
    finally:
        _BUILDING.reset(token)


def misbuilt(part: Part, fault: str) -> PluginError:
    """Return the error for a part that does not keep its role's contract."""
    return PluginError(f"{named(part)}: {fault}")


@contextmanager
def inside(part: Part, where: str) -> Iterator[None]:
    """Have whatever is raised in the block say which part it is from."""
    try:
        yield
    except Exception as error:
        blame(error, part, where)
        raise


def blame(error: Exception, part: Part, where: str) -> None:
    """Give an expected error its place in the spec, and any other one a note with the part's name; the first counts."""
    if isinstance(error, FtrunError):
        error.where = error.where or where
    elif not any(note.startswith(_NOTE) for note in getattr(error, "__notes__", ())):
        error.add_note(f"{_NOTE}{where}, {named(part)}")


def blame_all(error: Exception, parts: Iterable[tuple[str, Part]]) -> None:
    """Add a note with the names of several parts that made together what raised."""
    listed = [f"{where}, {named(part)}" for where, part in parts]
    if listed and not isinstance(error, FtrunError) and not getattr(error, "__notes__", ()):
        error.add_note(f"{_NOTE}{'; '.join(listed)}")


class Blaming:
    """A function that a part made: what it raises carries the part's name.

    check: gives what is wrong with a result, or nothing, from the arguments and the result
    """

    def __init__(
        self, function: Callable[..., Any], part: Part, where: str, check: Callable[..., str] | None = None
    ) -> None:
        self._function, self._part, self._where, self._check = function, part, where, check

    def __call__(self, *arguments: Any) -> Any:
        try:
            result = self._function(*arguments)
            if self._check and (fault := self._check(*arguments, result)):
                raise misbuilt(self._part, fault)
        except Exception as error:
            blame(error, self._part, self._where)
            raise
        return result


class BlamingObject:
    """An object that a part made: what its methods raise carries the part's name. All else of it is as it is.

    made: the object itself, for what others do with it, such as copying and merging
    """

    def __init__(self, made: Any, part: Part, where: str, methods: Iterable[str]) -> None:
        self.made = made
        for name in methods:
            setattr(self, name, Blaming(getattr(made, name), part, where))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.made, name)


def named(part: Part) -> str:
    """Return a part's name with the plugin that it is from: `'sgd' of ftrun-optim 0.1.0`."""
    return f"{getattr(part, part.tag)!r} of {_origin(type(part))}"


def _origin(part: type[Part]) -> str:
    module = part.__module__
    for entry_point in entry_points():
        if module == entry_point.value or module.startswith(f"{entry_point.value}."):
            return f"{entry_point.distribution} {entry_point.version}"
    file = getattr(sys.modules.get(module), "__file__", None)  # local parts
    return Path(file).name if file else module


def shown(value: Any) -> str:
    """Return in a few words what a value is, for a message: its type and, of a tensor, its shape."""
    if value is None:
        return "None"
    if inspect.isclass(value):
        return f"the class {value.__name__} itself"
    if inspect.isfunction(value) or inspect.ismethod(value):
        return f"the function {value.__name__}"
    shape = getattr(value, "shape", None)
    if shape is not None and hasattr(value, "dtype"):
        return f"{type(value).__name__} {str(value.dtype).removeprefix('torch.')} {list(shape)}"
    if isinstance(value, list | tuple | Mapping):
        return f"{type(value).__name__} of {len(value)}"
    return type(value).__name__
