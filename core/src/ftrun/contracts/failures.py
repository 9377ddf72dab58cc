"""What libraries and the machine say of a failure, as one message for the user. Needs no torch."""

import errno
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from ftrun.contracts.errors import FtrunError, SpecError

_OURS = (NameError, AttributeError, TypeError, AssertionError, ImportError)
"""What is raised in the code of whoever calls a library, rather than in the library, by a mistake in that code."""
_NOISE = re.compile(
    r"TORCH_LOGS|TORCHDYNAMO|for more (info|debug)|for (C\+\+|extended|full) (stack|log)|docs\.google\.com|"
    r"^The error above occurred|^While executing|^Original traceback",
    re.IGNORECASE,
)
_HINT = re.compile(r" ?For more information, run with TORCH_LOGS.*")
_FRAME = re.compile(r'^\s*File "(.*)", line \d+')
_LINES = 20
_FILES = (errno.EMFILE, errno.ENFILE)
_MEMORY = ("Cannot allocate memory", "can't allocate memory", "failed to map segment", "bad allocation", "bad_alloc")


@contextmanager
def library_errors(message: str, kind: type[FtrunError] = SpecError) -> Iterator[None]:
    """Turn what a library raises in the block into one error: `message`, and the first line of its own.

    It is for calls on the user's input, a file that may be damaged or a size that may not fit, on which libraries raise
    any exception. Expected errors pass, and so do mistakes in the caller's own code (a wrong name or type in its module
    or package), which keep their traceback.
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


def suggestions(error: BaseException) -> str:
    """Return an exception's type and message with all that it suggests.

    Frames of a traceback and hints on logging are left out; of more than 20 lines, so are those in the middle.
    All lines but the first are indented.
    """
    kept: list[str] = []
    in_frame = False
    for line in _HINT.sub("", str(error)).strip().splitlines():
        was_in_frame, in_frame = in_frame, bool(_FRAME.match(line))
        if in_frame or was_in_frame or not line.strip() or _NOISE.search(line.strip()):
            continue
        kept.append(line.rstrip())
    if len(kept) > _LINES:  # what to do comes last
        kept = [*kept[: _LINES // 2], "...", *kept[-_LINES // 2 :]]
    first, *others = kept or ["no reason given"]
    return "\n  ".join([f"{type(error).__name__}: {first.strip()}", *others])


def shortage(error: BaseException) -> str | None:
    """Return one message about what is short, and what to do; None where `error` is about something else."""
    text = str(error)
    number = error.errno if isinstance(error, OSError) else None
    if number in _FILES or "Too many open files" in text:
        limit = _limit("RLIMIT_NOFILE")
        return (
            f"too many open files: this process may have {limit} of them. Allow more (ulimit -n 4096), or set "
            "train.workers to a smaller number."
        )
    if isinstance(error, MemoryError) or number == errno.ENOMEM or any(each in text for each in _MEMORY):
        limit = _limit("RLIMIT_AS")
        allowed = f" This process may have {limit} of address space (ulimit -v)." if limit else ""
        return (
            f"memory is short: {first_line(error).rstrip('.')}.{allowed} Close other programs, or try a smaller "
            "train.batch_size, input.size or backbone."
        )
    if "can't start new thread" in text:
        return "no thread can be started: too many of this user's run (ulimit -u), or memory is short."
    return None


def _limit(name: str) -> str:
    """Return a limit of this process, for people; nothing where there is none."""
    soft, _ = resource.getrlimit(getattr(resource, name))
    if soft == resource.RLIM_INFINITY:
        return ""
    return f"{soft / 2**30:.1f} GiB" if name == "RLIMIT_AS" else f"{soft:,}"
