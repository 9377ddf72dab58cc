"""The columns of a table of `ftrun predict --csv`, by which such a table is known again. Loads nothing heavy."""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path

from ftrun.contracts.errors import FtrunError
from ftrun.contracts.filescan import is_special
from ftrun.contracts.targets import Target


def key(name: str) -> str:
    """Return the name of a target's column or key; `file` and `error` are ours."""
    return f"target/{name}" if name in ("file", "error") else name


def header(targets: Mapping[str, Target], top: int) -> list[str]:
    """Return the columns: `file`, then `class`, `probability`, `class_2`, ...; of other targets, their names."""
    columns = ["file"]
    for name, target in targets.items():
        prefix = f"{name}/" if len(targets) > 1 else ""
        named = [name] if target.is_one_value(name) else [prefix + column for column in target.columns(top)]
        columns += map(key, named)
    return columns


def is_table(path: Path, targets: Callable[[], Mapping[str, Target]]) -> bool:
    """Return whether a file is a table of predictions of such targets, for some number of classes.

    targets: gives those of a run; a run that says no such thing has made no table
    """
    if is_special(path):
        return False
    try:
        known = targets()
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            columns = next(csv.reader(file), [])
    except (OSError, csv.Error, FtrunError):
        return False
    return any(columns == header(known, top) for top in range(1, len(columns) + 1))
