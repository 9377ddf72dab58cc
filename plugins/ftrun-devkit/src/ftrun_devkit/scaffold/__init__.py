"""What `ftrun new-plugin` makes: a distribution with one working part or command, and its tests."""

import keyword
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path

from ftrun import Exporter, FtrunError, Hub, SpecError, Target, did_you_mean
from ftrun.devtools import CORE_COMMANDS, FIRST_PARTY_COMMANDS, ROLE_OF_HOOK, SLOTS, Catalogue, Plugin, as_found
from ftrun_devkit.scaffold.texts import COMMAND_TEST, PYPROJECT, README, TEST

_PREFIX = "ftrun-"
_COMMAND = "command"
_USED_AS = {
    Exporter.role: "ftrun export RUN --format {}",
    Hub.role: "ftrun push RUN REPOSITORY --to {}",
    _COMMAND: "ftrun {} RUN",
}
"""How what is no key of a spec is used."""
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_NEEDS = {
    "click": "click>=8.1",
    "ftrun_export": "ftrun-export",
    "ftrun_inputs": "ftrun-inputs",
    "torch": "torch>=2.11",
}
"""What a template may import that a plugin has to state as its own dependency."""
_LONGEST = 40  # characters; then every line of the module stays as short as it should be


@dataclass(frozen=True)
class NewPlugin:
    """A plugin that has just been made."""

    role: str
    name: str
    folder: Path
    fragment: str
    """The key of a spec that uses it: `"optimizer": "lion"`; of others, the command."""

    @property
    def use(self) -> str:
        """Where the fragment goes."""
        if self.role == Target.role:
            return "In a dataset"
        return "On the command line" if self.role in _USED_AS else "In a spec"

    @property
    def language(self) -> str:
        """What the fragment is written in."""
        if self.role == Target.role:
            return "python"
        return "sh" if self.role in _USED_AS else "json"


def new_plugin(role: str, name: str, into: Path) -> NewPlugin:
    """Make the folder `ftrun-<name>` in the folder `into`, with a plugin that offers one part of `role`, or a command.

    Raises SpecError for a role that there is not, for a name that will not do or is taken, and where the folder exists;
    FtrunError where it cannot be written. Then nothing has changed.
    """
    role = _role(role)
    name = _name(name)
    _check_free(role, name, as_found())
    folder = into / f"{_PREFIX}{name}"
    if not os.path.isdir(into):  # unlike Path's, these two take what may not be looked at for what is not there
        raise SpecError(f"--into {into}: there is no such folder.")
    if os.path.lexists(folder):
        raise SpecError(f"{folder}: exists already, and is left as it is. Choose another name, or remove it.")
    made = NewPlugin(role, name, folder, _fragment(role, name))
    _write(folder, _files(made))
    return made


def _role(name: str) -> str:
    """Return the role that goes by `name`: its own, its key in a spec, or its plural."""
    if name in (_COMMAND, f"{_COMMAND}s"):
        return _COMMAND
    keys = {slot.role.role: slot.key for slot in SLOTS}
    for hook, role in ROLE_OF_HOOK.items():
        if name in (role.role, keys.get(role.role), hook.removeprefix("ftrun_")):
            return role.role
    roles = [*(role.role for role in ROLE_OF_HOOK.values()), _COMMAND]
    raise SpecError(f"no role named {name!r}.{did_you_mean(name, roles)} Roles: {', '.join(roles)}.")


def _name(given: str) -> str:
    """The plugin's name, without `ftrun-`. Raises SpecError where it will not do."""
    name = given.removeprefix(_PREFIX)
    if not _NAME.fullmatch(name):
        near = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")
        hint = f" Did you mean {near!r}?" if _NAME.fullmatch(near) else ""
        raise SpecError(
            f"{given!r} is no name for a plugin: it has to be lower-case letters and digits, in parts joined by '-', "
            f"and begin with a letter.{hint}"
        )
    if len(name) > _LONGEST:
        raise SpecError(f"{given!r} is too long for a plugin's name: at most {_LONGEST} characters.")
    if keyword.iskeyword(name):
        raise SpecError(f"{given!r} is no name for a plugin: it is a word of Python's own. Choose another name.")
    return name


