"""Runs side by side, and each against the first one on the same samples; as JSON values."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ftrun import Classes, Run, Target
from ftrun.commands import part_name
from ftrun_report.compare import specs
from ftrun_report.compare.measures import Said, measures
from ftrun_report.compare.paired import Difference, differences, discordant, holm, mcnemar
from ftrun_report.compare.pairing import NotPaired, paired, said_of
from ftrun_report.compare.verdict import verdict
from ftrun_report.record import Record
from ftrun_report.weightfile import parameters


def compare(runs: Sequence[Run]) -> dict[str, Any]:
    """Return what `ftrun compare --json` prints: the runs, how their specs differ, and a comparison for each but one.

    Raises SpecError where one has no best epoch yet, FtrunError for damaged files.
    """
    records = [Record(run) for run in runs]
    first, *others = records
    compared = [_against(first, other) for other in others]
    _judge(compared)
    return {
        "baseline": str(first.folder),
        "runs": [_described(record) for record in records],
        "differences": specs.differing([record.resolved for record in records]),
        "comparisons": compared,
    }


def _described(record: Record) -> dict[str, Any]:
    spec, weights = record.spec, record.run.weights
    return {
        "run": str(record.folder),
        "split": record.split,
        "figures": figures(record),
        "parameters": parameters(weights),
        "seconds": record.seconds,
        "bytes": weights.stat().st_size,
        "backbone": part_name(spec.get("backbone")),
        "dataset": part_name(spec.get("dataset")),
        "input_size": record.resolved["input"].get("size"),
        "samples": record.resolved["samples"].get(record.split),
        "epochs": record.train.get("epochs"),
        "best_epoch": record.best.get("epoch"),
    }


def figures(record: Record) -> dict[str, float]:
    """Return what runs are compared in, from a run's predictions, or else what results.json has.

    With several targets, the names are such as `color/accuracy`.
    """
    if record.predictions is None:
        return record.metrics(record.split)
    found: dict[str, float] = {}
    for name, target in record.targets.items():
        said = said_of(target, record.predictions.outputs[name], record.predictions.truth[name])
        for measure in measures(target) if len(said) else ():
            found |= {_key(record.targets, name, figure): value for figure, value in measure.of(said).items()}
    return found


def _key(targets: Mapping[str, Target], target: str, figure: str) -> str:
    return f"{target}/{figure}" if len(targets) > 1 else figure


def _against(first: Record, other: Record) -> dict[str, Any]:
    try:
        pairs = paired(first, other)
    except NotPaired as reason:
        return {"run": str(other.folder), "paired": False, "reason": str(reason), "samples": None, "figures": {}}
    found: dict[str, Any] = {}
    for name, (one, second) in pairs.items():
        target = first.targets[name]
        told = {figure: _as_json(figure, each) for figure, each in _differences(target, one, second).items()}
        next(iter(told.values()))["main"] = True
        if isinstance(target, Classes):
            told["accuracy"]["only_one_right"] = list(discordant(one, second))
        found |= {_key(first.targets, name, figure): each for figure, each in told.items()}
    samples = max(len(said) for said, _ in pairs.values())
    return {"run": str(other.folder), "paired": True, "reason": None, "samples": samples, "figures": found}


def _differences(target: Target, one: Said, second: Said) -> dict[str, Difference]:
    found = differences(measures(target), one, second)
    if isinstance(target, Classes):
        p, test = mcnemar(*discordant(one, second))
        found["accuracy"] = replace(found["accuracy"], p=p, test=test)
    return found


def _as_json(figure: str, found: Difference) -> dict[str, Any]:
    return {
        "figure": figure,
        "main": False,
        "first": found.first,
        "second": found.second,
        "difference": found.second - found.first,
        "interval": list(found.interval),
        "p": found.p,
        "test": found.test,
    }


def _judge(compared: Sequence[dict[str, Any]]) -> None:
    """Add to each figure its verdict, given how many runs are asked about at once."""
    told = [each for each in compared if each["paired"]]
    for key in dict.fromkeys(key for each in told for key in each["figures"]):
        entries = [each["figures"][key] for each in told if key in each["figures"]]
        for entry, adjusted in zip(entries, holm([entry["p"] for entry in entries]), strict=True):
            found = Difference(entry["first"], entry["second"], tuple(entry["interval"]), entry["p"], entry["test"])
            said = verdict(entry["figure"], found, adjusted, len(entries))
            entry |= {"p_adjusted": adjusted, "verdict": said.word, "why": said.why}
