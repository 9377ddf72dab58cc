"""What holds for commands."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click

from ftrun.devtools import HEAVY
from ftrun_devkit.subject import CommandSubject, expect, fail
from ftrun_devkit.suite import holds_for

_HELP = """
import importlib, sys
sys.path[:0] = {path!r}
importlib.import_module({plugin!r})
command = getattr(importlib.import_module({module!r}), {function!r})
from click.testing import CliRunner
result = CliRunner().invoke(command, ["--help"])
assert result.exit_code == 0, result.output
print(*sorted({heavy!r} & set(sys.modules)))
"""


@holds_for("command")
def loads(subject: CommandSubject, place: Path) -> None:
    """Its target is a click command that can be imported."""
    _loaded(subject)


@holds_for("command", name="import-light")
def answers_help_light(subject: CommandSubject, place: Path) -> None:
    """Importing the plugin and the command, and showing `--help`, loads nothing heavy."""
    path = [each or os.getcwd() for each in sys.path]
    module, _, function = subject.command.target.partition(":")
    code = _HELP.format(path=path, plugin=subject.plugin.module, module=module, function=function, heavy=set(HEAVY))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        reason = done.stderr.strip().rpartition("\n")[2]
        fail(f"in a fresh process `--help` fails: {reason}", "Let it import by itself, wherever it is.")
    loaded = done.stdout.split()
    expect(
        not loaded,
        f"ftrun {subject.name} --help loads {', '.join(loaded)}.",
        "Import it inside the function, and under TYPE_CHECKING for annotations, which then stand in quotes.",
    )


@holds_for("command", name="docstring")
def says_what_it_does(subject: CommandSubject, place: Path) -> None:
    """It says in its function's docstring what it does, for `--help`."""
    expect(
        bool((_loaded(subject).help or "").strip()),
        f"ftrun {subject.name} --help says nothing of it.",
        "Say in the docstring of its function what it does, with its arguments in capital letters.",
    )


@holds_for("command", name="options-described")
def options_have_help(subject: CommandSubject, place: Path) -> None:
    """Every option has a help text."""
    options = [each for each in _loaded(subject).params if isinstance(each, click.Option)]
    without = [each.opts[-1] for each in options if not (each.help or "").strip()]
    expect(
        not without,
        f"these options have no help: {', '.join(without)}.",
        'Write each as `click.option("--top", help="What it does.")`.',
    )


def _loaded(subject: CommandSubject) -> click.Command:
    target = subject.command.target
    module, _, function = target.partition(":")
    try:
        command = getattr(import_module(module), function)
    except (Exception, SystemExit) as error:
        fail(f"{target} failed to import: {type(error).__name__}: {error}.", "Let the module import by itself.")
    if not isinstance(command, click.Command):
        fail(f"{target} is no click command.", "Mark the function with @click.command().")
    return command
