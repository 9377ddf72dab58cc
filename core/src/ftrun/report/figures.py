"""The figures of results.json, and how far each may be from the truth."""

import warnings
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ftrun.contracts.figures import is_figure
from ftrun.contracts.specs import Metric
from ftrun.contracts.targets import Classes, Target
from ftrun.report.intervals import GROUPS, Rate, groups, jackknife, proportion
from ftrun.report.record import Record
from ftrun.runs.predictions import Predictions
from ftrun.spec.runspec import RunSpec
from ftrun.train.assemble import build_metrics
from ftrun.train.evaluate import update

_NO_INTERVAL: tuple[float | None, float | None] = (None, None)


@dataclass(frozen=True)
class Figure:
    """A figure of the best epoch, by split; `low` and `high` are of the split that was judged."""

    name: str
    values: Mapping[str, float | None]
    low: float | None
    high: float | None
    monitored: bool


def figures(record: Record, spec: RunSpec) -> tuple[list[str], list[Figure]]:
    """The splits that there are figures of, and the figures that are one number."""
    by_split: dict[str, Mapping[str, Any]] = {"val": record.best.get("val") or {}}
    if record.results:
        by_split = {name: record.results[name] for name in ("val", "test") if record.results.get(name)}
    names = dict.fromkeys(name for each in by_split.values() for name, value in each.items() if _is_one(value))
    judged, said = by_split.get(record.split or ""), record.predictions
    intervals: Mapping[str, tuple[float | None, float | None]] = {}
    if said and judged:
        intervals = _intervals(record.targets, spec, said, judged)
    monitor = str(record.resolved.get("monitor")).removeprefix("val/")
    return list(by_split), [
        Figure(
            name,
            {split: each.get(name) for split, each in by_split.items()},
            *intervals.get(name, _NO_INTERVAL),
            monitored=name == monitor,
        )
        for name in names
    ]


def _is_one(value: Any) -> bool:
    return value is None or is_figure(value)


def _intervals(
    targets: Mapping[str, Target], spec: RunSpec, said: Predictions, judged: Mapping[str, Any]
) -> dict[str, tuple[float, float]]:
    """Of the figures of the split that was judged, by name."""
    built = build_metrics(spec, targets, torch.device("cpu"))
    found = {}
    for target, metrics in built.items():
        for part in spec.metrics:
            name = f"{target}/{part.key}" if len(built) > 1 else part.key
            value = judged.get(name)
            if part.key in metrics and isinstance(value, float):
                outputs, truth, _ = said.of(target, targets[target])
                interval = _interval(value, part, metrics[part.key], targets[target], outputs, truth)
                if interval is not None:
                    found[name] = interval
    return found


def _interval(
    value: float, part: Metric, metric: Any, target: Target, outputs: Tensor, truth: Tensor
) -> tuple[float, float] | None:
    right = share_right(target, outputs, truth)
    if right and right.value is not None and abs(value - right.value) < 1e-6:  # to what float32 can tell
        return right.low or 0.0, right.high or 0.0
    group = groups(len(outputs))
    if group is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of metrics, where samples that they would like are left out
            half = jackknife(_merged(metric, target, outputs, truth, group))
    except Exception:  # a metric may need samples of every class, say
        return None
    return None if half is None else _within(value, half, higher_is_better=bool(part.higher_is_better))


def _merged(metric: Any, target: Target, outputs: Tensor, truth: Tensor, group: Tensor) -> Callable[[list[int]], float]:
    """The metric of the samples in some groups; it goes through each sample only once."""
    metric = metric.made  # copies and merges are of the object itself
    metric.reset()
    parts = []
    for each in range(GROUPS):
        part, chosen = deepcopy(metric), (group == each).nonzero().flatten()
        update(part, outputs[chosen], truth[chosen], target)
        parts.append(part)

    def of(kept: list[int]) -> float:
        first, *others = kept
        whole = deepcopy(parts[first])
        for each in others:
            whole.merge_state(parts[each])
        return float(whole.compute())

    return of


def share_right(target: Target, outputs: Tensor, truth: Tensor) -> Rate | None:
    """The part of the samples whose class is predicted right, for a target with classes that some have."""
    if not isinstance(target, Classes) or not len(truth):
        return None
    return proportion(int((outputs.argmax(1) == truth).sum()), len(truth))


def _within(value: float, half: float, *, higher_is_better: bool) -> tuple[float, float]:
    """The interval around a value, cut where no such figure can be: what grows ends at 1, an error at 0."""
    low, high = value - half, value + half
    if higher_is_better and value <= 1:
        high = min(high, 1.0)
    if value >= 0 and (not higher_is_better or value <= 1):
        low = max(low, 0.0)
    return low, high
