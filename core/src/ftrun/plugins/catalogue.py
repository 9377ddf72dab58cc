"""What is installed: parts by role and name, who offers them, and who is broken or clashes."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from ftrun.contracts.errors import PluginError
from ftrun.contracts.specs import ROLES, Part
from ftrun.contracts.targets import Target
from ftrun.plugins import selection
from ftrun.plugins.contract import check_options, part_names
from ftrun.plugins.core import core_plugin
from ftrun.plugins.installed import Broken, Plugin, clash, unusable
from ftrun.plugins.load import LOADING, frames_of, load_local, load_plugins
from ftrun.plugins.localparts import PartsFile
from ftrun.plugins.qualified import MARK, qualified


class Catalogue:
    """The parts of some plugins. A name that two of them offer for one role is left out, and kept in `clashes`.

    clashes: the plugins by role and name; commands have the role "command"
    left_out: those that FTRUN_PLUGINS leaves out, which are not among `plugins`
    """

    def __init__(self, plugins: Iterable[Plugin]) -> None:
        given = tuple(plugins)
        self.plugins = tuple(plugin for plugin in given if not plugin.left_out)
        self.left_out = tuple(plugin for plugin in given if plugin.left_out)
        parts = [
            (part.role, name, plugin, part)
            for plugin in (core_plugin(), *self.plugins)
            for part in plugin.parts
            for name in part_names(part)
        ]
        offers: dict[tuple[str, str], list[Plugin]] = defaultdict(list)
        for role, name, plugin, _ in parts:
            offers[role, name].append(plugin)
        for plugin in self.plugins:
            for command in plugin.commands:
                offers["command", command.name].append(plugin)
        self.clashes = {key: plugins for key, plugins in offers.items() if len(plugins) > 1}
        self._parts: dict[str, dict[str, type[Part]]] = {role.role: {} for role in ROLES}
        self._owners: dict[tuple[str, str], Plugin] = {}
        self._offered: dict[tuple[str, str], tuple[Plugin, type[Part]]] = {}
        """By role, and distribution and name."""
        for role, name, plugin, part in sorted(parts, key=lambda offer: offer[:2]):
            whole = f"{plugin.distribution}{MARK}{name}"
            self._offered[role, whole] = plugin, part
            if (role, name) not in self.clashes:
                self._owners[role, name], self._parts[role][name] = plugin, part
            elif part.tag == "name":
                self._owners[role, whole], self._parts[role][whole] = plugin, qualified(part, whole)

    def parts(self, role: str) -> dict[str, type[Part]]:
        """Return {name: part} of one role, by name; by distribution and name where several have one name."""
        return self._parts[role]

    def part(self, role: str, name: str) -> type[Part] | None:
        """Return a part by its name, or by distribution and name, `ftrun-focal:focal`; None where there is none."""
        part = self._parts[role].get(name)
        if part is None and (role, name) in self._offered:
            part = qualified(self._offered[role, name][1], name)
        return part

    def qualified_names(self, role: str) -> list[str]:
        """Return the names of a role's parts with their distributions before them."""
        return [name for offered, name in self._offered if offered == role]

    def owner(self, role: str, name: str) -> Plugin:
        """Return the plugin that offers a part."""
        return self._owners.get((role, name)) or self._offered[role, name][0]

    def kinds(self, recorded: Iterable[Mapping[str, Any]], names: Iterable[str]) -> list[type[Target]]:
        """Return kinds of target by their names.

        recorded: the `plugins` of resolved.json, which say where they are from

        Raises PluginError for one that is not installed, broken or offered twice.
        """
        found: list[type[Target]] = []
        for name in names:
            self.check_clash("target", name)
            part = self.parts("target").get(name)
            if part is None:
                raise self._no_kind(name, recorded)
            assert issubclass(part, Target)
            found.append(part)
        return found

    def _no_kind(self, name: str, recorded: Iterable[Mapping[str, Any]]) -> PluginError:
        what = f"this run predicts a target of the kind {name!r}"
        for each in recorded:
            if (each.get("role"), each.get("name")) == ("target", name):
                origin = f"{what}, which comes from {each['distribution']} {each['version']}"
                return unusable(origin, each["distribution"], self.broken, self.left_out)
        return PluginError(f"{what}, which no installed plugin offers.{self.not_here}")

    def default(self, role: str) -> str | None:
        """Return the name of the part that is taken where a spec leaves the role out, if exactly one says it is."""
        names = [name for name, part in self.parts(role).items() if part.default]
        return names[0] if len(names) == 1 else None

    @cached_property
    def broken(self) -> list[Plugin]:
        """The plugins that could not be loaded."""
        return [plugin for plugin in self.plugins if plugin.error]

    @property
    def local(self) -> PartsFile | None:
        """The file of local parts, if there is one."""
        return next((plugin.local for plugin in self.plugins if plugin.local), None)

    @property
    def not_here(self) -> str:
        """The plugins that might offer what is not found: lines to put after a message, or nothing."""
        lines = ""
        if self.broken:
            listed = "\n".join(f"  {plugin}: {plugin.error}" for plugin in self.broken)
            lines += f"\nThese plugins are installed but broken, and might offer it:\n{listed}"
        if self.left_out:
            listed = ", ".join(sorted({plugin.distribution for plugin in self.left_out}))
            lines += f"\nThese plugins are installed but left out by {selection.ONLY}, and might offer it: {listed}"
        return lines

    def check_clash(self, role: str, name: str) -> None:
        """Raise PluginError where two plugins offer this part."""
        if (role, name) in self.clashes:
            plugins = self.clashes[role, name]
            wholes = [f"{each.distribution}{MARK}{name}" for each in plugins]
            ways = " or ".join(f'"{whole}"' for whole in wholes if whole in self._parts.get(role, ()))
            remedy = f" To keep both, say which one is meant: {ways}." if ways else ""
            raise PluginError(clash(role, name, plugins) + remedy)

    def checked(self) -> "Catalogue":
        """Return the catalogue in which a plugin is broken, too, where options of a part of it cannot be checked."""
        return Catalogue([*map(_checked, self.plugins), *self.left_out])

    def check_all(self) -> None:
        """Raise PluginError where anything is broken or clashes, whether or not it is needed."""
        faults = [f"{plugin}: {plugin.error}" for plugin in self.broken]
        faults += [clash(role, name, plugins) for (role, name), plugins in self.clashes.items()]
        if faults:
            listed = "".join(f"\n  {fault}" for fault in faults)
            raise PluginError(f"{selection.STRICT} refuses what is broken or clashes:{listed}")


