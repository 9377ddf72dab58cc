"""What is installed: parts by role and name, who offers them, and who is broken or clashes."""

from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property

from ftrun.errors import PluginError
from ftrun.plugins import Plugin, load_plugins, part_names
from ftrun.specs import ROLES, Part


class Catalogue:
    """The parts of some plugins. A name that two of them offer for one role is left out, and kept in `clashes`."""

    def __init__(self, plugins: Iterable[Plugin]) -> None:
        self.plugins = tuple(plugins)
        offers: dict[tuple[str, str], list[tuple[Plugin, type[Part]]]] = defaultdict(list)
        for plugin in self.plugins:
            for part in plugin.parts:
                for name in part_names(part):
                    offers[part.role, name].append((plugin, part))
        self.clashes = {key: [plugin for plugin, _ in offered] for key, offered in offers.items() if len(offered) > 1}
        self._parts: dict[str, dict[str, type[Part]]] = {role.role: {} for role in ROLES}
        self._owners: dict[tuple[str, str], Plugin] = {}
        for (role, name), offered in sorted(offers.items()):
            if len(offered) == 1:
                self._owners[role, name], self._parts[role][name] = offered[0]

    def parts(self, role: str) -> dict[str, type[Part]]:
        """{name: part} of one role, by name."""
        return self._parts[role]

    def owner(self, role: str, name: str) -> Plugin:
        """The plugin that offers a part."""
        return self._owners[role, name]

    def default(self, role: str) -> str | None:
        """The name of the part that is taken where a spec leaves the role out, if exactly one says it is."""
        names = [name for name, part in self.parts(role).items() if part.default]
        return names[0] if len(names) == 1 else None

    @cached_property
    def broken(self) -> list[Plugin]:
        """The plugins that could not be loaded."""
        return [plugin for plugin in self.plugins if plugin.error]

    def check_clash(self, role: str, name: str) -> None:
        """Raise PluginError where two plugins offer this part."""
        if (role, name) in self.clashes:
            first, second, *_ = self.clashes[role, name]
            raise PluginError(
                f"{role} {name!r} comes from both {first} and {second}. "
                f"Uninstall one of them: pip uninstall {first.distribution}, or pip uninstall {second.distribution}."
            )


def installed() -> Catalogue:
    """The catalogue of what is installed, loaded afresh."""
    return Catalogue(load_plugins())
