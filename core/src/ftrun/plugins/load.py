"""Installed plugins: found by entry point, loaded one by one, each failure kept with its cause. So are local parts."""

import importlib
import os
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import RLock
from types import ModuleType

import pluggy
import pydantic

from ftrun.contracts import hooks
from ftrun.plugins import apiversion, heavy
from ftrun.plugins.commands import checked
from ftrun.plugins.contract import check_hooks, implementations, offered, offered_by, register
from ftrun.plugins.contract import part_names as part_names
from ftrun.plugins.installed import Broken, Plugin, as_broken, check_api, imported, records
from ftrun.plugins.localparts import PartsFile

LOADING = RLock()
"""Held by the thread that loads plugins: their modules, and Python 3.11's parser, stand one thread at a time."""

# Between a plugin's mistake and ours to catch it.
_MACHINERY = tuple(
    str(Path(file).parent) + os.sep
    for file in (str(Path(__file__).parent), importlib.__file__, pluggy.__file__, pydantic.__file__)
)


def load_plugins() -> list[Plugin]:
    """Return every installed plugin, by distribution; the broken ones too, and those that FTRUN_PLUGINS leaves out.

    Raises PluginError where FTRUN_PLUGINS names one that is not installed.
    """
    manager = _manager()
    return [record if record.left_out else _loaded(manager, record, partial(imported, record)) for record in records()]


def load_local(file: PartsFile) -> Plugin:
    """Return the parts of a project's own file, under the same contract as an installed plugin's."""
    text = file.source.decode(errors="replace")
    stated = apiversion.stated_in(text)
    record = Plugin(
        file.name, "(local)", file.module, file.module, file=str(file.path), source=text, api=stated, local=file
    )
    return _loaded(_manager(), record, file.load)


class _Manager(pluggy.PluginManager):
    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        """Look at what has a hook's name alone: `check_hooks` refuses others, and modules have many names."""
        return super().parse_hookimpl_opts(plugin, name) if name in hooks.HOOKS else None


def _manager() -> pluggy.PluginManager:
    manager = _Manager(hooks.PROJECT)
    manager.add_hookspecs(type("Hooks", (), hooks.HOOKS))
    return manager


def _loaded(manager: pluggy.PluginManager, record: Plugin, load: Callable[[], ModuleType]) -> Plugin:
    """Return the record of a plugin with its parts or, if it is broken, with the reason."""
    before = heavy.loaded()
    try:
        check_api(record)  # before the import: what is written for another API may do anything
        with as_broken("failed to import"):
            module = load()
        if record.api is None:  # it may be said in a way that only running it tells
            record = replace(record, api=vars(module).get(apiversion.STATED))
            check_api(record)
        check_hooks(module)
        if other := manager.get_name(module):
            raise Broken(f"its module is offered by {other.partition(':')[0]} already")
        with as_broken("failed to register"):
            # pluggy drops a second plugin of the same name without a word, so the distribution is part of the name.
            deprecated = register(manager, module, f"{record.distribution}:{record.entry_point}")
        record = replace(record, warnings=(*deprecated, *heavy.warning(before, record.source)))
        implemented = implementations(manager, module)
        return replace(
            record,
            parts=tuple(offered(implemented)),
            commands=checked(offered_by(implemented, hooks.COMMANDS)),
            run_finished=implemented.get(hooks.RUN_FINISHED),
        )
    except Broken as broken:
        return replace(record, error=str(broken), traceback=frames_of(broken.__cause__))


def frames_of(error: BaseException | None) -> str:
    """Return the traceback of what a plugin raised: its own frames, not those that led to them."""
    if error is None:
        return ""
    told = traceback.TracebackException.from_exception(error)
    each: traceback.TracebackException | None = told
    while each:
        frames = [frame for frame in each.stack if not frame.filename.startswith((*_MACHINERY, "<frozen importlib"))]
        each.stack = traceback.StackSummary.from_list(frames)
        each = each.__cause__ or each.__context__
    return "".join(told.format()).rstrip()
