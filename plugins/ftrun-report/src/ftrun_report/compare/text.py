"""A comparison on the terminal."""

from collections.abc import Mapping
from io import StringIO
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ftrun_report.compare import words

_WIDE = 10_000
"""Where nobody looks at it as a table, no line is wrapped."""
_STYLES = {"better": "green", "worse": "red", "cannot tell": "yellow"}


def text(compared: Mapping[str, Any], width: int | None) -> str:
    """Return tables of metrics and of what differs, then how each run does against the first.

    width: columns of the terminal; None where it is none
    """
    out = StringIO()
    console = Console(
        file=out, width=width or _WIDE, force_terminal=width is not None, highlight=False, markup=False, emoji=False
    )
    console.print(_runs(compared["runs"]))
    if compared["differences"]:
        console.print(_specs(compared))
    else:
        console.print("Their specs do not differ.\n")
    for comparison in compared["comparisons"]:
        if comparison["paired"]:
            console.print(_metrics(comparison, compared["baseline"]))
    for comparison in compared["comparisons"]:
        for sentence in words.sentences(comparison, compared["baseline"]):
            console.print(Text(sentence))
    if any(each["paired"] for each in compared["comparisons"]):
        console.print(Text(words.NOTE, style="dim"))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _table(*titles: str, right: bool = False) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for index, title in enumerate(titles):
        table.add_column(Text(title), justify="right" if right and index else "left", overflow="fold")
    return table


def _runs(runs: list[dict[str, Any]]) -> Table:
    names = list(dict.fromkeys(name for run in runs for name in run["metrics"]))
    table = _table("run", *names, *words.COLUMNS)
    for run in runs:
        cells = [run["run"], *(words.number(run["metrics"].get(name)) for name in names), *words.of_run(run)]
        table.add_row(*map(Text, cells))
    table.add_row()
    return table


def _specs(compared: Mapping[str, Any]) -> Table:
    table = _table("differs", *(run["run"] for run in compared["runs"]))
    for key, values in compared["differences"].items():
        table.add_row(*map(Text, (key, *map(words.value, values))))
    table.add_row()
    return table


def _metrics(comparison: Mapping[str, Any], baseline: str) -> Table:
    title = f"{comparison['run']} - {baseline}, {comparison['samples']:,} samples"
    table = _table(title, "difference", "", "")
    for key, each in comparison["metrics"].items():
        verdict = Text(each["verdict"], style=_STYLES[each["verdict"]])
        table.add_row(Text(key), Text(words.apart(each)), verdict, Text(words.tested(each), style="dim"))
    table.add_row()
    return table
