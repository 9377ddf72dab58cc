"""Commands about a run as it is made: run, resume, check."""

import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import click

from ftrun.cli.common import AS_JSON, DEVICE, OTHER_DATA, PARTS, PATH, RUN, SET, SPEC, TRUST, checked_spec, print_json
from ftrun.contracts.errors import FtrunError
from ftrun.contracts.printable import columns

if TYPE_CHECKING:
    from ftrun.contracts.errors import Mistake
    from ftrun.spec.read import CheckedSpec
    from ftrun.spec.runspec import RunSpec
    from ftrun.train.preview import Preview

_STARTED = perf_counter()


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
    """Train, evaluate and save the model that SPEC describes."""
    checked = checked_spec(spec, overrides, parts)
    if out is not None:
        from ftrun.runs.folder import check_new

        check_new(out)  # before anything heavy loads
    from ftrun.train.begin import Request
    from ftrun.train.begin import run as run_session

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
    from ftrun.inference.run import Run

    opened = Run(run, trust=trust)
    if opened.is_complete(epochs):
        click.echo(f"{run}: already finished; its results: {run / 'results.json'}. --epochs N extends it.")
    else:
        opened.resume(epochs, device=device, allow_other_data=other_data)


@click.command()
@SPEC
@SET
@PARTS
@AS_JSON
def check(spec: Path, overrides: tuple[str, ...], parts: Path | None, as_json: bool) -> None:
    """Check SPEC, without loading data or weights; with train.phases, show what learns when.

    Where a recipe fills in how to train, the dataset is listed for it, and what it comes to is shown.
    """
    from ftrun.spec.check import InvalidSpec

    try:
        read = checked_spec(spec, overrides, parts)
        filled = _filled(read)
        whole = filled.spec if filled else read.spec
        plan = _plan(whole) if whole else None
        warnings = _warnings(whole) if whole else []
    except FtrunError as error:
        if not as_json:
            raise
        mistakes = error.mistakes if isinstance(error, InvalidSpec) else []
        listed = [{"where": each.where, "message": each.message} for each in mistakes]
        print_json({"valid": False, "errors": listed or [{"where": error.where, "message": error.message}]})
        sys.exit(error.exit_code)
    if as_json:
        shown = (whole or read.spec).resolved()
        warned = [{"where": each.where, "message": each.message} for each in warnings]
        recipe = filled.record if filled else None
        print_json({"valid": True, "spec": shown, "plan": plan, "recipe": recipe, "warnings": warned})
    else:
        lines = [f"{click.format_filename(spec)}: valid", *(filled.lines if filled else []), *columns(plan or [])]
        click.echo("\n".join([*lines, *(f"WARNING: {each}" for each in warnings)]))


def _filled(read: "CheckedSpec") -> "Preview | None":
    """Return what the spec's recipe, if it has one, fills in; that loads torch, and lists the dataset."""
    if read.spec.recipe is None:
        return None
    from ftrun.train.preview import preview

    return preview(read.spec, read.catalogue)


def _warnings(spec: "RunSpec") -> "list[Mistake]":
    from ftrun.spec.rates import unusual_rates

    return [*unusual_rates(spec)]


def _plan(spec: "RunSpec") -> list[list[str]] | None:
    """Return what learns when: it is the net that knows its stages, so this loads torch, if there are phases."""
    if spec.train.phases is None:
        return None
    from ftrun.train.phases import table_of

    return table_of(spec)
