"""The entry points of the group `ftrun`, read from the folders that pip writes.

importlib.metadata takes longer to load than all plugins together, since it reads mail and zip files too, and then as
long again to read what it has to of hundreds of distributions.
"""

import os
import sys
from collections.abc import Iterator
from typing import NamedTuple

GROUP = "ftrun"
_SUFFIXES = (".dist-info", ".egg-info")


class EntryPoint(NamedTuple):
    """One entry point, with name and version of its distribution; `value` is what it names: "module"."""

    distribution: str
    version: str
    name: str
    value: str


def entry_points() -> list[EntryPoint]:
    """Return those of our group, by distribution; of one that is installed twice, those that Python would take."""
    found: list[EntryPoint] = []
    seen: set[str] = set()
    for folder in _distributions():
        project = os.path.splitext(os.path.basename(folder))[0].partition("-")[0].lower()  # pip writes NAME-VERSION
        if project in seen:
            continue
        seen.add(project)
        if entries := [*_in_group(_text(folder, "entry_points.txt"))]:
            name, version = _name_and_version(_text(folder, "METADATA") or _text(folder, "PKG-INFO"))
            found += [EntryPoint(name, version, *entry) for entry in entries]
    return sorted(found)


def _distributions() -> Iterator[str]:
    """Yield the folders with what is known of a distribution, as modules are looked for."""
    for path in dict.fromkeys(sys.path):
        try:
            names = sorted(os.listdir(path or "."))
        except OSError:  # not there, or no folder
            continue
        yield from (os.path.join(path, name) for name in names if name.endswith(_SUFFIXES))


def _text(folder: str, name: str) -> str:
    try:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return ""


def _in_group(text: str) -> Iterator[tuple[str, str]]:
    """Yield name and value of the entry points of our group: lines `name = value [extras]` below `[ftrun]`."""
    if f"[{GROUP}]" not in text:
        return
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[]")
        elif section == GROUP and "=" in line and not line.startswith("#"):
            name, value = line.split("=", 1)
            yield name.strip(), value.partition("[")[0].strip()


def _name_and_version(text: str) -> tuple[str, str]:
    """Return them from headers as mail has them: lines `Name: value`, up to an empty one."""
    headers = dict(line.split(": ", 1) for line in text.partition("\n\n")[0].splitlines() if ": " in line)
    return headers.get("Name", "(unnamed)").strip(), headers.get("Version", "(no version)").strip()
