"""A project's own parts: a Python file beside the spec, loaded only where the spec or `--parts` names it.

In sys.modules, it is the module of its file's name, so that its classes can be pickled for data workers.
"""

import hashlib
import sys
from dataclasses import dataclass, field
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from keyword import iskeyword
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from ftrun.apiversion import module_spec
from ftrun.errors import SpecError, did_you_mean


@dataclass(frozen=True)
class PartsFile:
    """A file of local parts, as it was read: nothing of it has run yet."""

    path: Path
    source: bytes = field(repr=False)

    @classmethod
    def read(cls, path: Path, *, renamable: bool = True) -> "PartsFile":
        """Read a file. Raises SpecError where there is none, or none that can be a module.

        renamable: whether to refuse a name that another module has; a run's copy has the name that it has
        """
        _check_name(path)
        try:
            file = cls(path, path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            raise SpecError(f"no such file: {path}.{_nearest(path)}") from None
        except IsADirectoryError:
            raise SpecError(f"{path} is a folder. Name the Python file that the parts are in.") from None
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise SpecError(f"{path} cannot be read: {reason}.") from None
        if renamable:
            _check_free(file)
        return file

    @property
    def name(self) -> str:
        """The file's own name, `ftrun_parts.py`."""
        return self.path.name

    @property
    def module(self) -> str:
        """The name of the module that it is."""
        return self.path.stem

    @property
    def sha256(self) -> str:
        """Of what was read, in hexadecimal."""
        return hashlib.sha256(self.source).hexdigest()

    def load(self) -> ModuleType:
        """Import it, in place of local parts that were loaded before. Raises whatever it raises."""
        _forget()
        loader = _AsRead(self)
        spec = spec_from_file_location(self.module, self.path.absolute(), loader=loader)
        assert spec, "a loader is given"
        module = module_from_spec(spec)
        folder = str(self.path.absolute().parent)
        _LOADED.append((self, folder))
        sys.modules[self.module] = module
        sys.path.append(folder)  # last, so that nothing in it gets in the way of what is installed
        try:
            loader.exec_module(module)
        except BaseException:
            _forget()
            raise
        return module


class _AsRead(SourceFileLoader):
    """Runs what was read, whatever the file holds by now, and leaves no compiled copy beside it."""

    def __init__(self, file: PartsFile) -> None:
        super().__init__(file.module, str(file.path.absolute()))
        self._source = file.source

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self._source, self.path)
        return code


_LOADED: list[tuple[PartsFile, str]] = []
"""What `load` has put into sys.modules and sys.path: one file or none. Those are the whole process's, so is this."""


def _forget() -> None:
    while _LOADED:
        file, folder = _LOADED.pop()
        sys.modules.pop(file.module, None)
        sys.path[:] = [each for each in sys.path if each is not folder]


class Carried:
    """The local parts that are loaded, for a data worker that is spawned: it imports everything afresh.

    Pickled before anything of theirs, they are loaded before anything of theirs is unpickled, from what this process
    read: the worker's path may lead to another file of that name.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _bring, tuple(file for file, _ in _LOADED)


def _bring(*files: PartsFile) -> Carried:
    for file in files:
        if all(file != loaded for loaded, _ in _LOADED):
            file.load()
    return Carried()


def _check_name(path: Path) -> None:
    if path.suffix != ".py" or not path.stem.isidentifier() or iskeyword(path.stem):
        raise SpecError(
            f"{path} cannot be a module. Local parts are in one Python file whose name is letters, digits and '_', "
            "such as ftrun_parts.py."
        )


def _check_free(file: PartsFile) -> None:
    """Raise SpecError where the module's name is taken: whoever imports that one would get this file."""
    if any(loaded.module == file.module for loaded, _ in _LOADED):
        return  # it takes that one's place
    found = module_spec(file.module)
    origin = found.origin if found else None
    # What stands in the project's own folders is the project's, whether or not these happen to be on the path.
    ours = origin is not None and Path(origin).resolve().parent in (file.path.resolve().parent, Path.cwd())
    if file.module in sys.modules or (origin and not ours):
        where = f" ({origin})" if origin else ""
        raise SpecError(f"{file.path}: there is a module named {file.module!r} already{where}. Rename the file.")


def _nearest(path: Path) -> str:
    try:
        files = sorted(path.parent.glob("*.py"))
    except (OSError, ValueError):
        return ""
    return did_you_mean(path.name, [each.name for each in files])
