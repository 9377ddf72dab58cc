"""The suite: which properties hold for which role, and a check for each part and property."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ftrun import InputSpec, PluginError, SpecError, did_you_mean
from ftrun.devtools import ROLE_OF_HOOK, Plugin, load_plugins, part_names
from ftrun_devkit.subject import CommandSubject, ContractError, Fault, Options, Subject

Holds = Callable[[Any, Path], None]

_ROLES = tuple(role.role for role in ROLE_OF_HOOK.values())
_MODULES = (
    "part", "dataset", "net", "backbone", "modifier", "head", "augmentation", "training", "metric", "observer",
    "exporter", "hub", "target", "recipe", "command",
)  # fmt: skip
_PROPERTIES: dict[str, list["Property"]] = {role: [] for role in (*_ROLES, CommandSubject.role)}


@dataclass(frozen=True)
class Property:
    """Something that holds for every part of a role, or for every command; its function raises Fault where it does not.

    The function's docstring says what holds.
    """

    name: str
    holds: Holds

    @property
    def says(self) -> str:
        """The property in a sentence."""
        return (self.holds.__doc__ or "").strip().partition("\n")[0]


def holds_for(*roles: str, name: str | None = None) -> Callable[[Holds], Holds]:
    """Mark a function as a property of parts of these roles, or of all roles, or of commands; it goes by its own name
    if none is given."""

    def mark(function: Holds) -> Holds:
        for role in roles or _ROLES:
            _PROPERTIES[role].append(Property(name or function.__name__.replace("_", "-"), function))
        return function

    return mark


def properties_of(role: str) -> list[Property]:
    """The properties of a role, those of every part first."""
    for module in _MODULES:
        import_module(f"ftrun_devkit.properties.{module}")
    return _PROPERTIES[role]


@dataclass(frozen=True)
class Check:
    """One property of one part, or of one command."""

    subject: Subject | CommandSubject
    property: Property

    def __str__(self) -> str:
        return f"{self.subject.name}-{self.property.name}"

    def run(self, place: Path) -> None:
        """Raise ContractError, with part, property, what is wrong and the mend; `place` is an empty folder."""
        __tracebackhide__ = True  # under pytest the message says it all
        try:
            self.property.holds(self.subject, place)
        except Fault as fault:
            raise ContractError(self._message(fault.found, fault.mend)) from None
        except (Exception, SystemExit) as error:
            found = f"{type(error).__name__}: {error}".rstrip(":. ")
            raise ContractError(
                self._message(f"raised {found}.", f"It has to hold that: {self.property.says}")
            ) from error

    def _message(self, found: str, mend: str) -> str:
        subject = self.subject
        return f"{subject.plugin}, {subject.role} {subject.name!r}, {self.property.name}: {found}\n  Mend: {mend}"


def checks_of(
    plugin: Plugin,
    *,
    options: Mapping[str, Options] | None = None,
    input: Mapping[str, Any] | None = None,  # noqa: A002  (the spec's word)
    backbone: Any = "tiny-net",
    parts: Sequence[str] = (),
    installed: Sequence[Plugin] = (),
    dataset: Any = None,
    input_type: type[InputSpec] | None = None,
) -> list[Check]:
    """Return every check of a plugin's parts and commands; see `check_plugin` for the arguments."""
    given = dict(options or {})
    names = [name for part in plugin.parts for name in part_names(part)]
    commands = [CommandSubject(plugin, each) for each in plugin.commands if not parts]
    for name in (*given, *parts):
        if name not in names:
            raise SpecError(
                f"{plugin} has no part named {name!r}.{did_you_mean(name, names)} Its parts: {', '.join(names)}."
            )
    subjects = [
        Subject(plugin, part, name, given.get(name, {}), input or {}, backbone, installed, dataset, input_type)
        for part in plugin.parts
        for name in part_names(part)
        if not parts or name in parts
    ]
    of_parts = [
        Check(subject, each)
        for subject in subjects
        for each in properties_of(subject.role)
        if not subject.lacks or each.name == "defaults-build"  # which says what is lacking; nothing else can be tried
    ]
    return of_parts + [Check(command, each) for command in commands for each in properties_of(command.role)]


def find_plugin(name: str, installed: Sequence[Plugin]) -> Plugin:
    """The plugin of that module or distribution. Raises PluginError where it is not installed, or is broken."""
    wanted = name.replace("_", "-").lower()
    found = [
        each
        for each in installed
        if each.module == name or each.distribution.replace("_", "-").lower() in (wanted, f"ftrun-{wanted}")
    ]
    if found and found[0].left_out:
        raise PluginError(f"{found[0]} is left out by FTRUN_PLUGINS.")
    if not found:
        known = [known for each in installed for known in (each.distribution, each.module)]
        raise PluginError(
            f"no installed plugin is called {name!r}.{did_you_mean(name, known)} Install it first: pip install -e ."
        )
    if found[0].error:
        raise PluginError(f"{found[0]} is broken: {found[0].error}")
    if not (found[0].parts or found[0].commands):
        raise PluginError(
            f"{found[0]} offers no parts and no commands: a function such as ftrun_losses, marked @ftrun.hookimpl, "
            "does."
        )
    return found[0]


def check_plugin(
    module: str,
    *,
    options: Mapping[str, Options] | None = None,
    input: Mapping[str, Any] | None = None,  # noqa: A002  (the spec's word)
    backbone: Any = "tiny-net",
    parts: Sequence[str] = (),
    dataset: Any = None,
    input_type: type[InputSpec] | None = None,
) -> Callable[..., None]:
    """A test function for pytest: one test for each property of each part and command of an installed plugin.

        test_contract = check_plugin("ftrun_mynet")

    module: the one that the plugin's entry point names
    options: {part's name: its options}, for parts whose defaults do not do: those that need data on disk, or would
        download weights. In place of options it may be a function that makes them, given a folder to put data in.
    input: a spec's `input`, such as {"size": 64}, to make backbones quicker
    backbone: the part that modifiers, heads and exporters are tried on, as a spec names it
    dataset: the part that backbones and modifiers learn from, as a spec names it, or a function that gives it for a
        folder to put data in; made-up inputs, `InputSpec.example`, if not given
    input_type: the class of the inputs that datasets and augmentations are for, made with the fields of `input`; the
        one of a backbone for their kind if not given
    parts: names of the parts to check, if not all and the commands too: sizes that are slow to build may have a test of
        their own
    """
    import pytest

    installed = load_plugins()
    try:
        plugin = find_plugin(module, installed)
        checks = checks_of(
            plugin,
            options=options,
            input=input,
            backbone=backbone,
            parts=parts,
            installed=installed,
            dataset=dataset,
            input_type=input_type,
        )
    except (PluginError, SpecError) as reason:
        message = str(reason)

        def test_contract() -> None:
            raise ContractError(message)

        return test_contract

    @pytest.mark.parametrize("check", checks, ids=str)
    def test_contract_of(check: Check, tmp_path: Path) -> None:
        __tracebackhide__ = True
        check.run(tmp_path)

    return test_contract_of
