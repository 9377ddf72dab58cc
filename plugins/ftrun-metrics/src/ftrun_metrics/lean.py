"""Imports torchmetrics without the libraries that only its metrics of texts, sounds and pictures need.

`import torchmetrics` imports transformers, scipy and torchvision where they are installed: one to two seconds of a run
that has no other use for them, and for functions that no metric here calls. They are put off until one of their names
is used, so that what others do with torchmetrics works as ever. Import this module before torchmetrics.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

LATER = {
    "scipy": ("signal",),
    "torchvision": ("models", "ops", "transforms"),
    "transformers": (),
}
"""Libraries, and the modules of theirs that torchmetrics imports."""


class Later:
    """A name of a module, which is imported when the name is used."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def _found(self) -> Any:
        _make_way()
        return getattr(import_module(self._module), self._name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._found()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # somebody looks what this is, and does not use it
            raise AttributeError(name)
        return getattr(self._found(), name)


class _Placeholder(ModuleType):
    """Stands where a module will be, and gives any name that is asked of it."""

    def __getattr__(self, name: str) -> Later:
        if name.startswith("__"):
            raise AttributeError(name)
        return Later(self.__name__, name)


@contextmanager
def _put_off() -> Iterator[None]:
    """Importing what is in `LATER` gives placeholders, where it is there to be imported, but has not been."""
    for library, modules in LATER.items():
        if library not in sys.modules and (spec := find_spec(library)):
            whole = sys.modules[library] = _Placeholder(library)
            whole.__spec__ = spec  # by which others see that it is installed
            for name in modules:
                part = sys.modules[f"{library}.{name}"] = _Placeholder(f"{library}.{name}")
                setattr(whole, name, part)
    try:
        yield
    finally:
        _make_way()


def _make_way() -> None:
    """Take the placeholders away: whoever imports from now on gets the real ones."""
    for name, module in list(sys.modules.items()):
        if isinstance(module, _Placeholder):
            del sys.modules[name]


def _import() -> None:
    """Import torchmetrics: plainly if it makes more of what is put off than a placeholder can be."""
    try:
        with _put_off():
            import torchmetrics
    except Exception:  # of whatever kind; what is not a placeholder's fault comes again, and is raised
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchmetrics"]:
            del sys.modules[name]
        import torchmetrics  # noqa: F401


_import()
