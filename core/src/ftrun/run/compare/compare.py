"""Runs side by side, and each against the first one on the same samples; as JSON values."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ftrun.contracts.targets import Classes, Target
from ftrun.run.compare import contender, specs
from ftrun.run.compare.contender import Contender
from ftrun.run.compare.measures import Said, measures
from ftrun.run.compare.paired import Difference, differences, discordant, holm, mcnemar
from ftrun.run.compare.pairing import NotPaired, paired, said_of
from ftrun.run.compare.verdict import verdict
from ftrun.runs.summaries import part_name
from ftrun.runs.weightfile import parameters


def compare(paths: Sequence[Path]) -> dict[str, Any]:
    """What `ftrun compare --json` prints: the runs, what differs between their specs, and a comparison for each.

    Raises SpecError where one has no best epoch yet, FtrunError for damaged files.
    """
    runs = [contender.read(path) for path in paths]
    first, *others = runs
    compared = [_against(first, other) for other in others]
    _judge(compared)
    return {
        "baseline": first.name,
        "runs": [_described(run) for run in runs],
        "differences": specs.differing([run.resolved for run in runs]),
        "comparisons": compared,
    }


def _described(run: Contender) -> dict[str, Any]:
    spec, about = run.resolved["spec"], run.resolved["input"]
    return {
        "run": run.name,
        "split": run.split,
        "figures": figures(run),
        "parameters": parameters(run.weights),
        "seconds": run.seconds,
        "bytes": run.weights.stat().st_size,
        "backbone": part_name(spec.get("backbone")),
        "dataset": part_name(spec.get("dataset")),
        "input_size": about.get("size"),
        "samples": run.resolved["samples"].get(run.split),
        "epochs": run.train.get("epochs"),
        "best_epoch": run.best.get("epoch"),
    }


def figures(run: Contender) -> dict[str, float]:
    """Of its predictions, all that runs are compared in; else what results.json has. `color/accuracy` of several."""
    if run.predictions is None:
        return run.figures
    found: dict[str, float] = {}
    for name, target in run.targets.items():
        said = said_of(target, run.predictions.outputs[name], run.predictions.truth[name])
        for measure in measures(target) if len(said) else ():
            found |= {_key(run.targets, name, figure): value for figure, value in measure.of(said).items()}
    return found


def _key(targets: Mapping[str, Target], target: str, figure: str) -> str:
    return f"{target}/{figure}" if len(targets) > 1 else figure


def _against(first: Contender, other: Contender) -> dict[str, Any]:
    try:
        pairs = paired(first, other)
    except NotPaired as reason:
        return {"run": other.name, "paired": False, "reason": str(reason), "samples": None, "figures": {}}
    found: dict[str, Any] = {}
    for name, (one, second) in pairs.items():
        target = first.targets[name]
        told = {figure: _as_json(figure, each) for figure, each in _differences(target, one, second).items()}
        next(iter(told.values()))["main"] = True
        if isinstance(target, Classes):
            told["accuracy"]["only_one_right"] = list(discordant(one, second))
        found |= {_key(first.targets, name, figure): each for figure, each in told.items()}
    samples = max(len(said) for said, _ in pairs.values())
    return {"run": other.name, "paired": True, "reason": None, "samples": samples, "figures": found}


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
