"""Installed plugins: found by entry point, loaded one by one, each failure kept with its cause. So are local parts."""

import importlib
import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

import pluggy
import pydantic

from ftrun.contracts import hooks
from ftrun.contracts.specs import Part
from ftrun.plugins import apiversion, heavy, selection
from ftrun.plugins.contract import Broken, as_broken, check_hooks, offered, register
from ftrun.plugins.contract import part_names as part_names
from ftrun.plugins.localparts import PartsFile

GROUP = "ftrun"
# Between a plugin's mistake and ours to catch it.
_MACHINERY = tuple(
    str(Path(file).parent) + os.sep
    for file in (str(Path(__file__).parent), importlib.__file__, pluggy.__file__, pydantic.__file__)
)


@dataclass(frozen=True)
class Plugin:
    """One entry point of an installed distribution: what it offers or, in `error`, why it is broken.

    Local parts are a plugin too: `distribution` is the name of their file.
    """

    distribution: str
    version: str
    entry_point: str
    module: str
    parts: tuple[type[Part], ...] = ()
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
    local: PartsFile | None = None
    """The file, if these are local parts."""

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


def load_plugins() -> list[Plugin]:
    """Every installed plugin, by distribution; the broken ones too, and those that FTRUN_PLUGINS leaves out.

    Raises PluginError where FTRUN_PLUGINS names one that is not installed.
    """
    manager = _manager()
    found = [(_record(entry_point), entry_point) for entry_point in entry_points(group=GROUP)]
    chosen = selection.chosen({record.distribution for record, _ in found})
    plugins = [
        _loaded(manager, record, partial(_import, entry_point))
        if record.distribution in chosen
        else replace(record, left_out=True)
        for record, entry_point in found
    ]
    return sorted(plugins, key=lambda plugin: (plugin.distribution, plugin.entry_point))


def load_local(file: PartsFile) -> Plugin:
    """The parts of a project's own file, under the same contract as an installed plugin's."""
    record = Plugin(file.name, "(local)", file.module, file.module, file=str(file.path), local=file)
    stated = apiversion.stated_in(file.source.decode(errors="replace"))
    return _loaded(_manager(), replace(record, api=stated), file.load)


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    return manager


def _record(entry_point: EntryPoint) -> Plugin:
    """What is known of a plugin before it is imported."""
    distribution, version = _name_and_version(entry_point)
    spec = apiversion.module_spec(entry_point.module)
    stated = apiversion.stated_in(apiversion.source_of(spec))
    file = spec.origin if spec and spec.has_location else None
    return Plugin(distribution, version, entry_point.name, entry_point.value, file=file or "", api=stated)


def _name_and_version(entry_point: EntryPoint) -> tuple[str, str]:
    metadata = dict(entry_point.dist.metadata.items()) if entry_point.dist else {}  # type: ignore[attr-defined]
    return metadata.get("Name", "(unnamed)"), metadata.get("Version", "(no version)")


def _loaded(manager: pluggy.PluginManager, record: Plugin, import_module: Callable[[], ModuleType]) -> Plugin:
    """The record of a plugin with its parts or, if it is broken, with the reason."""
    before = heavy.loaded()
    try:
        _check_api(record)  # before the import: what is written for another API may do anything
        with as_broken("failed to import"):
            module = import_module()
        if record.api is None:  # it may be said in a way that only running it tells
            record = replace(record, api=vars(module).get(apiversion.STATED))
            _check_api(record)
        check_hooks(module)
        if other := manager.get_name(module):
            raise Broken(f"its module is offered by {other.partition(':')[0]} already")
        with as_broken("failed to register"):
            # pluggy drops a second plugin of the same name without a word, so the distribution is part of the name.
            deprecated = register(manager, module, f"{record.distribution}:{record.entry_point}")
        source = record.local.source.decode(errors="replace") if record.local else _source(record)
        record = replace(record, warnings=(*deprecated, *heavy.warning(before, source)))
        return replace(record, parts=tuple(offered(manager, module)))
    except Broken as broken:
        return replace(record, error=str(broken), traceback=_frames(broken.__cause__))


def _source(record: Plugin) -> str:
    return apiversion.source_of(apiversion.module_spec(record.module.partition(":")[0]))


def _check_api(record: Plugin) -> None:
    older = f"Change {record.file}" if record.local else f"Upgrade it: pip install --upgrade {record.distribution}"
    if reason := apiversion.mismatch(record.api, older):
        raise Broken(reason)


def _import(entry_point: EntryPoint) -> ModuleType:
    module = entry_point.load()
    if not isinstance(module, ModuleType):
        raise Broken(f"its entry point must name a module, but {entry_point.value!r} is something else")
    return module


def _frames(error: BaseException | None) -> str:
    """The traceback of what a plugin raised: its own frames, not those that led to them."""
    if error is None:
        return ""
    told = traceback.TracebackException.from_exception(error)
    each: traceback.TracebackException | None = told
    while each:
        frames = [frame for frame in each.stack if not frame.filename.startswith((*_MACHINERY, "<frozen importlib"))]
        each.stack = traceback.StackSummary.from_list(frames)
        each = each.__cause__ or each.__context__
    return "".join(told.format()).rstrip()
