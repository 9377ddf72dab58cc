"""The modules that a file of local parts imports from its own folder: found without running anything, run as read."""

import ast
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

from ftrun.plugins.apiversion import module_spec


class AsRead(SourceFileLoader):
    """Runs what was read, whatever the file holds by now; neither reads a compiled copy nor leaves one."""

    def __init__(self, name: str, path: Path, source: bytes) -> None:
        super().__init__(name, str(path))
        self._source = source

    @classmethod
    def spec(cls, name: str, path: Path, source: bytes, inside: Path | None = None) -> ModuleSpec:
        """Return what imports this source as module `name`; inside: the folder of its modules, if it is a package."""
        search = [str(inside)] if inside else None
        spec = spec_from_file_location(name, path, loader=cls(name, path, source), submodule_search_locations=search)
        assert spec, "a loader is given"
        return spec

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self._source, self.path)
        return code


class Neighbours(MetaPathFinder):
    """Finds the modules that were read beside a file of local parts."""

    def __init__(self, folder: Path, sources: Mapping[str, bytes]) -> None:
        self.folder = folder
        self.sources = sources

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        place = fullname.replace(".", "/")
        package, module = f"{place}/__init__.py", f"{place}.py"
        if package in self.sources:
            return AsRead.spec(fullname, self.folder / package, self.sources[package], self.folder / place)
        if module in self.sources:
            return AsRead.spec(fullname, self.folder / module, self.sources[module])
        if any(each.startswith(f"{place}/") for each in self.sources):  # a package without __init__.py
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(self.folder / place)]
            return spec
        return None

    def loaded(self) -> list[str]:
        """Return the names of those that are in sys.modules from here."""
        tops = {each.partition("/")[0].removesuffix(".py") for each in self.sources}
        return [
            name
            for name, module in list(sys.modules.items())
            if name.partition(".")[0] in tops and _within(module, self.folder)
        ]


def neighbours(path: Path, source: bytes, *, whole_folder: bool) -> dict[str, bytes]:
    """Return the sources of the modules that a file imports from its folder, and these in turn; by paths in it.

    A name that is installed elsewhere, or Python's own, is not the folder's: there, an import finds that one. Imports
    are looked for in the code, also inside functions, but not where a name is made up while the program runs.

    whole_folder: whether to take every module in the folder instead, as of a run's copy, which holds nothing else

    Raises OSError.
    """
    if whole_folder:
        return {name: (path.parent / name).read_bytes() for name in _modules(path.parent, "") if name != path.name}
    sources: dict[str, bytes] = {}
    waiting, seen = [source], {path.stem}
    while waiting:
        for name in sorted(_imported(waiting.pop()) - seen):
            seen.add(name)
            files = _files_of(path.parent, name)
            if files and not _elsewhere(name, path.parent):
                sources |= {file: (path.parent / file).read_bytes() for file in files}
                waiting += [sources[file] for file in files]
    return sources


def _imported(source: bytes) -> set[str]:
    """Return the first names of all modules that some code imports."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return set()  # the import will say what is wrong
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                names.add(node.args[0].value)
    return {name.partition(".")[0] for name in names}


def _files_of(folder: Path, name: str) -> list[str]:
    """Return the files of a module or package in a folder, as Python looks for it; none where it is not there."""
    if (folder / name / "__init__.py").is_file():
        return list(_modules(folder, name))
    if (folder / f"{name}.py").is_file():
        return [f"{name}.py"]
    return list(_modules(folder, name)) if (folder / name).is_dir() else []


def _modules(folder: Path, inside: str) -> Iterator[str]:
    """Yield the Python files in a folder in `folder` and in those in it, but hidden ones."""
    for place, folders, files in os.walk(folder / inside):
        folders[:] = sorted(each for each in folders if each.isidentifier() and each != "__pycache__")
        for file in sorted(files):
            if file.endswith(".py") and not file.startswith(".") and Path(place, file).is_file():
                yield (Path(place, file).relative_to(folder)).as_posix()


def _elsewhere(name: str, folder: Path) -> bool:
    """Return whether an import finds another module of that name, in no project's own folder."""
    spec = module_spec(name)
    if spec is None or isinstance(spec.loader, AsRead):  # of local parts that are loaded now, and go
        return False
    if spec.origin in ("built-in", "frozen"):
        return True
    places = [spec.origin] if spec.has_location and spec.origin else list(spec.submodule_search_locations or ())
    ours = (folder.resolve(), *(each.folder.resolve() for each in sys.meta_path if isinstance(each, Neighbours)))
    return not any(Path(place).resolve().is_relative_to(own) for place in places for own in ours)


def _within(module: ModuleType, folder: Path) -> bool:
    spec = getattr(module, "__spec__", None)
    if isinstance(getattr(spec, "loader", None), AsRead):
        return True
    places = list(getattr(spec, "submodule_search_locations", None) or ())
    return bool(places) and all(Path(place).is_relative_to(folder) for place in places)
