"""The columns of a table of `ftrun predict --csv`, by which such a table is known again. Loads nothing heavy."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ftrun.contracts.filescan import is_special
from ftrun.contracts.targets import Classes, Target, Values


def named_by_target(name: str, target: Target) -> bool:
    """Return whether a target is one value of the same name, which need not be named twice."""
    return isinstance(target, Values) and target.names == (name,)


def key(name: str) -> str:
    """Return the name of a target's column or key; `file` and `error` are ours."""
    return f"target/{name}" if name in ("file", "error") else name


def header(targets: Mapping[str, Target], top: int) -> list[str]:
    """Return the columns: `file`, then `class`, `probability`, `class_2`, ...; of other targets, their names."""
    columns = ["file"]
    for name, target in targets.items():
        prefix = f"{name}/" if len(targets) > 1 else ""
        named = [name] if named_by_target(name, target) else [prefix + column for column in _columns(target, top)]
        columns += map(key, named)
    return columns


def _columns(target: Target, top: int) -> list[str]:
    if not isinstance(target, Classes):
        return list(target.names)
    numbers = ["", *(f"_{number}" for number in range(2, min(top, target.outputs) + 1))]
    return [column + number for number in numbers for column in ("class", "probability")]


def is_table(path: Path, recorded: Any) -> bool:
    """Return whether a file is a table of predictions of such targets, for some number of classes.

    recorded: the targets of a run, as resolved.json has them
    """
    if is_special(path):
        return False
    try:
        targets: dict[str, Target] = TypeAdapter(dict[str, Target]).validate_python(recorded)
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            columns = next(csv.reader(file), [])
    except (OSError, csv.Error, ValidationError):
        return False
    return any(columns == header(targets, top) for top in range(1, len(columns) + 1))
