"""A comparison as one HTML page that needs no network. Whatever comes from data is escaped by the template engine."""

import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

import ftrun
from ftrun.commands import write_whole
from ftrun_report.compare import MARK, words
from ftrun_report.report import plots
from ftrun_report.report.history import together

_HERE = Path(__file__).parent / "templates"
_MOST_CHARTS = 18
_STYLE = Path(plots.__file__).parent / "templates"


def write(compared: Mapping[str, Any], path: Path) -> None:
    """Write the page.

    compared: as `compare` returns it
    """
    write_whole(path, page(compared))


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader([_HERE, _STYLE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = words.number
    return environment.get_template("compare.html")


def page(compared: Mapping[str, Any]) -> str:
    """Return the page as HTML."""
    names = dict.fromkeys(name for run in compared["runs"] for name in run["metrics"])
    histories = {run["run"]: _history(Path(run["run"])) for run in compared["runs"]}
    return _template().render(
        **compared,
        charts=[
            (chart, plots.curves(f"c{number}", chart.curves, None, ()))
            for number, chart in enumerate(together(histories)[:_MOST_CHARTS])
        ],
        series=plots.SERIES,
        metrics=list(names),
        columns=words.COLUMNS,
        note=words.NOTE,
        sentences=words.sentences,
        of_run=words.of_run,
        apart=words.apart,
        tested=words.tested,
        value=words.value,
        drawn=_drawn,
        mark=MARK,
    )


def _history(run: Path) -> list[dict[str, Any]]:
    """Return a run's epochs; none where they cannot be read: runs are compared all the same."""
    try:
        return ftrun.open(run).history
    except ftrun.FtrunError:
        return []


def _drawn(each: Mapping[str, Any]) -> Markup:
    """Draw the interval as a line with a point at the difference, and a mark at 0 in the middle."""
    low, high = each["interval"]
    widest = max(abs(low), abs(high))
    if not math.isfinite(widest):
        return Markup()
    left, right, point = (50 + 46 * value / (widest or 1) for value in (low, high, each["difference"]))
    colour = {"better": "var(--good)", "worse": "var(--bad)"}.get(each["verdict"], "var(--muted)")
    return Markup(
        '<svg viewBox="0 0 100 12" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<line x1="50" x2="50" y1="0" y2="12" stroke="var(--muted)" stroke-width=".6"/>'
        '<line x1="{:.1f}" x2="{:.1f}" y1="6" y2="6" stroke="{}" stroke-width="2"/>'
        '<circle cx="{:.1f}" cy="6" r="3" fill="{}"/></svg>'
    ).format(words.apart(each), left, right, colour, point, colour)
