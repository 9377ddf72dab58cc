"""`ftrun new-plugin`, `ftrun check-plugin` and `ftrun verify-resume`."""

import shlex
from pathlib import Path

import click

from ftrun import FtrunError, PluginError
from ftrun.commands import AS_JSON, DEVICE, PARTS, PATH, SET, SPEC, checked_spec, columns, print_json


@click.command("new-plugin")
@click.argument("role")
@click.argument("name")
@click.option("--into", type=PATH, default=".", metavar="DIR", help="Where to make it; here if not given.")
def new_plugin(role: str, name: str, into: Path) -> None:
    """Make the folder ftrun-NAME: a plugin with one part of ROLE that works, to be changed into yours.

    ROLE is dataset, target, sampler, backbone, modifier, head, augmentation, loss, objective, optimizer, scheduler,
    metric, recipe, observer, exporter or hub; or command, for a command of ftrun's own command line.
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
@click.option(
    "--backbone", default="tiny-net", show_default=True, help="Modifiers, heads and exporters are tried on it."
)
@click.option("--dataset", metavar="PART", help="What backbones and modifiers learn from; made-up inputs if not given.")
@AS_JSON
def check_plugin(
    name: str, options: tuple[str, ...], input_: str | None, backbone: str, dataset: str | None, as_json: bool
) -> None:
    """Check that the plugin NAME, an installed distribution or its module, keeps ftrun's contract.

    Says of each part and property whether it holds and, if not, what is wrong and how to mend it; exit code 3 then.
    """
    from ftrun_devkit import checking

    results = checking.check(name, options, input_, backbone, dataset, None if as_json else click.echo)
    if as_json:
        print_json(results)
    failed = [result for result in results if not result["passed"]]
    if failed:
        raise PluginError(f"{name} does not keep the contract: {len(failed)} of {len(results)} checks failed.")
    if not as_json:
        click.echo(f"{name} keeps the contract: {len(results)} checks passed")


@click.command("verify-resume")
@SPEC
@SET
@DEVICE
@click.option("--kills", type=click.IntRange(1, 100), default=3, show_default=True, help="How often to kill a run.")
@PARTS
def verify_resume(spec: Path, overrides: tuple[str, ...], device: str | None, kills: int, parts: Path | None) -> None:
    """Check that a killed and resumed run of SPEC ends as one that was not.

    Runs a short copy (two epochs of four steps, no test), straight and with SIGKILLs, and compares digests. Exit code
    1 if they differ.
    """
    checked = checked_spec(spec, overrides, parts)
    from ftrun_devkit import resume_check

    local = checked.catalogue.local.path if checked.catalogue.local else None
    trials = resume_check.verify(checked.spec.resolved(), kills, device, local)
    rows = [["killed after step", "resumed from step", *resume_check.ASPECTS]]
    for trial in trials:
        verdicts = ["same" if trial.same[aspect] else "DIFFERENT" for aspect in resume_check.ASPECTS]
        rows.append([str(trial.killed_after), str(trial.resumed_from), *verdicts])
    click.echo("\n".join(columns(rows)))
    if not all(all(trial.same.values()) for trial in trials):
        raise FtrunError(
            "a resumed run of this spec does not end as an uninterrupted one. A part keeps state that is in no "
            "checkpoint, draws random numbers of its own, or computes on a device that is not exact."
        )
    click.echo("a resumed run of this spec ends as an uninterrupted one, to the bit")
