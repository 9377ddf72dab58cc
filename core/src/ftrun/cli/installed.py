"""Commands about what is installed: plugins, schema, new-plugin, check-plugin, cache."""

import shlex
from pathlib import Path

import click

from ftrun.cli.common import AS_JSON, PARTS, PATH, answer, given_parts, print_json
from ftrun.contracts.errors import PluginError, SpecError


@click.command()
@click.argument("what", required=False)
@click.option("--why", metavar="NAME", help="Say where a plugin, module or part is from, or why it is not loaded.")
@PARTS
@AS_JSON
def plugins(what: str | None, why: str | None, parts: Path | None, as_json: bool) -> None:
    """List the installed plugins; WHAT, a role, a part's name or `train`, shows options; `train.phases` one of them.

    FTRUN_PLUGINS=a,b loads only these. With FTRUN_STRICT_PLUGINS=1, any plugin that is broken or clashes is an error.
    """
    from ftrun.cli import listing
    from ftrun.plugins.catalogue import as_found, installed

    if why is not None:
        from ftrun.cli import why as reasons

        if what is not None:
            raise SpecError(f"give WHAT or --why NAME, not both: ftrun plugins --why {why}")
        answer(reasons.why(as_found(given_parts(parts)), why), reasons.why_text, as_json)
        return
    catalogue = installed(given_parts(parts))
    if what is None:
        answer(listing.plugins(catalogue), listing.plugins_text, as_json)
    else:
        answer(listing.options(catalogue, what), listing.parts_text, as_json)


@click.command()
@click.option("--clear", is_flag=True, help="Remove everything from it.")
@AS_JSON
def cache(clear: bool, as_json: bool) -> None:
    """Show what is kept to be quick: samples from files, decoded."""
    from ftrun.cli import listing
    from ftrun.data import cachefolder

    if clear:
        click.echo(f"removed {listing.size(cachefolder.clear())} from {cachefolder.folder()}")
    else:
        answer(cachefolder.as_json(), listing.cache_text, as_json)


@click.command("new-plugin")
@click.argument("role")
@click.argument("name")
@click.option("--into", type=PATH, default=".", metavar="DIR", help="Where to make it; here if not given.")
def new_plugin(role: str, name: str, into: Path) -> None:
    """Make the folder ftrun-NAME: a plugin with one part of ROLE that works, to be changed into yours.

    ROLE is dataset, backbone, modifier, augmentation, loss, optimizer, scheduler, metric, observer, exporter or hub.
    """
    from ftrun.scaffold import new_plugin as make

    made = make(role, name, into)
    click.echo(
        f"{made.folder}: made, with {made.role} {made.name!r}. To install and test it:\n\n"
        f"  cd {shlex.quote(str(made.folder))}\n"
        f"  pip install -e . pytest\n"
        f"  pytest\n\n"
        f"{made.use}:\n\n"
        f"  {made.fragment}"
    )


@click.command("check-plugin")
@click.argument("name")
@click.option(
    "--set",
    "options",
    metavar="PART.OPTION=VALUE",
    multiple=True,
    help="Options to try a part with: my-data.path=photos.",
)
@click.option("--input", "input_", metavar="JSON", help='What a spec would say as `input`: {"size": 64}.')
@click.option("--backbone", default="tiny-net", show_default=True, help="What modifiers and exporters are tried on.")
@AS_JSON
def check_plugin(name: str, options: tuple[str, ...], input_: str | None, backbone: str, as_json: bool) -> None:
    """Check that the plugin NAME, an installed distribution or its module, keeps ftrun's contract.

    Says of each part and property whether it holds and, if not, what is wrong and how to mend it; exit code 3 then.
    """
    from ftrun.testing import command

    results = command.check(name, options, input_, backbone, None if as_json else click.echo)
    if as_json:
        print_json(results)
    failed = [result for result in results if not result["passed"]]
    if failed:
        raise PluginError(f"{name} does not keep the contract: {len(failed)} of {len(results)} checks failed.")
    if not as_json:
        click.echo(f"{name} keeps the contract: {len(results)} checks passed")


@click.command()
@PARTS
@AS_JSON
def schema(parts: Path | None, as_json: bool) -> None:
    """Print the JSON Schema of a spec, given what is installed."""
    from ftrun.plugins.catalogue import installed
    from ftrun.spec.runspec import json_schema

    print_json(json_schema(installed(given_parts(parts))))
