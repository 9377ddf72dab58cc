"""A project's own parts: a Python file beside the spec, loaded only where the spec or `--parts` names it.

In sys.modules, it is the module of its file's name, so that its classes can be pickled for data workers. What it
imports from beside it is read with it, and runs as it was read.
"""

import hashlib
import os
import sys
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import module_from_spec
from keyword import iskeyword
from pathlib import Path
from types import ModuleType
from typing import Any

from ftrun.contracts.errors import PluginError, SpecError, did_you_mean
from ftrun.contracts.paths import expand_path, home
from ftrun.plugins.apiversion import module_spec
from ftrun.plugins.neighbours import AsRead, Neighbours, neighbours


@dataclass(frozen=True)
class PartsFile:
    """A file of local parts, as it was read: nothing of it has run yet."""

    path: Path
    source: bytes = field(repr=False)
    beside: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """The sources of the modules that it imports from its own folder, by their paths in it: "helper.py", "lib/a.py"."""
    copied: bool = False
    """Whether this is a run's copy: a folder that holds nothing else."""

    @classmethod
    def read(cls, path: Path, *, copied: bool = False) -> "PartsFile":
        """Read a file, and the modules that it imports from beside it.

        copied: whether it is a run's copy, with whatever is in its folder; another module may have its name then

        Raises SpecError where there is none, or none that can be a module.
        """
        _check_name(path)
        try:
            source = path.read_bytes()
            file = cls(path, source, neighbours(path, source, whole_folder=copied), copied)
        except (FileNotFoundError, NotADirectoryError):
            raise SpecError(f"no such file: {path}.{_nearest(path)}") from None
        except IsADirectoryError:
            raise SpecError(f"{path} is a folder. Name the Python file that the parts are in.") from None
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise SpecError(f"{path} cannot be read: {reason}.") from None
        if not copied:
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
    def files(self) -> dict[str, bytes]:
        """All that was read, by its path in the folder."""
        return {self.name: self.source, **self.beside}

    @property
    def digests(self) -> dict[str, str]:
        """The SHA-256 of each file, in hexadecimal, by its path in the folder."""
        return {name: hashlib.sha256(source).hexdigest() for name, source in sorted(self.files.items())}

    @property
    def sha256(self) -> str:
        """Of what was read, in hexadecimal; of several files, that of their list as sha256sum prints it."""
        digests = self.digests
        if len(digests) == 1:
            return digests[self.name]
        lines = "".join(f"{digest}  {name}\n" for name, digest in digests.items())
        return hashlib.sha256(lines.encode(errors="surrogateescape")).hexdigest()

    def remember(self) -> None:
        """Note that this user runs this code; where nothing can be written, it is asked for again."""
        known = known_parts()
        if known is not None:
            with suppress(OSError):
                known.mkdir(parents=True, exist_ok=True, mode=0o700)
                (known / self.sha256).touch()

    def check_trusted(self, *, trust: bool) -> None:
        """Raise PluginError for code that this user has not run before, unless it is trusted; then, remember it."""
        known = known_parts()
        if trust:
            self.remember()
        elif known is None or not (known / self.sha256).is_file():
            listed = "".join(f"\n  {digest}  {self.path.parent / name}" for name, digest in self.digests.items())
            nowhere = "" if known else " (There is no home folder in which ftrun could know what you have run.)"
            raise PluginError(
                f"{self.path}: is code that came with this run, and that you have not run here before. It could do "
                "anything that you may do, so it is not run. Read it; if you trust it, say --trust (in Python: "
                f"trust=True).{nowhere}\nSHA-256:{listed}"
            )

    def load(self) -> ModuleType:
        """Import it, in place of local parts that were loaded before. Raises whatever it raises."""
        _forget()
        folder = self.path.absolute().parent
        spec = AsRead.spec(self.module, folder / self.name, self.source)
        module = module_from_spec(spec)
        finder, on_path = Neighbours(folder, self.beside), None if self.copied else str(folder)
        _LOADED.append((self, finder, on_path, frozenset(sys.modules)))
        sys.modules[self.module] = module
        sys.meta_path.insert(0, finder)
        if on_path is not None:
            sys.path.append(on_path)  # last, so that nothing in it gets in the way of what is installed
        try:
            assert spec.loader, "it has one"
            spec.loader.exec_module(module)
        except BaseException:
            _forget()
            raise
        return module


def known_parts() -> Path | None:
    """Return the folder of the user's own, no cache, with an empty file for the SHA-256 of each code that was run.

    It is in $XDG_DATA_HOME or ~/.local/share; None where there is neither.
    """
    given, own = os.environ.get("XDG_DATA_HOME"), home()
    data = expand_path(given) if given else own / ".local" / "share" if own else None
    return data / "ftrun" / "known-parts" if data else None


_LOADED: list[tuple[PartsFile, Neighbours, str | None, frozenset[str]]] = []
"""What `load` has put into sys.modules, sys.meta_path and sys.path: one file or none. Those are the whole process's.

Last, the names in sys.modules before."""


def _forget() -> None:
    while _LOADED:
        file, finder, on_path, before = _LOADED.pop()
        sys.meta_path[:] = [each for each in sys.meta_path if each is not finder]
        sys.path[:] = [each for each in sys.path if each is not on_path]
        for name in (file.module, *finder.loaded(), *(_found_in(on_path, before) if on_path else ())):
            sys.modules.pop(name, None)


def _found_in(folder: str, before: Collection[str]) -> list[str]:
    """Return the modules that were imported from a folder only because it was on the path; none if it still is."""
    if Path(folder).resolve() in {Path(each).resolve() for each in sys.path}:
        return []
    specs = {name: getattr(module, "__spec__", None) for name, module in sys.modules.items() if name not in before}
    return [name for name, spec in specs.items() if spec and spec.origin and Path(spec.origin).is_relative_to(folder)]


def sources_of(module: str) -> dict[str, bytes]:
    """Return what was read of a top-level module by its path, if it is of the local parts that are loaded."""
    return {
        path: source
        for file, *_ in _LOADED
        for path, source in file.files.items()
        if path.partition("/")[0].removesuffix(".py") == module
    }


class Carried:
    """The local parts that are loaded, for a data worker that is spawned: it imports everything afresh.

    Pickled before anything of theirs, they are loaded before anything of theirs is unpickled, from what this process
    read: the worker's path may lead to another file of that name.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _bring, tuple(file for file, *_ in _LOADED)


def _bring(*files: PartsFile) -> Carried:
    for file in files:
        if all(file != loaded for loaded, *_ in _LOADED):
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
    if any(loaded.module == file.module for loaded, *_ in _LOADED):
        return  # it takes that one's place
    spec = module_spec(file.module)
    origin = spec.origin if spec else None
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
