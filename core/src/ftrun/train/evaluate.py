"""Loss and metrics on one split."""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ftrun.contracts.data import Batch
from ftrun.contracts.errors import DataError, PluginError
from ftrun.contracts.net import Net
from ftrun.contracts.objective import ObjectiveModule, StepInfo
from ftrun.contracts.randomness import reseed, seed_of
from ftrun.contracts.targets import Target
from ftrun.contracts.trees import Tree, in_float32, leaves, moved, samples_in
from ftrun.data.loader import Loader
from ftrun.runs.console import Bar
from ftrun.runs.predictions import Collected
from ftrun.train.flips import over_flips
from ftrun.train.memory import Portions
from ftrun.train.metricvalues import values_of
from ftrun.train.objective import evaluating
from ftrun.train.signals import Signals
from ftrun.train.tuning import ComputeFormat


@dataclass(frozen=True)
class Evaluator:
    """What evaluates a net: in a run, or when one is opened again."""

    net: Net
    seed: int
    device: torch.device
    setting: ComputeFormat
    objective: ObjectiveModule
    targets: Mapping[str, Target]
    missing: Collection[str]
    """Targets that some samples do not have."""
    metrics: Mapping[str, Mapping[str, Any]]
    """By target's name and the metric's key."""
    ready: Callable[[Batch], Batch]
    """Returns a batch as the net takes it."""
    flips: bool = False
    """Whether outputs, and losses, are means over each image and its mirror image."""


@torch.no_grad()
def evaluate(
    evaluator: Evaluator,
    loader: Loader,
    bar: Bar | None = None,
    signals: Signals | None = None,
    *,
    portions: Portions,
    keep: Collected | None = None,
) -> dict[str, Any]:
    """{"loss": .., "accuracy": .., ...} on what `loader` reads, net and objective in evaluation mode.

    What draws random numbers draws the same ones each time: whoever evaluates a run again gets its metrics.

    With several targets the names are such as "color/accuracy". A figure is a float; a metric that is not one figure
    (a confusion matrix) gives nested lists, one that nothing was known for NaN.

    bar: shown how far it is; signals: heeded after each batch; portions: make the forward passes
    keep: takes what the net gives for each sample
    """
    net = evaluator.net
    net.eval()
    sums: dict[str, Tensor] = {}
    samples, at = 0, StepInfo(evaluator.seed)
    evaluated: set[tuple[str, str | None]] = set()
    draws = seed_of(evaluator.seed, "evaluate")

    def forward(batch: Batch) -> tuple[dict[str, Tree], dict[str, Tensor]]:
        with evaluator.setting.autocast(evaluator.device):
            terms = evaluator.objective(net, batch, at)
        return dict(terms.outputs), {name: value[None] for name, value in {"loss": terms.loss, **terms.parts}.items()}

    both = over_flips(forward) if evaluator.flips else forward
    with evaluating(evaluator.objective):
        for number, batch in enumerate(loader.in_order(evaluator.ready)):
            reseed(evaluator.device, (draws + number) % 2**63)
            outputs, values = portions.outputs(both, batch)
            lengths = [len(part) for part in batch.parts(portions.size)]  # that went through the net at once
            for name, means in values.items():
                total = sum(mean * length for mean, length in zip(means, lengths, strict=True))
                sums[name] = sums[name] + total if name in sums else total
            decoded = {
                name: target.decode(in_float32(outputs[name]))
                for name, target in evaluator.targets.items()
                if name in outputs
            }
            if keep:
                keep.add(batch, decoded, evaluator.targets)
            evaluated |= _update(evaluator, decoded, batch.targets)
            samples += len(batch)
            if bar:
                bar.advance(len(batch))
            if signals:
                signals.check()
    if not samples:
        raise DataError(f"no sample of {loader.name} can be read.")
    results: dict[str, Any] = {name: float(value) / samples for name, value in sums.items()}
    for target, metrics in evaluator.metrics.items():
        prefix = f"{target}/" if len(evaluator.metrics) > 1 else ""
        if prefix and (target, None) not in evaluated:
            results[f"{prefix}loss"] = math.nan
        for key, metric in metrics.items():
            known = (target, key) in evaluated
            results |= values_of(prefix + key, metric.compute()) if known else {prefix + key: math.nan}
            metric.reset()
    return results


def _update(
    evaluator: Evaluator, decoded: Mapping[str, Tree], truth: Mapping[str, Tree]
) -> set[tuple[str, str | None]]:
    """Have the metrics take a batch; return (target, key) of those that had something to take, and (target, None)."""
    evaluated: set[tuple[str, str | None]] = set()
    for name, metrics in evaluator.metrics.items():
        if name not in decoded:
            if not metrics:
                continue
            raise PluginError(f"the objective gives no output for target {name!r}: leave its metrics out.")
        values = moved(truth[name], next(leaves(decoded[name])).device)
        gaps = evaluator.targets[name] if name in evaluator.missing else None
        if gaps is None or gaps.present(values).any():
            evaluated.add((name, None))
        evaluated |= {(name, key) for key, metric in metrics.items() if update(metric, decoded[name], values, gaps)}
    return evaluated


def update(metric: Any, output: Tree, values: Tree, gaps: Target | None) -> bool:
    """Have a metric take a batch, in the terms of `Target.decode`; whether there was something for it.

    gaps: the target, where samples may miss it
    """
    if gaps is not None:
        output, values = gaps.evaluated(output, values, whole=not getattr(metric, "takes_gaps", False))
    samples = samples_in(values)
    if samples:
        metric.update(output, values)
    return samples > 0
