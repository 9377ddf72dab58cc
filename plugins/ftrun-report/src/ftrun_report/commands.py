"""The commands. Nothing heavy is loaded before what they are called with is known to be right."""

import shutil
import sys
from pathlib import Path
from typing import Any

import click

import ftrun
from ftrun.commands import AS_JSON, PATH, RUN, TRUST, build, print_json, printable, printable_lines, shown_bytes


@click.command()
@RUN
@TRUST
def report(run: Path, trust: bool) -> None:
    """Write report.html into RUN: curves, errors by class, samples, how it was made, on one page that needs no network.

    Every run does so at its end. Of a run that is not finished, the report says what there is. What only code that came
    with the run could tell is left out, unless it may run.
    """
    opened = _with_best(run, trust=trust)
    from ftrun_report.report.write import rewrite

    path, notes = rewrite(opened)
    for note in notes:
        click.echo(printable_lines(note), err=True)
    click.echo(f"report: {printable(str(path))}")


@click.command()
@click.argument("runs", metavar="RUN...", type=PATH, nargs=-1, required=True)
@click.option("--html", type=PATH, metavar="FILE", help="Write a page that needs no network.")
@click.option("--force", is_flag=True, help="Replace an earlier page that --html names.")
@AS_JSON
def compare(runs: tuple[Path, ...], html: Path | None, force: bool, as_json: bool) -> None:
    """Set RUNs side by side, and say of each whether it is better than the first, worse, or whether one cannot tell.

    Figures, parameters, time, size, and what differs between their specs. On the same samples: McNemar's test of
    accuracy, and bootstrap intervals of the difference in each figure.
    """
    from ftrun_report.compare import check_page

    if html:
        check_page(html, force)
    if len(runs) < 2:
        raise ftrun.SpecError("name two runs or more: ftrun compare RUN RUN...")
    opened = [_with_best(run) for run in runs]
    from ftrun_report.compare.compare import compare as compare_runs

    compared = compare_runs(opened)
    if html:
        from ftrun_report.compare.page import write

        write(compared, html)
    if as_json:
        print_json(compared)
    else:
        from ftrun_report.compare.text import text

        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        click.echo(printable_lines(text(compared, columns)))
        if html:
            click.echo(f"page: {printable(str(html))}")


@click.command()
@RUN
@click.argument("repository")
@click.option("--to", "name", metavar="NAME", help="The hub; the only one that is installed if not given.")
@click.option("--set", "options", metavar="OPTION=VALUE", multiple=True, help="An option of the hub.")
@click.option("--private", is_flag=True, help="For nobody else to see.")
@click.option("--message", metavar="TEXT", help="What the commit says; the run's name and figure if not given.")
@click.option("--dry-run", is_flag=True, help="Say what would go there, and push nothing.")
@TRUST
def push(
    run: Path,
    repository: str,
    name: str | None,
    options: tuple[str, ...],
    message: str | None,
    dry_run: bool,
    trust: bool,
    **access: Any,
) -> None:
    """Bring RUN, a finished run, to REPOSITORY on a model hub: weights, net.json, model card, results, report, exports.

    What training goes on from, predictions and the log stay here. resolved.json holds the paths that the spec names.
    """
    from ftrun_report import pushing

    opened = _with_best(run, trust=trust)
    hub = pushing.hub(opened, name, options)
    if message is not None and not message.strip():
        raise ftrun.SpecError("--message: is empty.")
    pushing.check_finished(opened)
    opened.check_weights()
    if not dry_run:
        pushing.write_card(opened)
    files = pushing.files(opened)
    for remote, path in files.items():
        click.echo(f"{shown_bytes(path.stat().st_size):>9}  {printable(remote)}")
    if dry_run:
        private = ", private" if access["private"] else ""
        click.echo(f"would go to {repository}, {hub.name}{private}; nothing was pushed")
        return
    answer = build(hub, "--to").push(files, repository, message=message or pushing.message(opened), **access)
    click.echo(f"pushed: {pushing.address(answer)}")


def _with_best(path: Path, *, trust: bool = False) -> ftrun.Run:
    """Return a run that has a best epoch. Raises SpecError where it has none, before anything heavy loads."""
    run = ftrun.open(path, trust=trust)
    _ = run.weights
    return run
