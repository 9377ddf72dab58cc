"""The commands that plugins bring: found without importing a plugin that has none, imported when they are called."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import click

from ftrun.contracts.commands import CORE_COMMANDS, FIRST_PARTY_COMMANDS, Command
from ftrun.contracts.errors import PluginError
from ftrun.contracts.markers import PROJECT
from ftrun.plugins import installed
from ftrun.plugins.installed import Broken, Plugin, as_broken

_HOOK = "ftrun_commands"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_TARGET = re.compile(r"[\w.]+:\w+")


def checked(offered: Iterable[Any]) -> tuple[Command, ...]:
    """Return what a plugin's hook offers. Raises Broken where one of it is no command, or has a name that is taken."""
    with as_broken(f"{_HOOK} failed"):
        commands = tuple(offered)
    for command in commands:
        if not isinstance(command, Command):
            raise Broken(f"{_HOOK} must offer ftrun.Command(name, help, target), not {command!r}")
        if not _NAME.fullmatch(command.name):
            raise Broken(f"a command's name is lower-case letters, digits and hyphens, unlike {command.name!r}")
        if command.name in CORE_COMMANDS:
            raise Broken(f"{_HOOK} offers {command.name!r}, which is a command of ftrun's own: give it another name")
        if not _TARGET.fullmatch(command.target):
            raise Broken(f'{command.name}: its target is "module:function", unlike {command.target!r}')
        if not command.help.strip() or "\n" in command.help:
            raise Broken(f"{command.name}: its help is one line")
    names = [command.name for command in commands]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise Broken(f"{_HOOK} offers {twice!r} twice")
    return commands


@dataclass(frozen=True)
class Commands:
    """The commands of the installed plugins.

    offers: by name, the plugins that offer it, each with its command
    broken: plugins that offer commands, and cannot be used; left_out: those that FTRUN_PLUGINS leaves out
    """

    offers: dict[str, list[tuple[Plugin, Command]]]
    broken: tuple[Plugin, ...]
    left_out: tuple[Plugin, ...]

    def names(self) -> list[str]:
        """Return the names of the commands that can be called, or that clash."""
        return sorted(self.offers)

    def listed(self) -> list[tuple[str, str, str]]:
        """Return name, help and distribution of each command, by name; of those that clash, each."""
        return [
            (name, command.help, plugin.distribution) for name in self.names() for plugin, command in self.offers[name]
        ]

    def load(self, name: str) -> click.Command:
        """Import a command. Raises PluginError where plugins clash over it, or it is broken."""
        offers = self.offers[name]
        if len(offers) > 1:
            raise PluginError(installed.clash("the command", name, [plugin for plugin, _ in offers]))
        ((plugin, command),) = offers
        try:
            return _imported(command)
        except Broken as broken:
            raise PluginError(f"the command {name!r} of {plugin} is broken: {broken}") from broken.__cause__

    def missing(self, name: str) -> PluginError | None:
        """Return what to say of a command of ours whose plugin is not here; None where it is no command of ours."""
        distribution = FIRST_PARTY_COMMANDS.get(name)
        if distribution is None:
            return None
        return installed.unusable(
            f"the command {name!r} comes from {distribution}", distribution, self.broken, self.left_out
        )


def installed_commands() -> Commands:
    """Find the commands of the installed plugins. Imports only those plugins whose source names the hook."""
    offers: dict[str, list[tuple[Plugin, Command]]] = defaultdict(list)
    broken, left_out = [], []
    for record in installed.records():
        if record.left_out:
            left_out.append(record)
        elif _HOOK in record.source:
            try:
                installed.check_api(record)
                with as_broken("failed to import"):
                    module = installed.imported(record)
                for command in checked(_offered(module)):
                    offers[command.name].append((record, command))
            except Broken as error:
                broken.append(replace(record, error=str(error)))
    return Commands(dict(offers), tuple(broken), tuple(left_out))


def _offered(module: Any) -> Iterable[Any]:
    hook = getattr(module, _HOOK, None)
    if callable(hook) and not hasattr(hook, f"{PROJECT}_impl"):
        raise Broken(installed.unmarked(_HOOK))
    with as_broken(f"{_HOOK} failed"):
        return tuple(hook()) if callable(hook) else ()


def _imported(command: Command) -> click.Command:
    module, _, function = command.target.partition(":")
    with as_broken(f"{command.target} failed to import"):
        loaded = getattr(import_module(module), function)
    if not isinstance(loaded, click.Command):
        raise Broken(f"{command.target} is no click command")
    return loaded
