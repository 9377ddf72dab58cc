"""All of it on one page. Whatever comes from data is escaped by the template engine; only our own drawings are not."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from ftrun.commands import is_figure, shown
from ftrun_report.kinds import section
from ftrun_report.report import confusion, history, plots
from ftrun_report.report.classes import ClassesReport
from ftrun_report.report.examples import Pictures
from ftrun_report.report.intervals import Rate
from ftrun_report.report.labels import LabelsReport
from ftrun_report.report.metrics import MetricRow, metrics, share_right
from ftrun_report.report.values import ValuesReport
from ftrun_report.snapshot import Snapshot

_TEMPLATES = Path(__file__).parent / "templates"
_MOST_TARGETS = 12
_MOST_EPOCHS = 200
_MOST_CHARTS = 12
_MOST_NOTES = 12
_NONE = "\u2013"  # a dash, where there is no figure
# Control characters, what turns the direction of the text after it, surrogates.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LONG = 100_000
"""Characters of a spec that are shown."""


@dataclass(frozen=True)
class OtherReport:
    """What another kind of target says of the predictions for some samples."""

    name: str
    samples: int
    html: Markup
    kind: str = "other"

    def drawings(self, number: int) -> dict[str, Any]:
        """Return none: they are in its HTML."""
        return {}


TargetReport = ClassesReport | LabelsReport | ValuesReport | OtherReport


@dataclass(frozen=True)
class Headline:
    """The metric on top: its name, its value, its interval, and what it is of."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    split: str


def page(snapshot: Snapshot, spec: Any, pictures: Pictures, notes: Sequence[str]) -> str:
    """Return the report as HTML.

    notes: what the reader should know of the report itself
    """
    splits, rows = metrics(snapshot, spec)
    reports = _targets(snapshot, pictures)
    charts = history.charts(snapshot.history, snapshot.targets)[:_MOST_CHARTS]
    plan, best = history.phases(spec, snapshot.resolved["norms"]), snapshot.best.get("epoch")
    scheduled, recorded = history.learning_rate(snapshot.history, spec, snapshot.resolved)
    return _template().render(
        snapshot=snapshot,
        run=snapshot.run.name,
        resolved=snapshot.resolved,
        finished=snapshot.results is not None,
        evaluated_on=snapshot.split if snapshot.evaluated else None,
        notes=[*_notes(snapshot), *notes, *_of_data(snapshot)],
        backbone=_name(snapshot.resolved["spec"].get("backbone")),
        dataset=_name(snapshot.resolved["spec"].get("dataset")),
        headline=_headline(snapshot, splits, rows),
        splits=splits,
        metrics=rows,
        charts=[
            (chart, plots.curves(f"chart{number}", chart.curves, best, plan)) for number, chart in enumerate(charts)
        ],
        learning_rate=plots.learning_rate("lr", scheduled, recorded, plan) if snapshot.history else None,
        phases=plan,
        recipe=snapshot.resolved.get("recipe"),
        advice=(snapshot.results or {}).get("advice") or [],
        epochs=snapshot.history[-_MOST_EPOCHS:],
        columns=list(dict.fromkeys(key for line in snapshot.history for key in line)),
        targets=[(report, report.drawings(number)) for number, report in enumerate(reports)],
        more_targets=max(len(snapshot.targets) - _MOST_TARGETS, 0),
        times=_times(snapshot),
        data=_data(snapshot),
        spec_json=_shortened(json.dumps(snapshot.resolved["spec"], indent=2, ensure_ascii=False)),
        input_json=json.dumps(snapshot.resolved.get("input"), indent=2, ensure_ascii=False),
        environment=_environment(snapshot),
        weights=_weights(snapshot),
    )


