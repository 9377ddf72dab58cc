"""Files that a command's option names: nothing is overwritten, unless it is the command's own and --force says so."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ftrun.contracts.errors import SpecError


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
