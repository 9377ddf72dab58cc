"""What 8-bit integers cost and bring: accuracy on real samples, size, and latency, before and after."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from ftrun import Batch, Target
from ftrun_export.kinds import answers_of
from ftrun_export.parity import Outputs

_ROUNDS, _SECONDS = 30, 3.0  # of timing at most, for each size of batch
_WARM_UP = 3

Model = Callable[[Any], Outputs]


@dataclass
class Scores:
    """One target's scores by two nets, and the truth."""

    target: Target
    truth: list[Tensor] = field(default_factory=list)
    before: list[Tensor] = field(default_factory=list)
    after: list[Tensor] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return quality before and after, and how much is lost: see `Answers.quality`."""
        truth, before, after = map(torch.cat, (self.truth, self.before, self.after))
        kind = answers_of(self.target)
        qualities = {
            name: quality(self.target, scores, truth) for name, scores in (("before", before), ("after", after))
        }
        same = kind.same(self.target, before, after, 0.0)
        return {
            "figure": kind.figure,
            **qualities,
            "lost": qualities["before"] - qualities["after"],
            "agreement": None if same is None else float(same.double().mean()),
        }


def quality(target: Target, scores: Tensor, truth: Any) -> float:
    """Return how good scores are, as the target's kind has it. What is not known does not count."""
    return answers_of(target).quality(target, *target.evaluated(scores, truth, whole=False))


def measure(
    batches: Iterable[Batch],
    before: Callable[[Batch], Outputs],
    after: Callable[[Batch], Outputs],
    targets: Mapping[str, Target],
) -> dict[str, dict[str, Any]]:
    """Return quality before and after by target, on all batches, as the report has it; of those that have one."""
    scores = {name: Scores(target) for name, target in targets.items() if answers_of(target).figure}
    for batch in batches:
        one, other = before(batch), after(batch)
        for name, target in scores.items():
            target.truth.append(batch.targets[name])
            target.before.append(one[name])
            target.after.append(other[name])
    return {name: target.as_json() for name, target in scores.items()}


def latency(before: Model, after: Model, inputs: Any) -> dict[str, float]:
    """Return the milliseconds for one batch, the median of some calls; the two take turns, for the machine changes."""
    models = {"before": before, "after": after}
    for model in models.values():
        for _ in range(_WARM_UP):
            model(inputs)
    seconds: dict[str, list[float]] = {name: [] for name in models}
    ends = perf_counter() + _SECONDS
    while len(seconds["after"]) < _ROUNDS and (perf_counter() < ends or not seconds["after"]):
        for name, model in models.items():
            began = perf_counter()
            model(inputs)
            seconds[name].append(perf_counter() - began)
    return {name: round(1000 * median(times), 3) for name, times in seconds.items()}
