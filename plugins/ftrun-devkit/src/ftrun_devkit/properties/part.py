"""What holds for every part."""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ftrun.devtools import HEAVY, ROLE_OF_HOOK
from ftrun_devkit.subject import Subject, expect, fail
from ftrun_devkit.suite import holds_for

_IMPORT = """
import importlib, sys
sys.path[:0] = {path!r}
module = importlib.import_module({module!r})
for name, hook in list(vars(module).items()):
    if hasattr(hook, "ftrun_impl") and name in {hooks!r}:
        for part in hook():
            part.model_json_schema()
print(*sorted({heavy!r} & set(sys.modules)))
"""


@holds_for()
def import_light(subject: Subject, place: Path) -> None:
    """Importing the plugin, and showing a part's options, loads nothing heavy."""
    loaded, error = _loads(subject.part.__module__)
    if error:
        fail(f"in a fresh process the module cannot be imported: {error}", "Let it import by itself, wherever it is.")
    expect(
        not loaded,
        f"importing {subject.part.__module__} loads {', '.join(loaded)}.",
        "Import it inside build(), and under TYPE_CHECKING for annotations, which then stand in quotes.",
    )


@cache
def _loads(module: str) -> tuple[list[str], str]:
    """Which heavy packages a module loads in a fresh process, and why it cannot be imported."""
    path = [each or os.getcwd() for each in sys.path]
    code = _IMPORT.format(path=path, module=module, hooks=set(ROLE_OF_HOOK), heavy=set(HEAVY))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    return done.stdout.split(), done.stderr.strip().rpartition("\n")[2] if done.returncode else ""


@holds_for()
def lower_case_name(subject: Subject, place: Path) -> None:
    """A part's name is lower-case."""
    expect(
        subject.name == subject.name.lower(),
        f"{subject.name!r} has capital letters.",
        f"Call it {subject.name.lower()!r}: specs are typed by hand.",
    )


@holds_for()
def docstring(subject: Subject, place: Path) -> None:
    """A part says in a docstring of its own what it is; its first line is shown by `ftrun plugins`."""
    own = (subject.part.__doc__ or "").strip()
    expect(
        bool(own), f"{subject.part.__name__} has no docstring.", "Say in one sentence what it is, for `ftrun plugins`."
    )


@holds_for()
def options_described(subject: Subject, place: Path) -> None:
    """Every option has a description."""
    without = [
        name
        for name, field in subject.part.model_fields.items()
        if name != subject.part.tag and not (field.description or "").strip()
    ]
    expect(
        not without,
        f"these options have no description: {', '.join(without)}.",
        'Write each as `Field(..., description="What it does.")`.',
    )


@holds_for()
def options_round_trip(subject: Subject, place: Path) -> None:
    """Options come back from JSON as they were: a run records them, and is resumed from that."""
    part = subject.make(place)
    text = json.dumps(part.model_dump(mode="json"))
    try:
        again = subject.part.model_validate_json(text, context=subject.context)
    except ValidationError as error:
        fail(f"what it writes, {text}, is not what it reads: {error.errors()[0]['msg']}.", "Use types that JSON has.")
    expect(
        again == part, f"{text} reads as another part.", "Let no option change its value on the way to JSON and back."
    )


@holds_for()
def extra_keys_refused(subject: Subject, place: Path) -> None:
    """An option that it does not have is refused, so that a slip of the pen is told."""
    try:
        subject.make(place, no_such_option=1)
    except ValidationError:
        return
    fail("it takes an option that it does not have.", 'Leave `extra="forbid"` of ftrun\'s Part as it is.')


@holds_for()
def defaults_build(subject: Subject, place: Path) -> None:
    """With its defaults (or the options that the test gives), the part builds."""
    missing = subject.lacks
    if missing:
        fail(
            f"these options have no default: {', '.join(missing)}.",
            f"Give them one, or give the test some: options={{{subject.name!r}: {{{missing[0]!r}: ...}}}} "
            f"(on the command line: --set {subject.name}.{missing[0]}=...).",
        )
    build: Callable[[Subject, Path], Any] = BUILD[subject.part.role]
    expect(
        build(subject, place) is not None,
        "build() gives None.",
        "Let build() return what it makes.",
    )


@holds_for()
def picklable(subject: Subject, place: Path) -> None:
    """The part can be pickled; what it builds too, where worker processes need it."""
    part = subject.make(place)
    try:
        again = pickle.loads(pickle.dumps(part))
        if subject.part.role == "dataset":
            for _, split in part.build().items():
                pickle.loads(pickle.dumps(split))
        if subject.part.role == "backbone":
            pickle.loads(pickle.dumps(subject.seen(place).input))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        fail(
            f"it cannot go to another process: {error}.",
            "Define its classes at the top level of a module, and keep open files and lambdas out of them.",
        )
    expect(again == part, "what comes back from pickle is another part.", "Keep all of its state in its options.")


def _made(subject: Subject, place: Path) -> object:
    made: object = subject.make(place)
    return made


def _built(subject: Subject, place: Path) -> object:
    built: object = subject.make(place).build()
    return built


def _augmentation(subject: Subject, place: Path) -> object:
    from ftrun_devkit.properties.augmentation import augmentation_of

    return augmentation_of(subject, place)


def _net(subject: Subject, place: Path) -> object:
    return subject.seen(place)


def _loss(subject: Subject, place: Path) -> object:
    from ftrun_devkit.properties.training import loss_of

    return loss_of(subject, place, subject.make(place).kinds[0])[0]


def _objective(subject: Subject, place: Path) -> object:
    from torch import nn

    from ftrun.devtools import Supervised

    net = subject.host()
    net.set_targets(subject.checked({}).dataset.build().targets)  # as in its runs
    losses = Supervised({name: nn.CrossEntropyLoss() for name in net.targets}, net.targets)
    part = subject.make(place)
    built: object = part.build(net, losses if part.uses_losses else None)
    return built


def _sampler(subject: Subject, place: Path) -> object:
    splits = subject.checked({}).dataset.build()
    built: object = subject.make(place).build(splits.training, splits.targets)
    return built


def _recipe(subject: Subject, place: Path) -> object:
    from ftrun_devkit.properties.recipe import facts_of

    filled: object = subject.make(place).build(facts_of(subject, place))
    return filled


def _optimizer(subject: Subject, place: Path) -> object:
    from ftrun_devkit.properties.training import tiny_problem

    optimizer: object = subject.make(place).build(tiny_problem().parameters())
    return optimizer


def _metric(subject: Subject, place: Path) -> object:
    from ftrun_devkit.properties.metric import metric_of

    return metric_of(subject, place, subject.make(place).kinds[0])


BUILD = {
    "dataset": _built,
    "backbone": _net,
    "modifier": _net,
    "head": _net,
    "augmentation": _augmentation,
    "loss": _loss,
    "objective": _objective,
    "optimizer": _optimizer,
    "sampler": _sampler,
    "scheduler": _built,
    "metric": _metric,
    "recipe": _recipe,
    "observer": _built,
    "exporter": _built,
    "hub": _built,
    "target": _made,
}
