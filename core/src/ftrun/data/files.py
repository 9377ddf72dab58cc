"""The file layer: whole writes, syncs, renames, new files, and one message for what the system refuses."""

import ctypes
import errno
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ftrun.contracts.errors import FtrunError, SpecError

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_REMEDIES = {
    (errno.ENOSPC, errno.EDQUOT, errno.EFBIG): (
        "Free some space, or let --out name a folder elsewhere. What was saved before is still valid."
    ),
    (errno.EACCES, errno.EPERM, errno.EROFS): (
        "Let --out name a folder that you may write to. What was saved before is still valid."
    ),
    (errno.EEXIST, errno.ENOTDIR): "Something else is in the way: remove it, or let --out name another folder.",
    (errno.ENOENT,): "The run folder is gone: somebody removed or renamed it, or its disk was taken away.",
}


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file beside its place, sync it, and rename it into place: a reader sees the old text or the new one."""
    temporary = path.with_name(f".{path.name}.new")
    with writing(path):
        try:
            with temporary.open("wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            sync(path.parent)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def sync(path: Path) -> None:
    """Write a file, or a folder's list of names, to the disk itself, where a power cut leaves it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def put_in_place(new: Path, folder: Path, backup: Path) -> None:
    """Rename the folder `new` to `folder`; what was there goes to `backup`, whose old content is removed.

    Where the system can exchange two names (Linux), `folder` is never missing: that is one rename. Elsewhere there
    is a moment in which only `backup` has what was in it.
    """
    shutil.rmtree(backup, ignore_errors=True)
    if not folder.exists():
        new.rename(folder)
    elif exchange(new, folder):
        new.rename(backup)
    else:
        folder.rename(backup)
        new.rename(folder)
    sync(folder.parent)


def exchange(one: Path, other: Path) -> bool:
    """Exchange two names at once; return whether the system can (renameat2(2), Linux 3.15)."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    return rename is not None and not rename(
        _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE
    )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise FtrunError with what could not be written and why, for the system's errors and safetensors' of the same."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError) as error:
        match = re.search(r"os error (\d+)", str(error))
        number = error.errno if isinstance(error, OSError) else int(match[1]) if match else None
        if number is None:
            raise
        remedy = next((f" {remedy}" for numbers, remedy in _REMEDIES.items() if number in numbers), "")
        raise FtrunError(f"{path}: cannot be written: {os.strerror(number)}.{remedy}") from error


def check_new(option: str, path: Path, *, force: bool, own: Callable[[Path], bool]) -> None:
    """Raise SpecError where an option names a file that cannot be written, or that is there already.

    own: whether a file that is there was written by the same command: --force replaces no other
    """
    if not path.parent.is_dir():
        raise SpecError(f"{option} {path}: there is no folder {path.parent}.")
    if path.is_dir():
        raise SpecError(f"{option} {path}: is a folder. Name a file.")
    if not (path.exists() or path.is_symlink()):
        return
    if not force:
        raise SpecError(f"{option} {path}: exists already. Name another file, or add --force.")
    if not own(path):
        raise SpecError(f"{option} {path}: is no file that this command wrote, and is left as it is. Name another one.")


def check_no_input(option: str, path: Path, inputs: Iterable[str], spec: Any) -> None:
    """Raise SpecError where a file that is to be replaced is an input, or what a run's spec names.

    inputs: as on the command line; spec: JSON values
    """
    for other in (*inputs, *_texts(spec)):
        if _same(path, other):
            raise SpecError(f"{option} {path}: is one of the inputs. Name another file.")


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for each in values for text in _texts(each)]


def _same(path: Path, other: str) -> bool:
    try:
        return os.path.samefile(path, other)
    except (OSError, ValueError):
        return False
