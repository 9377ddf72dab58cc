"""Commands about what is installed: plugins, schema, cache."""

from pathlib import Path

import click

from ftrun.cli.common import AS_JSON, PARTS, answer, given_parts
from ftrun.contracts.errors import SpecError


@click.command()
@click.argument("what", required=False)
@click.option("--why", metavar="NAME", help="Say where a plugin, module or part is from, or why it is not loaded.")
@PARTS
@AS_JSON
def plugins(what: str | None, why: str | None, parts: Path | None, as_json: bool) -> None:
    """List the installed plugins; WHAT, a role, a part's or plugin's name or `train`, shows options.

    FTRUN_PLUGINS=a,b loads only these. With FTRUN_STRICT_PLUGINS=1, any plugin that is broken or clashes is an error.
    """
    from ftrun.cli import listing
    from ftrun.plugins.catalogue import as_found, installed

    if why is not None:
        from ftrun.cli import why as reasons

        if what is not None:
            raise SpecError(f"give WHAT or --why NAME, not both: ftrun plugins --why {why}")
        answer(reasons.why(as_found(given_parts(parts)).checked(), why), reasons.why_text, as_json)
        return
    catalogue = installed(given_parts(parts))
    if what is None:
        answer(listing.plugins(catalogue), listing.plugins_text, as_json)
    else:
        from ftrun.cli import options

        answer(options.options(catalogue.checked(), what), options.parts_text, as_json)


@click.command()
@click.option("--clear", is_flag=True, help="Remove everything from it.")
@AS_JSON
def cache(clear: bool, as_json: bool) -> None:
    """Show what is kept to be quick: samples from files, decoded."""
    from ftrun.cli import listing
    from ftrun.contracts.numbers import shown_bytes
    from ftrun.data import cachefolder

    if clear:
        click.echo(f"removed {shown_bytes(cachefolder.clear())} from {cachefolder.folder()}")
    else:
        answer(cachefolder.as_json(), listing.cache_text, as_json)


@click.command()
@PARTS
@AS_JSON
def schema(parts: Path | None, as_json: bool) -> None:
    """Print the JSON Schema of a spec, given what is installed."""
    from pydantic_core import to_json

    from ftrun.plugins.catalogue import installed
    from ftrun.spec.model import json_schema

    catalogue = installed(given_parts(parts))
    try:
        printed = json_schema(catalogue)
    except Exception:  # of a part whose options cannot be checked: its plugin is as good as not installed
        printed = json_schema(catalogue.checked())
    click.echo(to_json(printed, indent=2))  # a third of the time of Python's own, where lines are indented
