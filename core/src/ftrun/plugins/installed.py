"""The installed plugins as far as they are known before their modules are imported. Loads nothing of theirs."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ftrun.contracts.commands import Command
from ftrun.contracts.errors import PluginError
from ftrun.plugins import apiversion, selection
from ftrun.plugins.entrypoints import EntryPoint, entry_points

if TYPE_CHECKING:
    from ftrun.contracts.specs import Part
    from ftrun.plugins.localparts import PartsFile


class Broken(Exception):
    """Why a plugin cannot be used; what its own code raised is the cause."""


@contextmanager
def as_broken(what: str) -> Iterator[None]:
    """Raise Broken for whatever a plugin's own code raises, with its cause."""
    try:
        yield
    except Broken:
        raise
    except (Exception, SystemExit) as error:
        message = str(error).partition("\n\nFor further information visit")[0]  # pydantic adds links
        raise Broken(f"{what}: {type(error).__name__}: {message}".rstrip(": ")) from error


@dataclass(frozen=True)
class Plugin:
    """One entry point of an installed distribution: what it offers or, in `error`, why it is broken.

    Local parts are a plugin too: `distribution` is the name of their file.
    """

    distribution: str
    version: str
    entry_point: str
    module: str
    parts: "tuple[type[Part], ...]" = ()
    commands: tuple[Command, ...] = ()
    run_finished: Callable[..., Any] | None = None
    """What it does with a run that has finished."""
    error: str = ""
    warnings: tuple[str, ...] = ()
    """What it uses that is deprecated, and what it loads that is heavy."""
    traceback: str = ""
    """Where in it an exception came from, if that is why it is broken."""
    file: str = ""
    """Where its module is, if that is a file."""
    source: str = field(default="", repr=False)
    """The source of its module, as far as it can be read."""
    api: object = None
    """What it states as FTRUN_API."""
    left_out: bool = False
    """Whether FTRUN_PLUGINS leaves it out: it is installed, and was not imported."""
    local: "PartsFile | None" = None
    """The file, if these are local parts."""

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


def records() -> list[Plugin]:
    """Return every installed plugin, by distribution; `left_out` as FTRUN_PLUGINS says.

    Raises PluginError where FTRUN_PLUGINS names one that is not installed.
    """
    found = entry_points()
    chosen = selection.chosen({each.distribution for each in found})
    return [_record(each, left_out=each.distribution not in chosen) for each in found]


def clash(role: str, name: str, plugins: Sequence[Plugin]) -> str:
    """Return what to say where several plugins offer a part or a command of one name; local parts come last."""
    first, *_, last = plugins
    if last.local:
        remedy = f"Give it another name in {last.distribution}, or uninstall the other: "
        remedy += f"pip uninstall {first.distribution}."
    else:
        others = [plugin for plugin in plugins if plugin.distribution != "ftrun"]  # the core's own stays
        ways = ", or ".join(f"pip uninstall {plugin.distribution}" for plugin in others)
        remedy = f"Uninstall {'one of them' if len(others) > 1 else 'it'}: {ways}."
    return f"{role} {name!r} comes from both {' and '.join(map(str, plugins))}. {remedy}"


def unusable(what: str, distribution: str, broken: Iterable[Plugin], left_out: Iterable[Plugin]) -> PluginError:
    """Return the error for what comes from a distribution that is broken, left out by FTRUN_PLUGINS or not installed.

    what: such as "the command 'x' comes from ftrun-x"
    """
    if reason := next((plugin.error for plugin in broken if plugin.distribution == distribution), None):
        return PluginError(f"{what}, which is broken: {reason}")
    if any(plugin.distribution == distribution for plugin in left_out):
        only = selection.ONLY
        return PluginError(f"{what}, which {only} leaves out. Add it: {only}=...,{distribution}")
    return PluginError(f"{what}, which is not installed. Run: pip install {distribution}")


def unmarked(hook: str) -> str:
    """Return what to say of a hook that a plugin's module has without the mark."""
    return f"{hook} is not marked with @ftrun.hookimpl, so it would never be called"


def imported(plugin: Plugin) -> ModuleType:
    """Import a plugin's module. Raises Broken where the entry point names something else."""
    module, *attributes = plugin.module.split(":")
    found: Any = import_module(module)
    for name in attributes:
        found = getattr(found, name)
    if not isinstance(found, ModuleType):
        raise Broken(f"its entry point must name a module, but {plugin.module!r} is something else")
    return found


def check_api(record: Plugin) -> None:
    """Raise Broken where a plugin states an API that is not this one's."""
    older = f"Change {record.file}" if record.local else f"Upgrade it: pip install --upgrade {record.distribution}"
    if reason := apiversion.mismatch(record.api, older):
        raise Broken(reason)


def _record(entry_point: EntryPoint, *, left_out: bool) -> Plugin:
    spec = apiversion.module_spec(entry_point.value.partition(":")[0])
    source = apiversion.source_of(spec)
    return Plugin(
        entry_point.distribution,
        entry_point.version,
        entry_point.name,
        entry_point.value,
        file=(spec.origin or "") if spec and spec.has_location else "",
        source=source,
        api=apiversion.stated_in(source),
        left_out=left_out,
    )
