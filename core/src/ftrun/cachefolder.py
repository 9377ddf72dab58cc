"""The folder in which runs keep what is slow to make anew: what is in it, how large it may get. Needs no torch."""

import json
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import Any

from ftrun.errors import SpecError
from ftrun.paths import expand_path, home

ABOUT = "about.json"
_LEFTOVER = 24 * 60 * 60  # seconds; what is younger may still be written


@dataclass(frozen=True)
class Entry:
    """One folder in it."""

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
    """What is in it, the longest unused first."""
    found = []
    for path in folder().glob(f"*/{ABOUT}"):
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
            size = sum(each.stat().st_size for each in path.parent.iterdir())
            found.append(Entry(path.parent, about, size, path.stat().st_mtime))
        except (OSError, ValueError):  # another process removes it just now
            continue
    return sorted(found, key=lambda entry: entry.used)


def as_json() -> dict[str, Any]:
    """The folder, its limit and what is in it."""
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


def make_room(needed: int) -> bool:
    """Remove what was used longest ago until `needed` more bytes fit, and say whether they do."""
    for leftover in folder().glob("*.new"):  # of a process that was killed while it wrote
        with suppress(OSError):
            if time() - leftover.stat().st_mtime > _LEFTOVER:
                shutil.rmtree(leftover, ignore_errors=True)
    kept = entries()
    while kept and sum(entry.bytes for entry in kept) + needed > limit():
        shutil.rmtree(kept.pop(0).path, ignore_errors=True)  # a run that has it open keeps it
    return needed <= limit() and needed < shutil.disk_usage(_existing(folder())).free


def clear() -> int:
    """Remove everything, and give the number of bytes that it took."""
    size = sum(entry.bytes for entry in entries())
    for each in folder().glob("*"):
        shutil.rmtree(each, ignore_errors=True)
    return size


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
