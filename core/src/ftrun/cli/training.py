"""Commands about a run as it is made: run, resume, check, verify-resume."""

import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import click

from ftrun.cli.common import AS_JSON, DEVICE, OTHER_DATA, PARTS, PATH, RUN, SPEC, TRUST, given_parts, print_json
from ftrun.contracts.errors import FtrunError, exit_code

if TYPE_CHECKING:
    from ftrun.spec.read import CheckedSpec
    from ftrun.spec.runspec import RunSpec

_STARTED = perf_counter()
SET = click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Change the spec: optimizer.lr=0.01.")


@click.command()
@SPEC
@SET
@click.option("--out", type=PATH, metavar="DIR", help="The run folder; runs/NAME-N if not given.")
@DEVICE
@click.option(
    "--init-from",
    type=PATH,
    metavar="RUN",
    help="Start from the weights of a run's best epoch, as far as they fit.",
)
@PARTS
def run(
    spec: Path,
    overrides: tuple[str, ...],
    out: Path | None,
    device: str | None,
    init_from: Path | None,
    parts: Path | None,
) -> None:
    """Train, judge and save the model that SPEC describes."""
    checked = _checked(spec, overrides, parts)
    if out is not None:
        from ftrun.runs.folder import check_new

        check_new(out)  # before anything heavy loads
    from ftrun.train.session import Request
    from ftrun.train.session import run as run_session

    request = Request(
        checked.spec, checked.name, checked.text, overrides, checked.catalogue, out, device, init_from, started=_STARTED
    )
    run_session(request)


@click.command()
@RUN
@click.option("--epochs", type=click.IntRange(min=1), metavar="N", help="Extend the run to N epochs in all.")
@OTHER_DATA
@TRUST
@DEVICE
def resume(run: Path, epochs: int | None, other_data: bool, trust: bool, device: str | None) -> None:
    """Go on with RUN, a run folder, from its last checkpoint.

    The spec is the run's own. With --epochs, the learning rate is from here on what it is at this step of a run of N
    epochs; what is done stays as it is.
    """
    from ftrun.runs.folder import RunFolder

    folder = RunFolder.existing(run)
    if folder.read_status().get("state") == "finished" and epochs in (None, folder.epochs):
        click.echo(f"{run}: already finished; its results: {run / 'results.json'}. --epochs N extends it.")
        return
    from ftrun.runs.ownparts import catalogue_of

    catalogue = catalogue_of(folder, trust=trust)
    from ftrun.train.session import resume as resume_session

    resume_session(folder, catalogue, epochs, device, other_data=other_data)


@click.command("verify-resume")
@SPEC
@SET
@DEVICE
@click.option("--kills", type=click.IntRange(1, 100), default=3, show_default=True, help="How often to kill a run.")
@PARTS
def verify_resume(spec: Path, overrides: tuple[str, ...], device: str | None, kills: int, parts: Path | None) -> None:
    """See whether a killed and resumed run of SPEC ends as one that was not.

    Runs a short copy (two epochs of four steps, no test), straight and with SIGKILLs, and compares digests. Exit code
    1 if they differ.
    """
    checked = _checked(spec, overrides, parts)
    from ftrun.cli import resume_check

    local = checked.catalogue.local.path if checked.catalogue.local else None
    trials = resume_check.verify(checked.spec.resolved(), kills, device, local)
    rows = [["killed after step", "resumed from step", *resume_check.ASPECTS]]
    for trial in trials:
        verdicts = ["same" if trial.same[aspect] else "DIFFERENT" for aspect in resume_check.ASPECTS]
        rows.append([str(trial.killed_after), str(trial.resumed_from), *verdicts])
    click.echo("\n".join(_columns(rows)))
    if not all(all(trial.same.values()) for trial in trials):
        raise FtrunError(
            "a resumed run of this spec does not end as an uninterrupted one. A part keeps state that is in no "
            "checkpoint, draws random numbers of its own, or computes on a device that is not exact."
        )
    click.echo("a resumed run of this spec ends as an uninterrupted one, to the bit")


@click.command()
@SPEC
@SET
@PARTS
@AS_JSON
def check(spec: Path, overrides: tuple[str, ...], parts: Path | None, as_json: bool) -> None:
    """Check SPEC, without loading data or weights; with train.phases, show what learns when."""
    from ftrun.spec.check import InvalidSpec

    try:
        checked = _checked(spec, overrides, parts).spec
        plan = _plan(checked)
    except FtrunError as error:
        if not as_json:
            raise
        mistakes = error.mistakes if isinstance(error, InvalidSpec) else []
        listed = [{"where": each.where, "message": each.message} for each in mistakes]
        print_json({"valid": False, "errors": listed or [{"where": error.where, "message": error.message}]})
        sys.exit(exit_code(error))
    if as_json:
        print_json({"valid": True, "spec": checked.resolved(), "plan": plan})
    else:
        click.echo("\n".join([f"{click.format_filename(spec)}: valid", *_columns(plan or [])]))


def _checked(path: Path, overrides: tuple[str, ...], parts: Path | None) -> "CheckedSpec":
    from ftrun.spec.read import checked

    group = click.get_current_context().find_root().command
    return checked(path, overrides, given_parts(parts), list(getattr(group, "commands", ())))


def _plan(spec: "RunSpec") -> list[list[str]] | None:
    """What learns when: it is the net that knows its stages, so this loads torch, if there are phases."""
    if spec.train.phases is None:
        return None
    from ftrun.train.phases import table_of

    return table_of(spec)


def _columns(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
