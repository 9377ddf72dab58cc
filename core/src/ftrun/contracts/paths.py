"""Paths as users write them: a leading `~` is the home folder, in every option of a part and of the command alike."""

import os
from pathlib import Path
from typing import Any

from ftrun.contracts.errors import SpecError


def expand_path(path: str | os.PathLike[str]) -> Path:
    """Return a path with a leading `~` or `~user` as that user's home folder; `~x` is a name where no user has it.

    Raises SpecError where there is no home folder: without HOME, for a user that the system does not know.
    """
    text = os.fspath(path)
    expanded = os.path.expanduser(text)
    if expanded == text and (text == "~" or text.startswith("~/")):
        raise SpecError(f"{text}: there is no home folder that ~ could stand for. Set HOME, or name the folder itself.")
    return Path(expanded)


def home() -> Path | None:
    """Return the user's home folder; None where there is none, as for a numeric user in a container."""
    folder = os.path.expanduser("~")
    return None if folder == "~" else Path(folder)


def expand_all(value: Any) -> Any:
    """Return an option's value with every path in it expanded, those in lists and objects too."""
    if isinstance(value, Path):
        return expand_path(value)
    if isinstance(value, list | tuple | set | frozenset):
        return type(value)(map(expand_all, value)) if type(value) in (list, tuple, set, frozenset) else value
    return {key: expand_all(each) for key, each in value.items()} if type(value) is dict else value
