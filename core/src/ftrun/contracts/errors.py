"""Expected errors: one message, an exit code, no traceback.

    FtrunError          1  the run failed
    ├── SpecError       2  the spec or the command line is wrong
    ├── PluginError     3  a plugin is broken, missing or clashes
    ├── DataError       4  the data is wrong
    ├── DivergedError   5  training diverged
    ├── WorkerLost      1  a process that reads samples died
    ├── CannotWrite     1  standard output cannot be written
    └── Interrupted     130, 143 or 129, after SIGINT, SIGTERM or SIGHUP

Anything else that is raised is a fault of ours or of a plugin, and keeps its traceback.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches


class FtrunError(Exception):
    """An expected error; `where` is the place in the spec (`modifiers.0`), where one is known."""

    exit_code: int = 1

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class SpecError(FtrunError):
    """The spec or the command line is wrong; a message may hold several lines, one for each mistake."""

    exit_code = 2


class PluginError(FtrunError):
    """A plugin that is needed is broken, missing, or clashes with another one."""

    exit_code = 3


class DataError(FtrunError):
    """The data is missing, unreadable or contradicts itself."""

    exit_code = 4


class DivergedError(FtrunError):
    """The loss is no longer finite."""

    exit_code = 5


_SIGNALS = {1: "SIGHUP: its terminal is gone", 2: "Ctrl-C", 15: "SIGTERM"}


class Interrupted(FtrunError):
    """Stopped by a signal."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by {_SIGNALS.get(signal_number, f'signal {signal_number}')}")
        self.signal_number = signal_number
        self.exit_code = 128 + signal_number  # as shells have it


class WorkerLost(FtrunError):
    """A process that reads samples died between two steps."""


class CannotWrite(FtrunError):
    """Standard output cannot be written: its disk is full, for one."""


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong in a spec: its place (`optimizer.lr`) and what to do about it."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


@contextmanager
def located(where: str) -> Iterator[None]:
    """Give expected errors from inside the block a place in the spec, unless they name one themselves."""
    try:
        yield
    except FtrunError as error:
        error.where = error.where or where
        raise


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'momentum'?`, or nothing where no known name is near."""
    by_lower = {each.lower(): each for each in known}
    wanted = name.lower()
    near = get_close_matches(wanted, by_lower, n=1) or [each for each in by_lower if wanted and each.startswith(wanted)]
    if not near and len(wanted) > 3:
        near = [
            each for each in by_lower if wanted in re.split(r"[-_./ ]", each)
        ]  # 'flip' is a word of 'horizontal-flip'
    return f" Did you mean {by_lower[near[0]]!r}?" if near else ""
