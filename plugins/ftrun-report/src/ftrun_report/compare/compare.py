"""Runs side by side, and each against the first one on the same samples; as JSON values."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ftrun import Run, Target
from ftrun.commands import part_name
from ftrun_report.compare import specs
from ftrun_report.compare.measures import Outcomes
from ftrun_report.compare.paired import Difference, differences, discordant, holm, mcnemar
from ftrun_report.compare.pairing import NotPaired, outcomes_of, paired
from ftrun_report.compare.verdict import verdict
from ftrun_report.kinds import kind_of, measures
from ftrun_report.snapshot import Snapshot
from ftrun_report.weightfile import parameters


def compare(runs: Sequence[Run]) -> dict[str, Any]:
    """Return what `ftrun compare --json` prints: the runs, how their specs differ, and a comparison for each but one.

    Raises SpecError where one has no best epoch yet, FtrunError for damaged files.
    """
    snapshots = [Snapshot(run) for run in runs]
    first, *others = snapshots
    better: dict[str, bool] = {}
    compared = [_against(first, other, better) for other in others]
    _add_verdicts(compared, better)
    return {
        "baseline": str(first.folder),
        "runs": [_described(snapshot) for snapshot in snapshots],
        "differences": specs.differing([snapshot.resolved for snapshot in snapshots]),
        "comparisons": compared,
    }


def _described(snapshot: Snapshot) -> dict[str, Any]:
    spec, weights = snapshot.spec, snapshot.run.weights
    return {
        "run": str(snapshot.folder),
        "split": snapshot.split,
        "metrics": compared_metrics(snapshot),
        "parameters": parameters(weights),
        "seconds": snapshot.seconds,
        "bytes": weights.stat().st_size,
        "backbone": part_name(spec.get("backbone")),
        "dataset": part_name(spec.get("dataset")),
        "input_size": snapshot.resolved["input"].get("size"),
        "samples": snapshot.resolved["samples"].get(snapshot.split),
        "epochs": snapshot.train.get("epochs"),
        "best_epoch": snapshot.best.get("epoch"),
    }


def compared_metrics(snapshot: Snapshot) -> dict[str, float]:
    """Return what runs are compared in, from a run's predictions, or else what results.json has.

    Their names are such as `color/accuracy` where there are several targets.
    """
    if snapshot.predictions is None:
        return snapshot.metrics(snapshot.split)
    metrics: dict[str, float] = {}
    for name, target in snapshot.targets.items():
        compared = measures(target)
        if not compared or name not in snapshot.predictions.outputs:
            every = snapshot.metrics(snapshot.split)
            prefix = f"{name}/" if len(snapshot.targets) > 1 else ""
            metrics |= {key: value for key, value in every.items() if key.startswith(prefix)}
            continue
        outcomes = outcomes_of(target, snapshot.predictions.outputs[name], snapshot.predictions.truth[name])
        for measure in compared if len(outcomes) else ():
            metrics |= {_key(snapshot.targets, name, metric): value for metric, value in measure.of(outcomes).items()}
    return metrics


def _key(targets: Mapping[str, Target], target: str, metric: str) -> str:
    return f"{target}/{metric}" if len(targets) > 1 else metric


def _against(first: Snapshot, other: Snapshot, better: dict[str, bool]) -> dict[str, Any]:
    """Return how a run does against the first. better: gets whether more of a metric is better"""
    try:
        pairs = paired(first, other)
    except NotPaired as reason:
        return {"run": str(other.folder), "paired": False, "reason": str(reason), "samples": None, "metrics": {}}
    compared: dict[str, Any] = {}
    for name, (one, second) in pairs.items():
        target = first.targets[name]
        entries = {
            metric: _as_json(metric, difference) for metric, difference in _differences(target, one, second).items()
        }
        next(iter(entries.values()))["main"] = True
        if kind_of(target).decides:
            entries["accuracy"]["only_one_right"] = list(discordant(one, second))
        higher = {metric: better for each in measures(target) for metric, better in each.higher_is_better.items()}
        better |= {_key(first.targets, name, metric): higher.get(metric, True) for metric in entries}
        compared |= {_key(first.targets, name, metric): entry for metric, entry in entries.items()}
    samples = max(len(outcomes) for outcomes, _ in pairs.values())
    return {"run": str(other.folder), "paired": True, "reason": None, "samples": samples, "metrics": compared}


def _differences(target: Target, one: Outcomes, second: Outcomes) -> dict[str, Difference]:
    by_metric = differences(measures(target), one, second)
    if kind_of(target).decides:
        p, test = mcnemar(*discordant(one, second))
        by_metric["accuracy"] = replace(by_metric["accuracy"], p=p, test=test)
    return by_metric


def _as_json(metric: str, difference: Difference) -> dict[str, Any]:
    return {
        "metric": metric,
        "main": False,
        "first": difference.first,
        "second": difference.second,
        "difference": difference.second - difference.first,
        "interval": list(difference.interval),
        "p": difference.p,
        "test": difference.test,
    }


def _add_verdicts(compared: Sequence[dict[str, Any]], better: Mapping[str, bool]) -> None:
    """Add to each metric its verdict, which depends on how many runs are compared at once."""
    by_run = [comparison["metrics"] for comparison in compared if comparison["paired"]]
    for key in dict.fromkeys(key for metrics in by_run for key in metrics):
        entries = [metrics[key] for metrics in by_run if key in metrics]
        for entry, adjusted in zip(entries, holm([entry["p"] for entry in entries]), strict=True):
            difference = Difference(
                entry["first"], entry["second"], tuple(entry["interval"]), entry["p"], entry["test"]
            )
            judgement = verdict(difference, adjusted, len(entries), higher_is_better=better[key])
            entry |= {"p_adjusted": adjusted, "verdict": judgement.word, "reason": judgement.reason}
