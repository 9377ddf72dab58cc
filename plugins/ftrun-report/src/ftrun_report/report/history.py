"""The epochs of a run, as curves; and the learning rate, which is known at every step."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ftrun import Scheduler, Target
from ftrun.commands import build
from ftrun_report.kinds import kind_of

_MOST_POINTS = 400
_RATE_POINTS = 300


@dataclass(frozen=True)
class Curve:
    """A metric by epoch; nan where it is no number."""

    name: str
    epochs: list[float]
    values: list[float]


@dataclass(frozen=True)
class Chart:
    """Curves that share an axis."""

    title: str
    curves: list[Curve]
    fractions: bool = False
    """Whether all its values are 0 to 1."""


@dataclass(frozen=True)
class PhaseRow:
    """A phase as the spec has it, and the epochs that it is."""

    first: int
    last: int
    freeze: str | None
    lr_scale: float
    layer_decay: float
    views: int | None
    restart: bool
    input: Mapping[str, Any] | None
    norm: str
    """What batch normalisation goes by where it learns: train or frozen."""


def charts(history: Sequence[Mapping[str, Any]], targets: Mapping[str, Target]) -> list[Chart]:
    """Return charts of losses, of metrics that are fractions (one for each target), and of each other metric.

    Parts of an objective, which are in train and val, have a chart each.
    """
    errors = {name if len(targets) > 1 else "" for name, target in targets.items() if kind_of(target).errors}
    keys = dict.fromkeys(key for line in history for key in line)
    parts = [key.removeprefix("train/") for key in keys if key.startswith("train/") and not key.endswith("/loss")]
    names = [name for name in keys if name.startswith("val/") and name.removeprefix("val/") not in parts]
    loss = [name for name in ("train/loss", "val/loss") if any(name in line for line in history)]
    found = [Chart("Loss", [_curve(history, name) for name in loss])] if loss else []
    of_targets = [name for name in names if name.endswith("/loss") and name != "val/loss"]
    found += [Chart("Loss of each target on val", [_curve(history, name) for name in of_targets])] if of_targets else []
    for part in parts:
        both = [f"{split}/{part}" for split in ("train", "val") if f"{split}/{part}" in keys]
        found.append(Chart(part, [_curve(history, name) for name in both]))
    together: dict[str, list[Curve]] = {}
    for name in names:
        if name == "val/loss" or name in of_targets:
            continue
        curve = _curve(history, name)
        target = name.removeprefix("val/").rpartition("/")[0]
        if target not in errors and all(0 <= value <= 1 for value in curve.values if not math.isnan(value)):
            together.setdefault(target, []).append(curve)
        else:
            found.append(Chart(name, [curve]))
    fractions = [
        Chart(f"Figures on val{f': {target}' if target else ''}", curves, fractions=True)
        for target, curves in together.items()
    ]
    return [*found[:1], *fractions, *found[1:]]


def together(histories: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Chart]:
    """Return a chart for each metric of val, and for the loss in training, with a curve for each run that has it."""
    keys = dict.fromkeys(key for history in histories.values() for line in history for key in line)
    return [
        Chart(
            key,
            [
                replace(_curve(history, key), name=run)
                for run, history in histories.items()
                if any(key in line for line in history)
            ],
        )
        for key in keys
        if key.startswith(("train/", "val/"))
    ]


def _curve(history: Sequence[Mapping[str, Any]], name: str) -> Curve:
    kept = _thinned(history, _MOST_POINTS)
    return Curve(name, [float(line["epoch"]) for line in kept], [_number(line.get(name)) for line in kept])


def _thinned(history: Sequence[Mapping[str, Any]], most: int) -> Sequence[Mapping[str, Any]]:
    """Return some of very many epochs, and always the last one."""
    step = max(-(-len(history) // most), 1)
    return history[::-step][::-1]


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def learning_rate(history: Sequence[Mapping[str, Any]], spec: Any, resolved: Mapping[str, Any]) -> tuple[Curve, Curve]:
    """Return the largest learning rate of any stage: as scheduled, by epochs done; as recorded after each epoch.

    In an epoch it is a constant (the optimizer's rate, the phase's factor) times the scheduler's factor, which is a
    function of progress, and the rise where a phase begins, which is over before the epoch is. The constant follows
    from what was recorded.
    """
    recorded = _curve(history, "lr")
    per_epoch = resolved.get("steps_per_epoch") or (int(history[0]["step"]) if history else 1)
    points = Curve("recorded", [epoch - 1 / per_epoch for epoch in recorded.epochs], recorded.values)
    if not isinstance(spec.scheduler, Scheduler | None):  # plain JSON: it comes from code that may not run
        return Curve("scheduled", [], []), points
    schedule = build(spec.scheduler, "scheduler") if spec.scheduler else _constant
    course = spec.train.course(per_epoch, (resolved.get("recipe") or {}).get("knots") or ())
    portions = max(min(_RATE_POINTS // max(len(history), 1), per_epoch), 1)
    times: list[float] = []
    rates: list[float] = []
    for line in _thinned(history, _RATE_POINTS):
        epoch, rate = int(line["epoch"]), _number(line.get("lr"))
        begin, end = course.begin(epoch), course.end(epoch)
        factor = course.rate_factor(schedule, end - 1) if begin < end else 0.0
        if not factor:
            continue
        for portion in range(portions):
            step = begin + portion * (end - 1 - begin) // max(portions - 1, 1)
            times.append(epoch - 1 + (step - begin) / (end - begin))
            rates.append(rate / factor * course.rate_factor(schedule, step))
    return Curve("scheduled", times, rates), points


def _constant(progress: float) -> float:
    return 1.0


def phases(spec: Any, norms: Sequence[str]) -> list[PhaseRow]:
    """Return the phases of the spec; none where it has none.

    norms: what batch normalisation did in each
    """
    found, first = [], 1
    for phase, norm in zip(spec.train.phases or (), norms, strict=False):
        last = first + math.ceil(phase.epochs) - 1
        norm = "frozen" if phase.freeze == "features" else norm
        rates = phase.lr_scale, phase.layer_decay
        found.append(PhaseRow(first, last, phase.freeze, *rates, phase.views, phase.restart, phase.input, norm))
        first = last + 1
    return found
