"""The files that `ftrun predict` is asked for: paths, folders, globs, and lists on standard input. Opens none."""

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")
"""What is taken from a folder; a file that is named is taken whatever its name."""


def listed(arguments: Iterable[str], standard_input: Iterable[str]) -> list[str]:
    """Every file, in the order asked for; folders and globs in the order of names.

    `-` stands for the lines of standard input. A path that does not exist stays, to be told of when it is read.
    """
    found: list[str] = []
    for argument in arguments:
        lines = (line.rstrip("\r\n") for line in standard_input) if argument == "-" else [argument]
        for path in filter(None, lines):
            found += _files(path)
    return found


def _files(path: str) -> Iterator[str]:
    if os.path.isdir(path):
        yield from _in_folder(path)
    elif glob.has_magic(path) and not os.path.lexists(path):
        for match in sorted(glob.glob(path, recursive=True)) or [path]:
            if os.path.isdir(match):
                yield from _in_folder(match)
            else:
                yield match
    else:
        yield path


def _in_folder(folder: str) -> Iterator[str]:
    """The images in a folder and in those in it; nothing that is hidden."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield str(Path(place, name))
