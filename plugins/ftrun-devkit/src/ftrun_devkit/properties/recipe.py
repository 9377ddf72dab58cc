"""What holds for recipes."""

from pathlib import Path
from typing import Any

import ftrun
from ftrun.devtools import ROLE_OF_HOOK, fill, stated
from ftrun_devkit.run import tiny_spec
from ftrun_devkit.subject import Subject, expect, fail
from ftrun_devkit.suite import holds_for

_RANGES = (
    None,
    ftrun.TrainingRanges("a net"),
    ftrun.TrainingRanges("a net without weights", optimizer="sgd", lr=0.05, pretrained=False),
)


@holds_for("recipe")
def whole_spec(subject: Subject, place: Path) -> None:
    """With what it fills in, a spec of dataset and backbone is whole, whatever is known of the backbone."""
    spec = subject.checked(_short(subject, place))
    for ranges in _RANGES:
        for minutes in (None, 0.5):
            facts = facts_of(subject, place, ranges, minutes)
            whole, places = fill(spec, facts.spec, subject.make(place).build(facts), subject.catalogue)
            expect(
                whole.loss is not None and whole.optimizer is not None,
                f"with {ranges.family if ranges else 'nothing known of the backbone'} it fills in {', '.join(places)}.",
                "Give `loss` and `optimizer` at the least, of the parts that `facts.parts` has.",
            )


@holds_for("recipe")
def same_facts_same_spec(subject: Subject, place: Path) -> None:
    """It is a function of the facts: asked twice, it fills in the same."""
    facts = facts_of(subject, place)
    first, second = (subject.make(place).build(facts).spec for _ in range(2))
    expect(first == second, f"it fills in {first}, and then {second}.", "Leave out time, randomness and files.")


@holds_for("recipe")
def plans_any_time(subject: Subject, place: Path) -> None:
    """Whatever the time and the speed, its plan is right, and more time is no fewer epochs."""
    spec, epochs = subject.checked(_short(subject, place)), 0.0
    part, facts = subject.make(place), facts_of(subject, place, minutes=0.5)
    for seconds in (0.01, 1.0, 30.0, 3000.0):
        pace = ftrun.Pace(seconds, 10, features=0.5, head=0.05, everything=2.0, evaluation=0.2)
        planned = part.plan(facts, pace)
        if not planned.spec:
            return
        whole, _ = fill(spec, stated(spec), _both(part.build(facts), planned), subject.catalogue)
        total = sum(phase.epochs for phase in whole.train.each_phase)
        if total < epochs:
            fail(
                f"with {seconds:g} s it plans {total:g} epochs, with less time {epochs:g}.", "Let epochs fill the time."
            )
        epochs = total


@holds_for("recipe")
def dataset_and_backbone_run(subject: Subject, place: Path) -> None:
    """A spec of dataset, backbone and recipe runs."""
    short = {"epochs": 1, "precision": "fp32", "memory_format": "contiguous"}
    run = subject.run(place, loss=None, optimizer=None, train=short)
    expect(bool(run.metrics), "there is no epoch.", "Fill in a loss and an optimizer.")


def facts_of(
    subject: Subject, place: Path, ranges: ftrun.TrainingRanges | None = None, minutes: float | None = None
) -> ftrun.Facts:
    """What a recipe would know of a run of tiny parts."""
    splits = subject.checked({}).dataset.build()
    spec = subject.checked(_short(subject, place))
    return ftrun.Facts(
        spec={key: value for key, value in stated(spec).items() if key in ("dataset", "backbone")},
        samples={name: len(split) for name, split in splits.items()},
        targets=splits.targets,
        ranges=ranges,
        input_kind=spec.backbone.input_type.raw_kind,
        raw_size=(8, 8),
        minutes=minutes,
        parts={role.role: subject.catalogue.parts(role.role) for role in ROLE_OF_HOOK.values()},
    )


def _short(subject: Subject, place: Path) -> dict[str, Any]:
    """A spec that leaves out how to train."""
    absent = {key: None for key in tiny_spec() if key not in ("dataset", "backbone")}
    return {**absent, "recipe": subject.in_spec(place)}


def _both(first: ftrun.Filled, second: ftrun.Filled) -> ftrun.Filled:
    train = {**first.spec.get("train", {}), **second.spec.get("train", {})}
    return ftrun.Filled({**first.spec, **second.spec, "train": train})
