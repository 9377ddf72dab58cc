"""What a report, a model card and a comparison say of a target, by its kind.

The core's kinds are here. Another kind brings its own as extensions of these names, all of them optional:

report.section    function (name, target, outputs, truth, ids, pictures) -> str: the section of a target in report.html,
                  as HTML. outputs and truth are what its `pack` keeps of N samples that have the target, ids their
                  indices, int64 [N]; `pictures.picture(id)` is a picture of what the net sees as a data URI, or None,
                  and `pictures.input` the net's InputSpec, or None. What comes from data has to be escaped, as
                  `html.escape` does.
card.text         function (target) -> (str, str): what a model card says that the target is, "boxes of 3 classes", and
                  a sentence on its limits, which begins with a verb, or ""
compare.measures  function (target) -> list of `ftrun_report.Measure`: what runs are compared in; the first gives the
                  verdict
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ftrun import Target


@dataclass(frozen=True)
class Kind:
    """What is said of the core's own kind.

    what: what a net gives, with {} for how many names there are; limits: a sentence on its limits, likewise, and with
        {} for whether probabilities are calibrated, and for what decides of labels
    decides: whether a sample is right or wrong, which is what most call accuracy; has_task: whether model hubs have a
        name for the task; errors: whether its metrics are errors rather than parts of 1
    """

    section: str
    measures: str
    what: str
    limits: str
    decides: bool = False
    has_task: bool = False
    errors: bool = False


_OTHER = Kind("", "", "", "")
_KINDS: Mapping[str, Kind] = {
    "classes": Kind(
        "ftrun_report.report.classes:report",
        "ftrun_report.compare.measures:of_classes",
        "one of {} classes",
        "knows {} classes and gives one of them for whatever it is shown, also for what is none of them. Its "
        "probabilities {}.",
        decides=True,
        has_task=True,
    ),
    "labels": Kind(
        "ftrun_report.report.labels:report",
        "ftrun_report.compare.measures:of_labels",
        "which of {} labels hold",
        "knows {} labels. Their probabilities {}; {}.",
        has_task=True,
    ),
    "values": Kind(
        "ftrun_report.report.values:report",
        "ftrun_report.compare.measures:of_values",
        "{} values",
        "predicts values as they were in training; beyond their range, it has not been tested.",
        errors=True,
    ),
}


def kind_of(target: Target) -> Kind:
    """Return what is said of a kind; nothing of one that is not the core's."""
    return _KINDS.get(target.kind, _OTHER)


def section(target: Target) -> tuple[Callable[..., Any] | None, bool]:
    """Return what makes the section of a target in the report, and whether it gives HTML; None where nothing does."""
    if own := kind_of(target).section:
        return _imported(own), False
    return target.extension("report.section"), True


def measures(target: Target) -> list[Any]:
    """Return the measures that a target is compared in; none of a kind that brings none."""
    made = _imported(own) if (own := kind_of(target).measures) else target.extension("compare.measures")
    return list(made(target)) if made else []


def card_text(target: Target) -> tuple[str, str]:
    """Return what a model card says that a target is, and on its limits."""
    kind, count = kind_of(target), f"{len(target.names_in_use()):,}"
    if kind.what:
        return kind.what.format(count), kind.limits.format(count, *_calibration(target))
    brought = target.extension("card.text")
    what, limits = brought(target) if brought else (f"a target of the kind {target.kind}", "")
    return str(what), str(limits)


def _calibration(target: Target) -> tuple[str, str]:
    """Return whether probabilities are calibrated, and what decides whether a label holds."""
    temperature = getattr(target, "temperature", 1.0)
    known = "have not been calibrated" if temperature == 1 else "were calibrated on val, by a temperature"
    return known, "a threshold of each, chosen on val, decides" if getattr(target, "thresholds", ()) else "0.5 decides"


def _imported(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function
