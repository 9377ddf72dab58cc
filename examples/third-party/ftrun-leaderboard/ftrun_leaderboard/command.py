"""What `ftrun leaderboard` does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

import ftrun
from ftrun.commands import AS_JSON, PATH, answer, shown


@click.command()
@click.argument("folder", type=PATH, default="runs")
@click.option("--metric", default="accuracy", show_default=True, help="What to rank by.")
@click.option("--lowest", is_flag=True, help="The smallest is the best, as of a loss.")
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="List so many ranks; all if not given.")
@AS_JSON
def leaderboard(folder: Path, metric: str, lowest: bool, top: int | None, as_json: bool) -> None:
    """List the finished runs of FOLDER, `runs` if not given, the best first by METRIC."""
    if not folder.is_dir():
        raise ftrun.SpecError(f"{folder}: there is no such folder.")
    entries, left_out, known = [], [], set()
    for path in sorted(each for each in folder.iterdir() if each.is_dir()):
        try:
            run = ftrun.open(path)
        except ftrun.SpecError:  # no run folder
            continue
        try:
            known |= set(run.metrics)
            reason = _reason_to_leave_out(run, metric)
            if reason is None:
                entries.append(_entry(run, metric))
        except (ftrun.FtrunError, KeyError) as error:
            reason = f"its files are damaged: {error}"
        if reason is not None:
            left_out.append({"run": run.name, "reason": reason})
    if known and metric not in known:
        near = ftrun.did_you_mean(metric, sorted(known))
        raise ftrun.SpecError(f"--metric {metric}: no run has it.{near} The runs have {', '.join(sorted(known))}.")
    ranked = _ranked(entries, lowest)
    shown_ranks = [entry for entry in ranked if top is None or entry["rank"] <= top]
    answer({"metric": metric, "runs": shown_ranks, "left_out": left_out}, _table, as_json)


def _reason_to_leave_out(run: ftrun.Run, metric: str) -> str | None:
    if not run.finished:
        return str(run.status["state"])
    return None if metric in run.metrics else f"has no {metric}"


def _entry(run: ftrun.Run, metric: str) -> dict[str, Any]:
    return {
        "run": run.name,
        "value": run.metrics[metric],
        "split": run.split,
        "epochs": run.status["epoch"],
        "backbone": run.spec["backbone"]["name"],
    }


def _ranked(entries: Sequence[dict[str, Any]], lowest: bool) -> list[dict[str, Any]]:
    """Return the entries, the best first, each with its rank: one more than how many are better."""
    ordered = sorted(entries, key=lambda entry: entry["value"], reverse=not lowest)
    values = [entry["value"] for entry in ordered]
    return [{"rank": values.index(entry["value"]) + 1, **entry} for entry in ordered]


def _table(found: dict[str, Any]) -> str:
    rows = [["rank", "run", found["metric"], "on", "epochs", "backbone"]]
    for entry in found["runs"]:
        cells = [entry[key] for key in ("rank", "run", "value", "split", "epochs", "backbone")]
        rows.append([cell if isinstance(cell, str) else shown(cell) for cell in cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if not found["runs"]:
        lines = ["no finished run"]
    if out := found["left_out"]:
        runs = ", ".join(f"{each['run']} ({each['reason']})" for each in out)
        lines.append(f"{len(out)} {'run' if len(out) == 1 else 'runs'} left out: {runs}")
    return "\n".join(lines)
