"""The command line. Loads torch for `run` alone, after the spec is checked."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ftrun.errors import FtrunError, exit_code

if TYPE_CHECKING:
    from ftrun.catalogue import Catalogue
    from ftrun.runspec import RunSpec


class _RunByDefault(click.Group):
    """`ftrun SPEC` is `ftrun run SPEC`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help", "-h", "--version"):
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except FtrunError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(exit_code(error))
        except KeyboardInterrupt:  # before training starts; from then on, it waits for the end of a step
            ctx.exit(130)


SPEC = click.argument("spec", type=click.Path(path_type=Path))
SET = click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Change the spec: optimizer.lr=0.01.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(cls=_RunByDefault, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ftrun")
def main() -> None:
    """Fine-tune a pretrained model from a spec. `ftrun SPEC` is `ftrun run SPEC`."""


@main.command()
@SPEC
@SET
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="The run folder; runs/NAME-N if not given.")
@click.option("--device", metavar="DEVICE", help="cpu, cuda, cuda:1, ...; the best one here if not given.")
def run(spec: Path, overrides: tuple[str, ...], out: Path | None, device: str | None) -> None:
    """Train, judge and save the model that SPEC describes."""
    text, checked, catalogue = _checked(spec, overrides)
    if out is not None:
        from ftrun.run.folder import check_new

        check_new(out)  # before anything heavy loads
    from ftrun.run.session import Request
    from ftrun.run.session import run as run_session

    run_session(Request(checked, spec.stem, text, overrides, catalogue, out, device))


@main.command()
@SPEC
@SET
@AS_JSON
def check(spec: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Check SPEC, without loading data or weights."""
    from ftrun.check import InvalidSpec

    try:
        _, checked, _ = _checked(spec, overrides)
    except FtrunError as error:
        if not as_json:
            raise
        mistakes = error.mistakes if isinstance(error, InvalidSpec) else []
        listed = [{"where": each.where, "message": each.message} for each in mistakes]
        _print_json({"valid": False, "errors": listed or [{"where": error.where, "message": error.message}]})
        sys.exit(exit_code(error))
    if as_json:
        _print_json({"valid": True, "spec": checked.resolved()})
    else:
        click.echo(f"{click.format_filename(spec)}: valid")


@main.command()
@click.argument("what", required=False)
@AS_JSON
def plugins(what: str | None, as_json: bool) -> None:
    """List the installed plugins; WHAT, a role or a part's name, shows options."""
    from ftrun import listing
    from ftrun.catalogue import installed

    catalogue = installed()
    if what is None:
        _print(listing.plugins(catalogue), listing.plugins_text, as_json)
    else:
        _print(listing.parts(catalogue, what), listing.parts_text, as_json)


@main.command()
@AS_JSON
def schema(as_json: bool) -> None:
    """Print the JSON Schema of a spec, given what is installed."""
    from ftrun.catalogue import installed
    from ftrun.runspec import json_schema

    _print_json(json_schema(installed()))


def _checked(path: Path, overrides: tuple[str, ...]) -> "tuple[str, RunSpec, Catalogue]":
    from ftrun.catalogue import installed
    from ftrun.check import check_spec
    from ftrun.specfile import read_spec

    text, data = read_spec(path, list(main.commands))
    catalogue = installed()
    return text, check_spec(data, catalogue, name=str(path), overrides=overrides), catalogue


def _print(value: Any, as_text: Callable[[Any], str], as_json: bool) -> None:
    if as_json:
        _print_json(value)
    else:
        click.echo(as_text(value))


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))
