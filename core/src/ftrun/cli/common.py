"""Options and answers that commands share. Loads nothing heavy."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ftrun.errors import located

if TYPE_CHECKING:
    from ftrun.localparts import PartsFile

SPEC = click.argument("spec", type=click.Path(path_type=Path))
RUN = click.argument("run", type=click.Path(path_type=Path))
DEVICE = click.option("--device", metavar="DEVICE", help="cpu, cuda, cuda:1, ...; the best one here if not given.")
PARTS = click.option(
    "--parts",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Python file with parts of your own; wins over the spec's.",
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def given_parts(parts: Path | None) -> "PartsFile | None":
    """The file that --parts names."""
    from ftrun.localparts import PartsFile

    with located("--parts"):
        return PartsFile.read(parts) if parts is not None else None


def answer(value: Any, as_text: Callable[[Any], str], as_json: bool) -> None:
    """Print what a command found out, for people or as JSON."""
    if as_json:
        print_json(value)
    else:
        click.echo(as_text(value))


def print_json(value: Any) -> None:
    """Print it, indented."""
    click.echo(json.dumps(value, indent=2))
