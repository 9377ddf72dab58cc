"""The file layer: whole writes, syncs, renames, and one message for what the system refuses."""

import ctypes
import errno
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from ftrun.contracts.errors import FtrunError

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file beside its place, sync it, and rename it into place: a reader sees the old text or the new one."""
    beside = path.with_name(f".{path.name}.new")
    with writing(path):
        try:
            with beside.open("wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
            sync(path.parent)
        except OSError:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise


def sync(path: Path) -> None:
    """Have a file or a folder's list of names on the disk itself, where a power cut leaves it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def put_in_place(new: Path, place: Path, aside: Path) -> None:
    """Rename the folder `new` to `place`; what was there goes to `aside`, whose old content is removed.

    Where the system can exchange two names (Linux), `place` is never missing: that is one rename. Elsewhere there
    is a moment in which only `aside` has what was in `place`.
    """
    shutil.rmtree(aside, ignore_errors=True)
    if not place.exists():
        new.rename(place)
    elif exchange(new, place):
        new.rename(aside)
    else:
        place.rename(aside)
        new.rename(place)
    sync(place.parent)


def exchange(one: Path, other: Path) -> bool:
    """Let two names change places at once, and say whether the system could (renameat2(2), Linux 3.15)."""
    rename = _renameat2()
    return rename is not None and not rename(
        _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE
    )


@cache
def _renameat2() -> Any:
    return getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say in one message what could not be written and why; safetensors' errors are the system's in other clothes."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError) as error:
        number = error.errno if isinstance(error, OSError) else _os_error(error)
        if number is None:
            raise
        raise FtrunError(f"{path}: cannot be written: {os.strerror(number)}.{_remedy(number)}") from error


def _os_error(error: Exception) -> int | None:
    match = re.search(r"os error (\d+)", str(error))
    return int(match[1]) if match else None


def _remedy(number: int) -> str:
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return " Free some space, or let --out name a folder elsewhere. What was saved before is still valid."
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return " Let --out name a folder that you may write to. What was saved before is still valid."
    if number in (errno.EEXIST, errno.ENOTDIR):
        return " Something else is in the way: remove it, or let --out name another folder."
    if number == errno.ENOENT:
        return " The run folder is gone: somebody removed or renamed it, or its disk was taken away."
    return ""
