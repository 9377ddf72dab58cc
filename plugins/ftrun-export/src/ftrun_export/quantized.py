"""What 8-bit integers cost and bring: accuracy on real samples, size, and latency, before and after."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from ftrun import Batch, Classes, Labels, Target
from ftrun_export.parity import Answers, same_answer

_ROUNDS, _SECONDS = 30, 3.0  # of timing at most, for each size of batch
_WARM_UP = 3

Model = Callable[[Any], Answers]


@dataclass
class Scores:
    """One target's scores by two nets, and the truth."""

    target: Target
    truth: list[Tensor] = field(default_factory=list)
    before: list[Tensor] = field(default_factory=list)
    after: list[Tensor] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return accuracy, or R2 of values, before and after, and how much is lost."""
        truth, before, after = map(torch.cat, (self.truth, self.before, self.after))
        qualities = {
            name: quality(self.target, scores, truth) for name, scores in (("before", before), ("after", after))
        }
        same = same_answer(self.target, before, after, 0.0)
        return {
            "figure": "accuracy" if isinstance(self.target, Classes | Labels) else "r2",
            **qualities,
            "lost": qualities["before"] - qualities["after"],
            "agreement": None if same is None else float(same.double().mean()),
        }


def quality(target: Target, scores: Tensor, truth: Tensor) -> float:
    """Return the part of the samples that is right for classes; of all labels for labels; the mean R2 for values.

    What is not known does not count; where nothing is, it is NaN.
    """
    scores, truth = target.judged(scores, truth, whole=False)
    if isinstance(target, Classes):
        return float((scores.argmax(1) == truth).double().mean())
    known = target.known(truth)
    if isinstance(target, Labels):
        return float(((scores >= 0.5) == (truth >= 0.5))[known].double().mean())
    truth = truth.double()
    off = (scores.double() - truth).square().nansum(0)
    spread = (truth - truth.nanmean(0)).square().nansum(0)
    return float((1 - off / spread)[known.any(0) & (spread > 0)].mean())


def measure(
    batches: Iterable[Batch],
    before: Callable[[Batch], Answers],
    after: Callable[[Batch], Answers],
    targets: Mapping[str, Target],
) -> dict[str, dict[str, Any]]:
    """Return quality before and after by target, on all batches, as the report has it."""
    scores = {name: Scores(target) for name, target in targets.items()}
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
