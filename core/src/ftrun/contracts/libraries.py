"""What a library raises on bad input of the user's, as one expected error."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from ftrun.contracts.errors import FtrunError, SpecError

_OURS = (NameError, AttributeError, TypeError, AssertionError, ImportError)
"""What is raised in the code of whoever calls a library, rather than in the library, by a mistake in that code."""


@contextmanager
def library_errors(message: str, kind: type[FtrunError] = SpecError) -> Iterator[None]:
    """Turn what a library raises in the block into one error: `message`, and the first line of what it said.

    It is for calls on what the user brought, a file that may be damaged or a size that may not fit, which libraries
    answer with whatever they happen to stumble over. Expected errors pass, and so do mistakes in the caller's own code
    (a wrong name or type in its module or package), which keep their traceback.
    """
    try:
        yield
    except FtrunError:
        raise
    except Exception as error:
        trace = error.__traceback__.tb_next if error.__traceback__ else None  # the first frame is this one
        if isinstance(error, _OURS) and trace is not None and _package(trace) == _package(_last(trace)):
            raise
        raise kind(f"{message}: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """Return the first line of what an exception says that is not empty, or its type's name."""
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)


def _last(trace: TracebackType) -> TracebackType:
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace


def _package(trace: TracebackType) -> str:
    return str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
