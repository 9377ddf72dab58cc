"""What holds for observers."""

import re
from pathlib import Path

from ftrun.devtools import DivergedError, Observers
from ftrun_devkit.properties.net import expect_same
from ftrun_devkit.run import TinyRun, tiny_spec
from ftrun_devkit.subject import Subject, expect, fail
from ftrun_devkit.suite import holds_for

_MEND = "An observer that raises is dropped. Let each of its methods take what it gets, in a resumed run too."


@holds_for("observer")
def hooks_known(subject: Subject, place: Path) -> None:
    """It has methods marked `@ftrun.hookimpl`, all of them hooks of ftrun's with arguments that these have."""
    observer = subject.make(place).build()
    hooks = [name for name in dir(type(observer)) if hasattr(getattr(type(observer), name), "ftrun_impl")]
    expect(
        bool(hooks),
        "no method of what build() gives is marked, so none would ever be called.",
        "Mark its methods with @ftrun.hookimpl: ftrun_before_run, ftrun_should_stop, ftrun_after_epoch, "
        "ftrun_after_run, ftrun_on_error.",
    )
    Observers(subject.checked(subject.spec(place)), lambda line: None)


@holds_for("observer")
def follows_a_run(subject: Subject, place: Path) -> None:
    """It gets every event of a run and raises at none."""
    _expect_not_dropped(subject.run(place))


@holds_for("observer")
def follows_a_resumed_run(subject: Subject, place: Path) -> None:
    """It gets the events of a run that is broken off and resumed, and raises at none."""
    _expect_not_dropped(subject.interrupted(place))


@holds_for("observer")
def follows_a_failing_run(subject: Subject, place: Path) -> None:
    """It gets the error of a run that diverges, and raises nothing itself."""
    try:
        subject.run(place, optimizer={"name": "tiny-descent", "lr": 1e30})
    except DivergedError:
        _expect_not_dropped(TinyRun(place / "whole" / "run", {}))
        return
    fail("a run that should diverge does not.", "Let the observer change nothing.")


@holds_for("observer")
def changes_nothing(subject: Subject, place: Path) -> None:
    """A run that it follows ends as one without it, of as many epochs: the same weights, the same figures."""
    for name in ("with", "without"):
        (place / name).mkdir()
    followed = subject.run(place / "with")
    train = {**tiny_spec()["train"], "epochs": len(followed.metrics)}  # it may have ended the run
    expect_same(
        followed,
        subject.run(place / "without", observers=None, train=train),
        "Let it write to files of its own, and change neither the run's files nor torch's settings.",
    )


def _expect_not_dropped(run: TinyRun) -> None:
    dropped = re.search(r"observer .* failed in .*", run.log)
    if dropped:
        fail(dropped[0], _MEND)
