"""`ftrun new-plugin` and `ftrun check-plugin`."""

import shlex
from pathlib import Path

import click

from ftrun import PluginError
from ftrun.commands import AS_JSON, PATH, print_json


@click.command("new-plugin")
@click.argument("role")
@click.argument("name")
@click.option("--into", type=PATH, default=".", metavar="DIR", help="Where to make it; here if not given.")
def new_plugin(role: str, name: str, into: Path) -> None:
    """Make the folder ftrun-NAME: a plugin with one part of ROLE that works, to be changed into yours.

    ROLE is dataset, backbone, modifier, augmentation, loss, optimizer, scheduler, metric, observer, exporter or hub;
    or command, for a command of ftrun's own command line.
    """
    from ftrun_devkit.scaffold import new_plugin as make

    made = make(role, name, into)
    click.echo(
        f"{made.folder}: made, with {made.role} {made.name!r}. To install and test it:\n\n"
        f"  cd {shlex.quote(str(made.folder))}\n"
        f"  pip install -e .\n"
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
    from ftrun_devkit import checking

    results = checking.check(name, options, input_, backbone, None if as_json else click.echo)
    if as_json:
        print_json(results)
    failed = [result for result in results if not result["passed"]]
    if failed:
        raise PluginError(f"{name} does not keep the contract: {len(failed)} of {len(results)} checks failed.")
    if not as_json:
        click.echo(f"{name} keeps the contract: {len(results)} checks passed")
