"""What the machine has too little of, where that is why something failed. Needs no torch."""

import errno
import resource

_FILES = (errno.EMFILE, errno.ENFILE)
_MEMORY = ("Cannot allocate memory", "can't allocate memory", "failed to map segment", "bad allocation", "bad_alloc")


def shortage(error: BaseException) -> str | None:
    """Return one message about what is short, and what to do; None where `error` is about something else."""
    text = str(error)
    number = error.errno if isinstance(error, OSError) else None
    if number in _FILES or "Too many open files" in text:
        limit = _limit("RLIMIT_NOFILE")
        return f"too many open files: this process may have {limit} of them. Allow more (ulimit -n 4096), or " + (
            "set train.workers to a smaller number."
        )
    if isinstance(error, MemoryError) or number == errno.ENOMEM or any(each in text for each in _MEMORY):
        limit = _limit("RLIMIT_AS")
        allowed = f" This process may have {limit} of address space (ulimit -v)." if limit else ""
        return f"memory is short: {_first_line(error)}.{allowed} Close other programs, or try a smaller " + (
            "train.batch_size, input.size or backbone."
        )
    if "can't start new thread" in text:
        return "no thread can be started: too many of this user's run (ulimit -u), or memory is short."
    return None


def _first_line(error: BaseException) -> str:
    line = str(error).partition("\n")[0].strip().rstrip(".")
    return line or type(error).__name__


def _limit(name: str) -> str:
    """Return a limit of this process, for people; nothing where there is none."""
    soft, _ = resource.getrlimit(getattr(resource, name))
    if soft == resource.RLIM_INFINITY:
        return ""
    return f"{soft / 2**30:.1f} GiB" if name == "RLIMIT_AS" else f"{soft:,}"
