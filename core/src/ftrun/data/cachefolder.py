"""The folder in which runs keep what is slow to make again: its content and its limit. Needs no torch.

Whatever is ours in it is a folder with a marker, and nothing else is ever removed: the folder may be somebody's who has
other things in it.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from time import time
from typing import Any

from ftrun.contracts.errors import SpecError
from ftrun.contracts.paths import expand_path, home

MARKER = "ftrun-cache.json"
"""In each folder of ours: that it is, and what it holds."""
DATA = "data"
WARPS = "warps"
_OURS = re.compile(rf"{DATA}|{WARPS}|[0-9a-f]{{32}}(\.json)?|.*\.new")  # names of what is in our folders, beside it
_LEFTOVER = 24 * 60 * 60  # seconds; what is younger may still be written


@dataclass(frozen=True)
class Entry:
    """One tensor in it, a folder."""

    path: Path
    about: dict[str, Any]
    """What it holds: {"name": .., "samples": .., "shape": ..}."""
    bytes: int
    used: float
    """When it was last used, in seconds since 1970."""


def folder() -> Path:
    """Return $FTRUN_CACHE, or ftrun's part of the user's cache folder. Raises SpecError where there is none."""
    path = place()
    if path is None:
        raise SpecError("there is no home folder to keep the cache in. Set FTRUN_CACHE to a folder for it, or HOME.")
    return path


def place() -> Path | None:
    """Return the same folder; None where there is no home folder and the environment names none."""
    given, caches, own = os.environ.get("FTRUN_CACHE"), os.environ.get("XDG_CACHE_HOME"), home()
    if given:
        return expand_path(given)
    if caches:
        return expand_path(caches) / "ftrun"
    return own / ".cache" / "ftrun" if own else None


def limit() -> int:
    """Return the most bytes that it may hold: $FTRUN_CACHE_GB gigabytes, 50 if not given.

    0 is for no cache at all, as where there is no home folder to keep it in and FTRUN_CACHE names none.
    """
    if place() is None:
        return 0
    given = os.environ.get("FTRUN_CACHE_GB", "50")
    try:
        return int(float(given) * 1e9)
    except (ValueError, OverflowError):
        raise SpecError(f"FTRUN_CACHE_GB is {given!r}, but should be a number of gigabytes, such as 50.") from None


def entries() -> list[Entry]:
    """Return the tensors in it, the longest unused first."""
    listed = []
    for path, about in _ours():
        if "samples" not in about or path.suffix == ".new":
            continue
        with suppress(OSError):  # another process removes it just now
            size = sum(file.stat().st_size for file in path.iterdir())
            listed.append(Entry(path, about, size, (path / MARKER).stat().st_mtime))
    return sorted(listed, key=lambda entry: entry.used)


def as_json() -> dict[str, Any]:
    """Return the folder, its limit and what is in it."""
    return {
        "folder": str(folder()),
        "limit": limit(),
        "entries": [
            {
                "name": entry.about.get("name", entry.path.name),
                "samples": entry.about.get("samples"),
                "shape": entry.about.get("shape"),
                "bytes": entry.bytes,
                "used": datetime.fromtimestamp(entry.used, UTC).isoformat(timespec="seconds"),
            }
            for entry in entries()
        ],
    }


def new_folder(name: str, about: dict[str, Any]) -> Path:
    """Make a folder of ours with a name of its own, `<name>.<...>.new`, for what is renamed to its place once whole.

    Raises OSError where the cache cannot be written to.
    """
    path = folder() / new_name(name)
    path.mkdir(parents=True)
    (path / MARKER).write_text(json.dumps(about), encoding="utf-8")
    return path


def new_name(name: str) -> str:
    """Return a name that no other process or thread takes, on any machine that shares the folder."""
    return f"{name}.{token_hex(8)}.new"


def shelf(name: str) -> Path:
    """Return the folder of ours for small files of one kind, made where it is missing.

    Raises OSError where the cache cannot be written to, or something else has its place.
    """
    path = folder() / name
    if not path.exists():
        new = new_folder(name, {"name": name})
        try:
            new.rename(path)
        except OSError:  # another process was quicker, or something else is there
            remove(new)
    if not is_ours(path):
        raise FileExistsError(f"{path} is not ftrun's")
    return path


def make_room(needed: int) -> bool:
    """Remove what was used longest ago until `needed` more bytes fit; return whether they do.

    Nothing is removed where they would not fit even so.
    """
    for path, _ in _ours():
        if path.suffix == ".new" and not _is_written(path):
            remove(path)
    kept = entries()
    held, free = sum(entry.bytes for entry in kept), shutil.disk_usage(_existing(folder())).free
    if needed > limit() or needed >= free + held:
        return False
    while kept and (held + needed > limit() or needed >= free):
        entry = kept.pop(0)
        remove(entry.path)  # a run that has it open keeps it
        held, free = held - entry.bytes, free + entry.bytes
    return needed < shutil.disk_usage(_existing(folder())).free


def clear() -> int:
    """Remove all that is ours; return the number of bytes that its tensors took."""
    size = sum(entry.bytes for entry in entries())
    for path, _ in _ours():
        if not _is_written(path):
            remove(path)
    return size


def _is_written(path: Path) -> bool:
    """Return whether a process may be at work on it, that has not been killed meanwhile."""
    try:
        return path.suffix == ".new" and time() - (path / MARKER).stat().st_mtime < _LEFTOVER
    except OSError:
        return False


def is_ours(path: Path) -> bool:
    """Return whether a folder has our marker."""
    return (path / MARKER).is_file() and not path.is_symlink()


def remove(path: Path) -> None:
    """Remove a folder of ours; what we have not put there stays, and so does a folder with it."""
    with suppress(OSError):
        if not is_ours(path):
            return
        for file in path.iterdir():
            if _OURS.fullmatch(file.name):
                file.unlink()
        (path / MARKER).unlink()
        path.rmdir()


def _ours() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield each folder of ours in it, and what its marker says."""
    with suppress(OSError):
        for path in sorted(folder().iterdir()):
            with suppress(OSError, ValueError):
                about = json.loads((path / MARKER).read_text(encoding="utf-8"))
                if isinstance(about, dict) and is_ours(path):
                    yield path, about


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
