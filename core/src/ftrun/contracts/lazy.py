"""Public names whose modules are loaded with their first use, so that importing a package loads nothing."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazily(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Return what a package has as its `__getattr__`.

    names: by module, the names that it defines, with spaces between them
    """

    def get(name: str) -> Any:
        for module, defined in names.items():
            if name in defined.split():
                return getattr(import_module(module), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return get