def _check_free(role: str, name: str, catalogue: Catalogue) -> None:
    """Raise SpecError where the distribution is installed, or the name of the part or command is taken."""
    distribution = f"{_PREFIX}{name}"
    try:
        version = metadata.version(distribution)
    except metadata.PackageNotFoundError:
        pass
    else:
        raise SpecError(f"{distribution} {version} is installed already. Choose another name.")
    catalogue.check_clash(role, name)
    if role == _COMMAND and name in (*CORE_COMMANDS, *FIRST_PARTY_COMMANDS):
        raise SpecError(f"{name!r} is a command of ftrun's own. Choose another name.")
    if owner := _owner(role, name, catalogue):
        raise SpecError(f"{owner} offers {role} {name!r} already, and two of a name clash. Choose another name.")


def _owner(role: str, name: str, catalogue: Catalogue) -> Plugin | None:
    if role != _COMMAND:
        return catalogue.owner(role, name) if name in catalogue.parts(role) else None
    owners = (plugin for plugin in catalogue.plugins if name in [each.name for each in plugin.commands])
    return next(owners, None)


def _fragment(role: str, name: str) -> str:
    if role == Target.role:
        return f'ftrun.Splits(..., targets={{"label": {_class_of(role, name)}()}})'
    if role in _USED_AS:
        return _USED_AS[role].format(name)
    slot = next(slot for slot in SLOTS if slot.role.role == role)
    return f'"{slot.key}": ["{name}"]' if slot.many else f'"{slot.key}": "{name}"'


def _files(plugin: NewPlugin) -> dict[str, str]:
    """The text of each file, by its path in the plugin's folder."""
    module = f"ftrun_{plugin.name.replace('-', '_')}"
    template = resources.files(__name__).joinpath("templates", f"{plugin.role}.py").read_text(encoding="utf-8")
    code = re.sub(r"\btemplate\b", plugin.name, template)
    code = re.sub(r"\bTemplate\b", _class_of(plugin.role, plugin.name), code)
    needs = [each for name, each in _NEEDS.items() if re.search(rf"(from|import) {name}", code)]
    values = {
        "distribution": plugin.folder.name,
        "name": plugin.name,
        "module": module,
        "summary": f"{plugin.role.capitalize()} `{plugin.name}` for ftrun.",
        "dependencies": "\n".join(f'    "{each}",' for each in ("ftrun", *needs)),
        "use": plugin.use,
        "shows": f"ftrun plugins {plugin.name}" if plugin.role != _COMMAND else f"ftrun {plugin.name} --help",
        "language": plugin.language,
        "fragment": plugin.fragment,
    }
    tests = {"tests/test_command.py": COMMAND_TEST.format_map(values)} if plugin.role == _COMMAND else {}
    return {
        "pyproject.toml": PYPROJECT.format_map(values),
        "README.md": README.format_map(values),
        f"{module}.py": code,
        "tests/test_contract.py": TEST.format_map(values),
        **tests,
    }


def _class_of(role: str, name: str) -> str:
    """`PolyLoss` for the loss `poly`: with its role at the end, it is no word of Python's or of the module's own."""
    return "".join(word.capitalize() for word in name.split("-")).removesuffix(role.capitalize()) + role.capitalize()


def _write(folder: Path, files: Mapping[str, str]) -> None:
    """Write a folder whole or not at all: beside its place, then renamed. Raises FtrunError where that cannot be."""
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.new")
    try:
        for path, text in files.items():
            (beside / path).parent.mkdir(parents=True, exist_ok=True)
            (beside / path).write_text(text, encoding="utf-8")
        beside.rename(folder)
    except OSError as error:
        raise FtrunError(f"{folder}: cannot be written: {error.strerror}. Nothing was left behind.") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)  # gone already, unless something went wrong
