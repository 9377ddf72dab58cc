"""Fingerprints of files by what is in them. A file is read again only where it has changed since. Needs no torch.

The digest of a file is remembered in the cache, by all that the system says of the file's state: device, inode, size,
and the times of change of its content and of its entry. The last one, ctime, is the system's own, which nobody sets:
a file that was put back to its old size and time is read again. What changed a moment ago is not remembered, because
the clock of a file system may not tell two changes in a row apart.
"""

import hashlib
import os
import struct
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain
from time import time
from unicodedata import normalize

from ftrun.contracts.filescan import is_special
from ftrun.data import cachefolder

_STATE = struct.Struct("=QQqqq")  # device, inode, size, mtime_ns, ctime_ns
_DIGEST = 32  # bytes of a SHA-256
_RECORD = _STATE.size + _DIGEST
_AT_ONCE = 64  # files that a thread is handed
_CHUNK = 2**20  # bytes that are read at once
_SETTLED = 2.0  # seconds after a change from which on a later one has another time
_UNUSED = 10_000  # records of files that were not asked for: so many are kept in any case


def files_fingerprint(paths: Iterable[str | os.PathLike[str]], root: str | os.PathLike[str] | None) -> str | None:
    """Return the SHA-256, in hexadecimal, of the contents of files and of their names, in the given order.

    It is the same wherever the files are: names are relative to `root`, with "/" between folders and in Unicode's form
    NFC. None where a file cannot be read now: what is in it is then unknown.

    root: the folder that the names are relative to; None where names do not matter
    """
    files = [os.fspath(path) for path in paths]
    digests = digests_of(files)
    whole = hashlib.sha256()
    for path in files:
        digest = digests[path]
        if digest is None:
            return None
        whole.update(digest)
        if root is not None:
            whole.update(f"{_name(path, os.fspath(root))}\0".encode(errors="surrogateescape"))
    return whole.hexdigest()


def _name(path: str, root: str) -> str:
    prefix = os.path.join(root, "")
    inner = path[len(prefix) :] if path.startswith(prefix) else os.path.relpath(path, root)
    return normalize("NFC", inner.replace(os.sep, "/"))


def digests_of(files: Iterable[str]) -> dict[str, bytes | None]:
    """Return the SHA-256 of each file; None where it cannot be read."""
    from concurrent.futures import ThreadPoolExecutor  # it is slow to load

    by_folder: dict[str, list[str]] = defaultdict(list)
    for path in dict.fromkeys(files):
        by_folder[os.path.dirname(os.path.abspath(path))].append(path)
    digests: dict[str, bytes | None] = {}
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        for folder, paths in by_folder.items():
            remembered = _Remembered(folder)
            digests |= {path: remembered.digest(path) for path in paths}
            unknown = [path for path in paths if digests[path] is None]
            portions = [unknown[start : start + _AT_ONCE] for start in range(0, len(unknown), _AT_ONCE)]
            reads = threads.map(lambda portion: [_read(path) for path in portion], portions)
            for path, (digest, state) in zip(unknown, chain.from_iterable(reads), strict=True):
                digests[path] = digest
                if digest and state:
                    remembered.add(state, digest)
            remembered.save()
    return digests


def _read(path: str) -> tuple[bytes | None, bytes | None]:
    """Return the SHA-256 of a file, and its state where that can be trusted to stand for it."""
    try:
        if is_special(path):
            return None, None
        with open(path, "rb", buffering=0) as file:
            before = os.fstat(file.fileno())
            digest = hashlib.sha256()
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
            after = os.fstat(file.fileno())
    except (OSError, ValueError):  # ValueError: a name that cannot be one
        return None, None
    state = _settled(after)
    return digest.digest(), state if state == _state(before) else None


def settled_state(path: str | os.PathLike[str]) -> bytes | None:
    """Return what is another one whenever a file is; None for what changed a moment ago, and may change unnoticed.

    Raises OSError where there is no such file.
    """
    return _settled(os.stat(path))


def _settled(status: os.stat_result) -> bytes | None:
    return _state(status) if time() - status.st_ctime >= _SETTLED else None


def _state(status: os.stat_result) -> bytes:
    return _STATE.pack(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class _Remembered:
    """The digests of the files of one folder, as they were when they were read: a file of the cache."""

    def __init__(self, folder: str) -> None:
        self._name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:32]
        self._known = self._load()
        self._used: dict[bytes, bytes] = {}
        self._changed = False

    def digest(self, path: str) -> bytes | None:
        """Return what was read of a file whose state is the same now, if anything was."""
        try:
            state = _state(os.stat(path))
        except (OSError, ValueError):
            return None
        digest = self._known.get(state)
        if digest:
            self._used[state] = digest
        return digest

    def add(self, state: bytes, digest: bytes) -> None:
        """Remember what was read."""
        self._used[state] = digest
        self._changed = True

    def save(self) -> None:
        """Write down what is new; without a cache, or where it cannot be written, nothing is remembered."""
        if not self._changed or not cachefolder.limit():
            return
        unused = {state: digest for state, digest in self._known.items() if state not in self._used}
        if len(unused) > max(_UNUSED, 2 * len(self._used)):  # of files that are gone, most likely
            unused = {}
        content = b"".join(state + digest for state, digest in (unused | self._used).items())
        with suppress(OSError):
            shelf = cachefolder.shelf("digests")
            new = shelf / cachefolder.new_name(self._name)
            try:
                new.write_bytes(content + hashlib.sha256(content).digest())
                new.replace(shelf / self._name)
            finally:
                new.unlink(missing_ok=True)

    def _load(self) -> dict[bytes, bytes]:
        if not cachefolder.limit():
            return {}
        try:
            whole = (cachefolder.folder() / "digests" / self._name).read_bytes()
        except OSError:
            return {}
        content, check = whole[:-_DIGEST], whole[-_DIGEST:]
        if len(content) % _RECORD or hashlib.sha256(content).digest() != check:
            return {}
        return {
            content[start : start + _STATE.size]: content[start + _STATE.size : start + _RECORD]
            for start in range(0, len(content), _RECORD)
        }
