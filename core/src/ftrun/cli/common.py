"""Options and answers that commands share. Loads nothing heavy."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ftrun.contracts.errors import located
from ftrun.contracts.numbers import to_json
from ftrun.contracts.paths import expand_path
from ftrun.contracts.printable import printable_lines

if TYPE_CHECKING:
    from ftrun.plugins.localparts import PartsFile
    from ftrun.spec.read import CheckedSpec


class _UserPath(click.Path):
    """A path whose leading `~` is the home folder: shells leave that of `--out=~/run` alone."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return expand_path(os.fsdecode(super().convert(value, param, ctx)))


PATH = _UserPath()
SPEC = click.argument("spec", type=PATH)
RUN = click.argument("run", type=PATH)
SET = click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Change the spec: optimizer.lr=0.01.")
DEVICE = click.option("--device", metavar="DEVICE", help="cpu, cuda, cuda:1, ...; the best one here if not given.")
PARTS = click.option(
    "--parts",
    type=PATH,
    metavar="FILE",
    help="Python file with parts of your own; wins over the spec's.",
)
OTHER_DATA = click.option(
    "--allow-other-data",
    "other_data",
    is_flag=True,
    help="Take the run's data although its content has changed since; classes and number of samples may not.",
)
TRUST = click.option(
    "--trust", is_flag=True, help="Let code that came with the run folder run although you have never run it here."
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def given_parts(parts: Path | None) -> "PartsFile | None":
    """Return the file that --parts names."""
    from ftrun.plugins.localparts import PartsFile

    with located("--parts"):
        return PartsFile.read(parts) if parts is not None else None


def checked_spec(spec: Path, overrides: tuple[str, ...], parts: Path | None) -> "CheckedSpec":
    """Return the spec that a command is given, with what is installed. Raises SpecError with all its mistakes.

    spec, overrides, parts: as the arguments and options SPEC, SET and PARTS give them
    """
    from ftrun.spec.read import checked

    group = click.get_current_context().find_root().command
    return checked(spec, overrides, given_parts(parts), list(getattr(group, "commands", ())))


def answer(value: Any, as_text: Callable[[Any], str], as_json: bool) -> None:
    """Print what a command found out, for people or as JSON."""
    if as_json:
        print_json(value)
    else:
        click.echo(printable_lines(as_text(value)))


def print_json(value: Any) -> None:
    """Print it, indented."""
    click.echo(to_json(value, ascii_only=True))
