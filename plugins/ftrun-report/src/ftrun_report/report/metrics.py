"""The metrics of results.json, and how far each may be from the truth."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ftrun import Metric, Target, tree_index
from ftrun.commands import Predictions, build, is_figure
from ftrun_report.compare.measures import Outcomes
from ftrun_report.kinds import kind_of
from ftrun_report.report.intervals import GROUPS, Rate, groups, jackknife, proportion
from ftrun_report.snapshot import Snapshot

_NO_INTERVAL: tuple[float | None, float | None] = (None, None)


@dataclass(frozen=True)
class MetricRow:
    """A metric of the best epoch, by split; `low` and `high` are of the split that the run was evaluated on."""

    name: str
    values: Mapping[str, float | None]
    low: float | None
    high: float | None
    monitored: bool


def metrics(snapshot: Snapshot, spec: Any) -> tuple[list[str], list[MetricRow]]:
    """Return the splits that have metrics, and the metrics that are one number.

    spec: the checked spec; metrics of it that are no objects have no intervals
    """
    by_split: dict[str, Mapping[str, Any]] = {"val": snapshot.best.get("val") or {}}
    if snapshot.results:
        by_split = {name: snapshot.results[name] for name in ("val", "test") if snapshot.results.get(name)}
    names = dict.fromkeys(name for each in by_split.values() for name, value in each.items() if _is_one(value))
    evaluated, predictions = by_split.get(snapshot.split), snapshot.evaluated
    intervals: Mapping[str, tuple[float | None, float | None]] = {}
    if predictions and evaluated:
        intervals = _intervals(snapshot.targets, spec.metrics, predictions, evaluated)
    monitor = str(snapshot.resolved.get("monitor")).removeprefix("val/")
    return list(by_split), [
        MetricRow(
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
    targets: Mapping[str, Target], parts: Sequence[Any], predictions: Predictions, evaluated: Mapping[str, Any]
) -> dict[str, tuple[float, float]]:
    """Return the interval of each metric of the split that was evaluated, by name, where it has one."""
    intervals = {}
    for name, target in targets.items():
        for index, part in enumerate(parts):
            key = f"{name}/{part.key}" if len(targets) > 1 else part.key
            value = evaluated.get(key)
            if name not in predictions.outputs:
                continue
            if isinstance(part, Metric) and target.kind in part.kinds and isinstance(value, float):
                outputs, truth, ids = predictions.of(name, target)
                metric = build(part, f"metrics.{index}", target)
                interval = _interval(value, part, metric, target, outputs, truth, len(ids))
                if interval is not None:
                    intervals[key] = interval
    return intervals


def _interval(
    value: float, part: Metric, metric: Any, target: Target, outputs: Any, truth: Any, samples: int
) -> tuple[float, float] | None:
    right = share_right(target, outputs, truth)
    if right and right.value is not None and abs(value - right.value) < 1e-6:  # to what float32 can tell
        return right.low or 0.0, right.high or 0.0
    group = groups(samples)
    if group is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of metrics, where samples that they would like are left out
            half = jackknife(_merged(metric, target, outputs, truth, group))
    except Exception:  # a metric may need samples of every class, say
        return None
    return None if half is None else _within(value, half, higher_is_better=bool(part.higher_is_better))


def _merged(metric: Any, target: Target, outputs: Any, truth: Any, group: Tensor) -> Callable[[list[int]], float]:
    """Return the metric of the samples in some groups, as a function; it goes through each sample only once."""
    metric.reset()
    parts = []
    for number in range(GROUPS):
        part, chosen = deepcopy(metric), (group == number).nonzero().flatten()
        takes_gaps = getattr(part, "takes_gaps", False)
        known, values = target.evaluated(tree_index(outputs, chosen), tree_index(truth, chosen), whole=not takes_gaps)
        if len(Outcomes(known, values)):
            part.update(known, values)
        parts.append(part)

    def of(kept: list[int]) -> float:
        first, *others = kept
        whole = deepcopy(parts[first])
        for other in others:
            whole.merge_state(parts[other])
        return float(whole.compute())

    return of


def share_right(target: Target, outputs: Any, truth: Any) -> Rate | None:
    """Return the part of the samples whose class is predicted right; None where the target has none."""
    if not kind_of(target).decides or not len(truth):
        return None
    return proportion(int((outputs.argmax(1) == truth).sum()), len(truth))


def _within(value: float, half: float, *, higher_is_better: bool) -> tuple[float, float]:
    """Return the interval around a value, cut where no metric can be: what grows ends at 1, an error at 0."""
    low, high = value - half, value + half
    if higher_is_better and value <= 1:
        high = min(high, 1.0)
    if value >= 0 and (not higher_is_better or value <= 1):
        low = max(low, 0.0)
    return low, high
