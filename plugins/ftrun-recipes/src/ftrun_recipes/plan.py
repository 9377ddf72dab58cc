"""How a recipe shares out the time that a run has."""

import math

import ftrun
from ftrun_recipes import knowledge
from ftrun_recipes.fill import phases, ranges_of
from ftrun_recipes.knowledge import COURSES


def planned(name: str, facts: ftrun.Facts, pace: ftrun.Pace) -> ftrun.Filled:
    """Return phases that take `pace.seconds`, as nearly as whole evaluations allow."""
    ranges, course = ranges_of(facts), COURSES[name]
    if facts.states("optimizer") or not ranges.pretrained:
        epochs = epochs_in(pace.seconds, pace.everything, pace.evaluation)
        return _filled([{"epochs": epochs}], "all of the time for everything")
    head_time = pace.seconds - pace.features
    if course.rest:
        head_time = min(course.head * pace.head, course.head_share * pace.seconds - pace.features)
    head = _head_epochs(head_time, pace)
    rest = 0.0
    if course.rest:
        rest = epochs_in(pace.seconds - pace.features - head * pace.head, pace.everything, pace.evaluation)
    if rest < knowledge.LEAST_REST:
        rest, head = 0.0, _head_epochs(pace.seconds - pace.features, pace)
    why = f"an epoch of the head takes {pace.head:.2g} s here, one of everything {pace.everything:.2g} s"
    return _filled(phases(head, rest, ranges), why)


def epochs_in(seconds: float, epoch: float, evaluation: float) -> float:
    """Return how many epochs fit into the time, with an evaluation after each, also after a last one cut short."""
    whole = max(0, math.floor(seconds / (epoch + evaluation)))
    left = seconds - whole * (epoch + evaluation) - evaluation
    return round(whole + max(0.0, left / epoch), 4) or round(min(1.0, max(0.01, seconds / (epoch + evaluation))), 4)


def _head_epochs(seconds: float, pace: ftrun.Pace) -> float:
    epochs = seconds / pace.head
    return max(1, math.floor(epochs)) if epochs >= 1 else max(0.05, round(epochs, 2))


def _filled(course: list[dict[str, object]], why: str) -> ftrun.Filled:
    return ftrun.Filled({"train": {"phases": course}}, {"train.phases": why})
