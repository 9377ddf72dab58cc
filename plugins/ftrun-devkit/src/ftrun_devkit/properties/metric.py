"""What holds for metrics."""

import math
import pickle
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ftrun import Target
from ftrun_devkit.kinds import CORE, predictions, samples, some, target_of
from ftrun_devkit.subject import Subject, close, expect, fail
from ftrun_devkit.suite import holds_for


@holds_for("metric")
def key_is_plain(subject: Subject, place: Path) -> None:
    """Its key in metrics and results is lower-case letters, digits and underscores: `f1_macro`."""
    key = subject.make(place).key
    expect(
        bool(re.fullmatch(r"[a-z0-9_]+", key)),
        f"its key is {key!r}.",
        "Give `key` such a name, another one for options that give another figure.",
    )


@holds_for("metric")
def gives_a_figure(subject: Subject, place: Path) -> None:
    """compute() gives a tensor, for every kind of target: one finite number, if `higher_is_better` says so."""
    part = subject.make(place)
    for kind in part.kinds:
        value = _value(metric_of(subject, place, kind), target_of(kind), *predictions(target_of(kind), 30))
        expect(
            isinstance(value, Tensor),
            f"on {kind} compute() gives {type(value).__name__}.",
            "Give a tensor, a scalar where it is one figure.",
        )
        expect(
            part.higher_is_better is None or (value.ndim == 0 and bool(value.isfinite())),
            f"on {kind} compute() gives {value.tolist()}.",
            "Give one finite number, or set higher_is_better = None: then it is shown, and cannot be monitored.",
        )


@holds_for("metric")
def one_batch_or_many(subject: Subject, place: Path) -> None:
    """Fed in one batch or in many of any size, it is the same."""
    for kind in subject.make(place).kinds:
        outputs, values = predictions(target_of(kind), 30)
        whole = _value(metric_of(subject, place, kind), target_of(kind), outputs, values)
        parts = _value(metric_of(subject, place, kind), target_of(kind), outputs, values, (0.03, 0.27, 0.6, 1.0))
        expect(
            close(whole, parts),
            f"on {kind} it is {_shown(whole)} in one batch, and {_shown(parts)} in several of other sizes.",
            "Add up sums and counts in update(), and divide in compute(): a mean of batches' means is another figure.",
        )


@holds_for("metric")
def reset_forgets(subject: Subject, place: Path) -> None:
    """After reset() it is as new, and compute() may be called more than once."""
    for kind in subject.make(place).kinds:
        first, second = (predictions(target_of(kind), 30, seed) for seed in (0, 1))
        metric = metric_of(subject, place, kind)
        before = _value(metric, target_of(kind), *first)
        again = metric.compute()
        metric.reset()
        after = _value(metric, target_of(kind), *second)
        fresh = _value(metric_of(subject, place, kind), target_of(kind), *second)
        expect(
            close(before, again),
            f"on {kind} a second compute() gives {_shown(again)} after {_shown(before)}.",
            "Let compute() change nothing.",
        )
        expect(
            close(after, fresh),
            f"on {kind} it is {_shown(after)} after reset(), and {_shown(fresh)} if new.",
            "Let reset() put back all that update() changes.",
        )


@holds_for("metric")
def merges(subject: Subject, place: Path) -> None:
    """Two processes judge half of the samples each: with `merge_state(other)`, it is the figure of all of them."""
    for kind in subject.make(place).kinds:
        outputs, values = predictions(target_of(kind), 30)
        whole = _value(metric_of(subject, place, kind), target_of(kind), outputs, values)
        metric, other = metric_of(subject, place, kind), metric_of(subject, place, kind)
        if not hasattr(metric, "merge_state"):
            fail(
                "it has no merge_state().",
                'Subclass torchmetrics.Metric, with add_state(..., dist_reduce_fx="sum"), or write '
                "merge_state(self, other), which adds the other's sums and counts.",
            )
        first, second = _portions(target_of(kind), outputs, values, (0.37, 1.0))
        metric.update(*first)
        other.update(*second)
        try:
            travelled = pickle.loads(pickle.dumps(other))  # as it goes from one process to another
        except Exception as error:
            fail(f"it cannot go to another process: {error}.", "Define its class at the top level of a module.")
        metric.merge_state(travelled)
        merged = metric.compute()
        expect(
            close(whole, merged),
            f"on {kind} it is {_shown(whole)} of all samples, and {_shown(merged)} merged from two halves.",
            "Let merge_state add up sums and counts.",
        )


@holds_for("metric")
def better_is_better(subject: Subject, place: Path) -> None:
    """What `higher_is_better` says is true: right predictions are no worse than wrong ones."""
    part = subject.make(place)
    if part.higher_is_better is None:
        return
    for kind in part.kinds:
        if kind not in CORE:  # nobody but the kind knows what is right
            continue
        _, values = predictions(target_of(kind), 30)
        right = _right(kind, values)
        good = float(_value(metric_of(subject, place, kind), target_of(kind), right, values))
        bad = float(_value(metric_of(subject, place, kind), target_of(kind), -right, values))
        expect(
            math.isclose(good, bad) or (good > bad) == part.higher_is_better,
            f"on {kind} right predictions get {good:.4g}, wrong ones {bad:.4g}, and higher_is_better is "
            f"{part.higher_is_better}.",
            f"Set higher_is_better = {not part.higher_is_better}.",
        )


def _right(kind: str, values: Tensor) -> Tensor:
    """Outputs that predict these values, surely."""
    if kind == "classes":
        return torch.nn.functional.one_hot(values, int(values.max()) + 1) * 20.0 - 10
    return values * 20.0 - 10 if kind == "labels" else values


def metric_of(subject: Subject, place: Path, kind: str) -> Any:
    """The metric of a target of that kind, on the CPU as a run has it."""
    return subject.make(place).build(target_of(kind)).to(torch.device("cpu"))


def _value(metric: Any, target: Target, outputs: Any, values: Any, parts: tuple[float, ...] = (1.0,)) -> Any:
    for portion in _portions(target, outputs, values, parts):
        metric.update(*portion)
    return metric.compute()


def _portions(target: Target, outputs: Any, values: Any, parts: tuple[float, ...]) -> list[tuple[Any, Any]]:
    """Outputs and values of some samples each; parts: where a portion ends, as a part of all."""
    count = samples(target, values)
    ends = sorted({0, *(max(1, round(part * count)) for part in parts)})
    return [(some(outputs, *each), some(values, *each)) for each in pairwise(ends)]


def _shown(value: Tensor) -> str:
    return f"{float(value):.5g}" if value.ndim == 0 else f"{value.tolist()}"