def installed(local: PartsFile | None = None) -> Catalogue:
    """Return the catalogue of what is installed, loaded afresh, and of a file of local parts.

    Raises PluginError where the local parts are broken, and where FTRUN_STRICT_PLUGINS is set and anything is.
    """
    strict = selection.is_strict()
    catalogue = as_found(local).checked() if strict else as_found(local)
    for plugin in catalogue.broken:
        if plugin.local:  # named on purpose, so needed
            raise PluginError(f"{plugin.file}{_line(plugin)}: {plugin.error}")
    if strict:
        catalogue.check_all()
    return catalogue


def as_found(local: PartsFile | None = None) -> Catalogue:
    """Return the same, but what is broken is only listed, also where `installed` refuses it."""
    with LOADING:
        return Catalogue([*load_plugins(), *([_checked(load_local(local))] if local else [])])


def _checked(plugin: Plugin) -> Plugin:
    try:
        for part in plugin.parts:
            check_options(part)
    except Broken as broken:
        nothing: dict[str, Any] = {"parts": (), "commands": (), "run_finished": None}
        return replace(plugin, **nothing, error=str(broken), traceback=frames_of(broken.__cause__))
    return plugin


def _line(plugin: Plugin) -> str:
    """Return `:12`, where a line of local parts raised what broke them."""
    lines = re.findall(rf'File ".*{re.escape(plugin.distribution)}", line (\d+)', plugin.traceback)
    return f":{lines[-1]}" if lines else ""
