"""How a recipe shares out the time that a run has."""

import math

import ftrun
from ftrun_recipes import knowledge
from ftrun_recipes.fill import at_once, ranges_of, trained
from ftrun_recipes.knowledge import COURSES

_EVERYTHING = "all of the time for everything"


def planned(name: str, facts: ftrun.Facts, pace: ftrun.Pace) -> ftrun.Filled:
    """Return phases that take `pace.seconds`, as nearly as whole evaluations allow."""
    ranges, course = ranges_of(facts), COURSES[name]
    if facts.states("optimizer") or not ranges.pretrained:
        epochs = epochs_in(pace.seconds, pace.everything, pace.evaluation)
        return ftrun.Filled({"train": {"phases": [{"epochs": epochs}]}}, {"train.phases": _EVERYTHING})
    if course.rest:
        epochs = epochs_in(pace.seconds, pace.everything, pace.evaluation)
        if at_once(epochs, pace.steps_per_epoch, ranges):
            return _filled(0, epochs, ranges, _EVERYTHING)
    left = pace.seconds - pace.features
    if left < max(pace.head, knowledge.LEAST_AFTER_FEATURES * pace.seconds):
        part = (pace.seconds - pace.evaluation) / max(pace.features, 1e-9)
        why = f"a pass of the frozen net takes {pace.features:.2g} s here, too much of {pace.seconds:.2g} s"
        return _filled(round(min(0.95, max(0.02, part)), 3), 0, ranges, why)
    head, rest = math.floor(left / pace.head), 0.0
    if course.rest:
        share = (course.head_share * pace.seconds - pace.features) / pace.head
        first = min(head, course.head, max(knowledge.LEAST_HEAD, math.floor(share)))
        rest = epochs_in(left - first * pace.head, pace.everything, pace.evaluation)
        head, rest = (first, rest) if rest >= knowledge.LEAST_REST else (head, 0.0)
    why = f"an epoch of the head takes {pace.head:.2g} s here, one of everything {pace.everything:.2g} s"
    return _filled(head, rest, ranges, why)


def epochs_in(seconds: float, epoch: float, evaluation: float) -> float:
    """Return how many epochs fit into the time, with an evaluation after each, also after a last one cut short."""
    whole = max(0, math.floor(seconds / (epoch + evaluation)))
    left = seconds - whole * (epoch + evaluation) - evaluation
    return round(whole + max(0.0, left / epoch), 4) or round(min(1.0, max(0.01, seconds / (epoch + evaluation))), 4)


def _filled(head: float, rest: float, ranges: ftrun.TrainingRanges, why: str) -> ftrun.Filled:
    optimizer, phases = trained(head, rest, ranges)
    return ftrun.Filled({"optimizer": optimizer, "train": {"phases": phases}}, {"train.phases": why})
