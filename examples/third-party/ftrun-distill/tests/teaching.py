"""A teacher: a run of tiny parts, which its run folder names, so that it can be opened."""

from pathlib import Path
from typing import Any

import ftrun
from ftrun_devkit import tiny_spec


def teacher(place: Path, **changes: Any) -> Path:
    """Return its run folder; made if it is not there."""
    folder, parts = place / "teacher", place / "tiny_parts.py"
    if not folder.exists():
        parts.write_text("from ftrun_devkit.tiny import *\n")
        ftrun.run(tiny_spec(parts=str(parts), **changes), out=folder, device="cpu", quiet=True)
    return folder
