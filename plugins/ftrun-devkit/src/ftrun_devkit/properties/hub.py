"""What holds for hubs. Nothing is pushed: a hub may be one that all the world sees."""

import inspect
from pathlib import Path

from ftrun_devkit.subject import Subject, expect
from ftrun_devkit.suite import holds_for

_MEND = "Write `def push(self, files, repository, *, message, private)`, and return the address as a str."


@holds_for("hub")
def pushes(subject: Subject, place: Path) -> None:
    """What it builds has `push(files, repository, *, message, private)`."""
    push = getattr(subject.make(place).build(), "push", None)
    expect(callable(push), "what it builds has no method `push`.", _MEND)
    signature = inspect.signature(push)  # type: ignore[arg-type]  # it is callable
    try:
        signature.bind({"net.json": place / "net.json"}, "some/repository", message="a line", private=True)
    except TypeError as error:
        expect(False, f"`push` is not called so: {error}.", _MEND)
