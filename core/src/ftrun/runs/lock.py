"""One process at a time in a run folder: a lock that ends with its process, whatever that died of."""

import fcntl
import os
import weakref
from pathlib import Path
from time import sleep

from ftrun.data.files import writing


class Lock:
    """A lock on a file (flock), for as long as this object or until its process ends.

    Processes that are forked off, such as the data loader's workers, give up their share at once: a worker that
    outlives its killed parent for a moment must not keep the run from being resumed.
    """

    def __init__(self, path: Path) -> None:
        with writing(path):
            self._file: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self.held = _lock_patiently(self._file)
        """Whether we have it; another process does otherwise."""
        _locks.add(self)

    def release(self) -> None:
        """Let others have it."""
        if self._file is not None:
            os.close(self._file)
        self._file, self.held = None, False


def is_locked(path: Path) -> bool:
    """Return whether some process holds the lock on `path`."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _lock(file, shared=True)
    finally:
        os.close(file)


def _lock(file: int, *, shared: bool = False) -> bool:
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _lock_patiently(file: int) -> bool:
    """Try again for a while, because who only looks (is_locked) has a share of the lock for a moment."""
    for seconds in (0.01, 0.03, 0.1):
        if _lock(file):
            return True
        sleep(seconds)
    return _lock(file)


_locks: "weakref.WeakSet[Lock]" = weakref.WeakSet()


def _release_all() -> None:
    for lock in list(_locks):
        lock.release()


os.register_at_fork(after_in_child=_release_all)
