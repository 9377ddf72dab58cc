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
    left = pace.seconds - pace.features
    if left < max(pace.head, knowledge.LEAST_AFTER_FEATURES * pace.seconds):
        part = (pace.seconds - pace.evaluation) / max(pace.features, 1e-9)
        why = f"a pass of the frozen net takes {pace.features:.2g} s here, too much of {pace.seconds:.2g} s"
        return _filled(phases(round(min(0.95, max(0.02, part)), 3), 0, ranges), why)
    head, rest = math.floor(left / pace.head), 0.0
    if course.rest:
        share = (course.head_share * pace.seconds - pace.features) / pace.head
        first = min(head, course.head, max(knowledge.LEAST_HEAD, math.floor(share)))
        rest = epochs_in(left - first * pace.head, pace.everything, pace.evaluation)
        head, rest = (first, rest) if rest >= knowledge.LEAST_REST else (head, 0.0)
    why = f"an epoch of the head takes {pace.head:.2g} s here, one of everything {pace.everything:.2g} s"
    return _filled(phases(head, rest, ranges), why)


def epochs_in(seconds: float, epoch: float, evaluation: float) -> float:
    """Return how many epochs fit into the time, with an evaluation after each, also after a last one cut short."""
    whole = max(0, math.floor(seconds / (epoch + evaluation)))
    left = seconds - whole * (epoch + evaluation) - evaluation
    return round(whole + max(0.0, left / epoch), 4) or round(min(1.0, max(0.01, seconds / (epoch + evaluation))), 4)


def _filled(course: list[dict[str, object]], why: str) -> ftrun.Filled:
    return ftrun.Filled({"train": {"phases": course}}, {"train.phases": why})
