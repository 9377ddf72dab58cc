"""The inputs of `ftrun predict`: files, by paths, folders, globs, lists on standard input; or lines of files."""

import glob
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ftrun.contracts.errors import DataError
from ftrun.contracts.filescan import FileScan
from ftrun.contracts.paths import expand_path


class Line(NamedTuple):
    """A line of a file. Bytes that are not UTF-8 are halves of surrogate pairs in its text."""

    place: str
    """File and number, such as reviews.txt:3; -:3 on standard input."""
    text: str


def lines(arguments: Iterable[str], standard_input: Iterable[str]) -> list[Line]:
    """Return every line of the files, in order, empty ones included; `-` stands for standard input.

    Raises DataError where a file cannot be read.
    """
    numbered: list[Line] = []
    for argument in arguments:
        lines_of = enumerate(standard_input if argument == "-" else _opened(_path(argument)), 1)
        numbered += [Line(f"{argument}:{number}", line.rstrip("\r\n")) for number, line in lines_of]
    return numbered


def _path(argument: str) -> str:
    """Return the path that an argument names: with `~` expanded, unless there is such a file."""
    return argument if os.path.lexists(argument) else os.fspath(expand_path(argument))


def _opened(path: str) -> Iterator[str]:
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
            yield from file
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from None


def listed(arguments: Iterable[str], standard_input: Iterable[str], scan: FileScan) -> list[str]:
    """Return every file, in the order asked for; folders and globs in the order of names.

    `-` stands for the paths on standard input, one a line. A path that does not exist stays: reading it will say so.

    scan: takes files from a folder, as it does for training; a file that is named is taken whatever its name
    """
    files: list[str] = []
    for argument in arguments:
        paths = (line.rstrip("\r\n") for line in standard_input) if argument == "-" else [_path(argument)]
        for path in filter(None, paths):
            files += _files(path, scan)
    return files


def _files(path: str, scan: FileScan) -> Iterator[str]:
    if os.path.isdir(path):
        yield from scan.walk(path)
    elif glob.has_magic(path) and not os.path.lexists(path):
        for match in sorted(glob.glob(path, recursive=True)) or [path]:
            if os.path.isdir(match):
                yield from scan.walk(match)
            else:
                yield match
    else:
        yield path
