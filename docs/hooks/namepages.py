"""Pages of the reference: the public names of `ftrun`, and what `ftrun.commands` and `ftrun_devkit` add."""

import inspect
from importlib import import_module
from typing import Any

from markup import cell, code, table

PATH = "reference/names.md"
_MODULES = {
    "ftrun": "For plugins, and for the use of runs [from Python](../guide/python.md).",
    "ftrun.commands": "What plugins with [commands](../plugins/command.md) of their own build on.",
    "ftrun_devkit": "For [tests of plugins](../plugins/testing.md); a distribution of its own.",
}


def pages() -> dict[str, str]:
    """Return {path: Markdown} of one page: each name with its signature and the first line of its docstring."""
    sections = [f"## {module}\n\n{text}\n\n{_names(module)}" for module, text in _MODULES.items()]
    return {PATH: "# Public names\n\n" + "\n\n".join(sections) + "\n"}


def _names(module: str) -> str:
    loaded = import_module(module)
    members = {name: getattr(loaded, name) for name in sorted(loaded.__all__, key=str.lower)}
    return table(("name", ""), [(code(_declared(name, member)), _summary(member)) for name, member in members.items()])


def _declared(name: str, member: Any) -> str:
    """Return a function's name with the names of its arguments; of all else, the name."""
    if not inspect.isfunction(member):
        return name
    parameters = inspect.signature(member).parameters.values()
    return f"{name}({', '.join(each.name if each.default is each.empty else f'{each.name}=' for each in parameters)})"


def _summary(member: Any) -> str:
    is_documented = inspect.isclass(member) or inspect.isfunction(member)
    return cell((inspect.getdoc(member) or "").partition("\n")[0]) if is_documented else ""
