"""Command `template`: the epochs of a run, the lowest loss first.

`ftrun --help` imports this module to list the command, so keep what is heavy (torch,
numpy) inside the function.
"""

from pathlib import Path
from typing import Any

import click
import ftrun
from ftrun.commands import AS_JSON, RUN, answer, shown

FTRUN_API = "2.0"  # what it was written for, so that a later ftrun can tell

NAME = "template"


@click.command()
@RUN
@click.option(
    "--metric",
    default="val/loss",
    show_default=True,
    help="What to sort by, by its name in metrics.jsonl.",
)
@AS_JSON
def show(run: Path, metric: str, as_json: bool) -> None:
    """List the epochs of RUN, the one with the smallest METRIC first."""
    epochs = ftrun.open(run).history  # one dict an epoch
    if not epochs:
        raise ftrun.SpecError(f"{run}: no epoch is complete yet.")
    if metric not in epochs[0]:
        # Shown as one message, with exit code 2.
        near = ftrun.did_you_mean(metric, epochs[0])
        raise ftrun.SpecError(f"--metric {metric}: {run} has no such metric.{near}")
    rows = [{"epoch": each["epoch"], metric: each[metric]} for each in epochs]
    # What is undefined is null there, and comes last.
    rows.sort(key=lambda row: (row[metric] is None, row[metric]))
    answer(rows, _table, as_json)


def _table(rows: list[dict[str, Any]]) -> str:
    """Return the rows for people; with --json they are printed as they are."""
    names = list(rows[0])
    lines = [[shown(row[name]) for name in names] for row in rows]
    return "\n".join("  ".join(cells) for cells in [names, *lines])


@ftrun.hookimpl
def ftrun_commands() -> list[ftrun.Command]:
    # The last one is the click command, imported when it is called.
    text = "List the epochs of a run, the lowest loss first."
    return [ftrun.Command(NAME, text, f"{__name__}:show")]
