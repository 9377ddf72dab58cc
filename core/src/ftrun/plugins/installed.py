"""The installed plugins as far as they are known before their modules are imported. Loads nothing of theirs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ftrun.contracts.commands import Command
from ftrun.plugins import apiversion, selection

if TYPE_CHECKING:
    from ftrun.contracts.specs import Part
    from ftrun.plugins.localparts import PartsFile

GROUP = "ftrun"


class Broken(Exception):
    """Why a plugin cannot be used; what its own code raised is the cause."""


@contextmanager
def as_broken(what: str) -> Iterator[None]:
    """Whatever a plugin's own code raises is a fault of the plugin, with its cause."""
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
    api: object = None
    """What it states as FTRUN_API."""
    left_out: bool = False
    """Whether FTRUN_PLUGINS leaves it out: it is installed, and was not imported."""
    local: "PartsFile | None" = None
    """The file, if these are local parts."""

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


def records() -> list[tuple[Plugin, EntryPoint]]:
    """Return every installed plugin, by distribution, with its entry point; `left_out` as FTRUN_PLUGINS says.

    Raises PluginError where FTRUN_PLUGINS names one that is not installed.
    """
    pairs = [(_record(entry_point), entry_point) for entry_point in entry_points(group=GROUP)]
    pairs.sort(key=lambda pair: (pair[0].distribution, pair[0].entry_point))
    chosen = selection.chosen({record.distribution for record, _ in pairs})
    return [(replace(record, left_out=record.distribution not in chosen), each) for record, each in pairs]


def source(record: Plugin) -> str:
    """Return the source of a plugin's module, as far as it can be read; it is not imported."""
    return apiversion.source_of(apiversion.module_spec(record.module.partition(":")[0]))


def import_module(entry_point: EntryPoint) -> ModuleType:
    """Import a plugin's module. Raises Broken where the entry point names something else."""
    module = entry_point.load()
    if not isinstance(module, ModuleType):
        raise Broken(f"its entry point must name a module, but {entry_point.value!r} is something else")
    return module


def check_api(record: Plugin) -> None:
    """Raise Broken where a plugin states an API that is not this one's."""
    older = f"Change {record.file}" if record.local else f"Upgrade it: pip install --upgrade {record.distribution}"
    if reason := apiversion.mismatch(record.api, older):
        raise Broken(reason)


def _record(entry_point: EntryPoint) -> Plugin:
    distribution, version = _name_and_version(entry_point)
    spec = apiversion.module_spec(entry_point.module)
    stated = apiversion.stated_in(apiversion.source_of(spec))
    file = spec.origin if spec and spec.has_location else None
    return Plugin(distribution, version, entry_point.name, entry_point.value, file=file or "", api=stated)


def _name_and_version(entry_point: EntryPoint) -> tuple[str, str]:
    metadata = dict(entry_point.dist.metadata.items()) if entry_point.dist else {}  # type: ignore[attr-defined]
    return metadata.get("Name", "(unnamed)"), metadata.get("Version", "(no version)")