@cache
def _template() -> Template:
    """Return the page's template, compiled once a process: that takes a tenth of what a page takes."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "figure": _figure,
        "rate": _rate,
        "number": _number,
        "seconds": _seconds,
        "short": _short,
        "bytes": _bytes,
    }
    environment.globals |= {"most_cells": confusion.MOST_CELLS, "series": plots.SERIES}
    return environment.get_template("page.html")


def _targets(snapshot: Snapshot, pictures: Pictures) -> list[TargetReport]:
    predictions = snapshot.evaluated
    if predictions is None or not len(predictions):
        return []
    reports: list[TargetReport] = []
    targets = list(snapshot.targets.items())[:_MOST_TARGETS]
    for name, target in targets:
        make, gives_html = section(target)
        if make is None or name not in predictions.outputs:
            continue
        outputs, truth, ids = predictions.of(name, target)
        if not len(ids):  # the notes say so
            continue
        if gives_html:
            html = Markup(make(name, target, outputs, truth, ids, pictures))
            reports.append(OtherReport(name, len(ids), html))
        else:
            reports.append(make(name, target, outputs, truth, ids, pictures, len(targets)))
    return reports


def _headline(snapshot: Snapshot, splits: Sequence[str], rows: Sequence[MetricRow]) -> Headline | None:
    """Return the monitored metric on the split that was evaluated; without one, the part of samples that are right."""
    if not splits:
        return None
    split = snapshot.split if snapshot.split in splits else splits[-1]
    chosen = next((each for each in rows if each.monitored), None)
    predictions = snapshot.evaluated
    name, target = next(iter(snapshot.targets.items()), ("", None))
    if predictions and name in predictions.outputs and target and (chosen is None or chosen.name == "loss"):
        outputs, truth, _ = predictions.of(name, target)
        right = share_right(target, outputs, truth)
        if right:
            shown = f"{name}/accuracy" if len(snapshot.targets) > 1 else "accuracy"
            return Headline(shown, right.value, right.low, right.high, split)
    chosen = chosen or (rows[0] if rows else None)
    return Headline(chosen.name, chosen.values.get(split), chosen.low, chosen.high, split) if chosen else None


def _notes(snapshot: Snapshot) -> list[str]:
    if snapshot.results is not None:
        reason = snapshot.status.get("reason")  # of one that an observer ended: why
        notes = [f"{reason[:1].upper()}{reason[1:]}."] if reason else []
        if not snapshot.results.get("test"):
            notes.append("There is no test split: what follows is judged on val, which also chose the best epoch.")
        if snapshot.evaluated is None:
            notes.append("The run folder has no predictions: there is nothing to say of single classes and samples.")
        return [*notes, *(f"{line[:1].upper()}{line[1:]}." for line in snapshot.results.get("advice", []))]
    state, reason = snapshot.status.get("state"), snapshot.status.get("reason")
    epochs = snapshot.train.get("epochs")
    return [
        f"This run is not finished: it is {state} after {snapshot.status.get('epoch')} of {epochs} epochs"
        + (f" ({reason})." if reason else ".")
        + " What follows is what there is so far; nothing of it is judged on test yet."
    ]


def _of_data(snapshot: Snapshot) -> list[str]:
    """Return what the dataset left out or noticed, in at most so many notes."""
    notes = snapshot.resolved.get("notes") or []
    more = len(notes) - _MOST_NOTES
    return [*notes[:_MOST_NOTES], *([f"{more:,} more notes on the data are in resolved.json."] if more > 0 else [])]


def _times(snapshot: Snapshot) -> list[tuple[str, float, float]]:
    """Return what took how long, in seconds and as a part of all: parts that do not overlap."""
    seconds_of = (snapshot.results or {}).get("seconds") or {
        "train": sum(line.get("seconds/train") or 0 for line in snapshot.history),
        "eval": sum(line.get("seconds/eval") or 0 for line in snapshot.history),
    }
    waiting, checkpoints = seconds_of.get("data", 0.0), seconds_of.get("checkpoint", 0.0)
    parts = {
        "training": max(seconds_of["train"] - waiting, 0.0),
        "waiting for data": waiting,
        "evaluation": seconds_of["eval"],
        "checkpoints": checkpoints,
    }
    begin_and_end = seconds_of.get("total", 0.0) - sum(parts.values())
    parts |= {"preparation, and the rest": begin_and_end} if begin_and_end > 0 else {}
    total = max(sum(parts.values()), 1e-9)
    return [(name, seconds, seconds / total) for name, seconds in parts.items() if seconds or name == "training"]


def _data(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Return for each split its samples, and the fingerprints of its data."""
    prints = snapshot.resolved.get("data") or {}
    return [
        {"split": split, "samples": samples, "inputs": None, "targets": None, **(prints.get(split) or {})}
        for split, samples in (snapshot.resolved.get("samples") or {}).items()
    ]


def _environment(snapshot: Snapshot) -> list[tuple[str, Any]]:
    resolved = snapshot.resolved
    rows = [*(resolved.get("versions") or {}).items(), *(resolved.get("machine") or {}).items()]
    rows += [(key, resolved.get(key)) for key in ("device", "threads", "precision", "memory_format", "seed")]
    if snapshot.best.get("micro_batch"):
        rows.append(("micro_batch", snapshot.best["micro_batch"]))
    return [(name.replace("_", " "), value) for name, value in rows if value is not None]


def _weights(snapshot: Snapshot) -> int | None:
    path = snapshot.run.weights
    return path.stat().st_size if path.is_file() else None


def _name(part: Any) -> str:
    """Return a part's name, `family/member` where it has a model."""
    if not isinstance(part, Mapping):
        return "?"
    model = part.get("model")
    return f"{part.get('name')}/{model}" if isinstance(model, str) else str(part.get("name"))


def _printable(value: Any) -> Any:
    """Return what can be in a page: no lone surrogates, which are no UTF-8, no characters that control others."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else _UNPRINTABLE.sub("\ufffd", value)


def _short(text: Any, most: int = 48) -> str:
    """Return at most so many characters."""
    text = str(text)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _shortened(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[:_LONG]}\n… and {len(text) - _LONG:,} more characters"


def _figure(value: Any) -> str:
    """Return 0.9876, or 12.3457, or a count; what is no number is a dash."""
    if not is_figure(value) or math.isnan(value):
        return _NONE
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.1f}" if 1000 <= abs(value) < 1e12 else shown(value)


def _rate(rate: Rate) -> str:
    return _NONE if rate.value is None else f"{rate.value:.3f}"


def _number(value: Any) -> str:
    return _NONE if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _seconds(value: Any) -> str:
    """Return 12.3 s, 4 min 5 s, 2 h 3 min."""
    if not isinstance(value, int | float):
        return _NONE
    if value < 60:
        return f"{value:.1f} s"
    minutes, seconds = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def _bytes(value: int) -> str:
    return f"{value / 1e6:.1f} MB" if value >= 1e6 else f"{value / 1e3:.1f} kB"
