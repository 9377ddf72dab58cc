"""Public names whose modules are loaded with their first use, so that importing a package loads nothing."""

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

_IMPORT = re.compile(r"^from (\S+) import (\w+) as", re.MULTILINE)


def lazily(module: str, file: str) -> tuple[list[str], Callable[[str], Any]]:
    """Return `__all__` and `__getattr__` of a module whose names its stub, the file `.pyi` of its name, imports.

    Type checkers read the same stub, so that the names stand in one place.
    """
    stub = Path(file).with_suffix(".pyi").read_text(encoding="utf-8")
    home = {name: source for source, name in _IMPORT.findall(stub)}

    def get(name: str) -> Any:
        if name in home:
            return getattr(import_module(home[name]), name)
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return sorted(home), get
