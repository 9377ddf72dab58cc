"""What tells one state of the code that computes something from another: for keys of the cache. Needs no torch.

Of the packages of parts and of ftrun, and of whatever they import that is no installed library, such as a project's own
modules and what is installed in place (`pip install -e`), it is the content of their files, and so of what builds on
ftrun: while a plugin is being developed, its version stays. Of a library, it is the version or, where its distribution
has another name, its files.
"""

import hashlib
import json
import os
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from ftrun.contracts.inputs import InputSpec
from ftrun.contracts.part import Part
from ftrun.data.filedigests import files_fingerprint
from ftrun.plugins.apiversion import module_spec
from ftrun.plugins.localparts import sources_of

_IMPORT = re.compile(rb"^[ \t]*(?:import|from)[ \t]+([\w., \t]+)", re.MULTILINE)  # docstrings may look so: no harm


def code_of(classes: Iterable[type]) -> dict[str, str]:
    """Return, by top-level module, the state of the code of `classes`, of their bases, and of what they import.

    classes: those of parts; and of what parts make, such as layers of a net, whose libraries count by their version
    """
    states = {"python": sys.version, "torch": version("torch")}
    classes = list(classes)
    modules = {base.__module__.partition(".")[0] for each in classes for base in each.__mro__}
    own = {"ftrun", *(each.__module__.partition(".")[0] for each in classes if issubclass(each, Part | InputSpec))}
    ahead = modules | own
    while ahead:
        name = ahead.pop()
        if name in states or name in sys.stdlib_module_names:
            continue
        library = None if name in own else _library(name)
        if library is None:
            read = sources_of(name)
            files = [] if read else _files_of(name)
            states[name] = _digest_of_sources(read) if read else _core() if name == "ftrun" else _digest(files)
            ahead |= set() if name == "ftrun" else _imports(files, read.values())
        else:
            states[name] = library
    return {name: state for name, state in sorted(states.items()) if state}


@cache
def _library(name: str) -> str | None:
    """Return the state of an installed library; None where it is none, is installed in place, or builds on ftrun."""
    spec = module_spec(name)
    origin = Path(spec.origin) if spec and spec.origin and spec.has_location else None
    libraries = {Path(sysconfig.get_path(key)) for key in ("purelib", "platlib")}
    if origin is None or not libraries & set(origin.parents):
        return None
    try:
        installed = distribution(name)
    except PackageNotFoundError:  # its distribution has another name
        return _digest(_files_of(name))
    return None if any(each.startswith("ftrun") for each in installed.requires or ()) else installed.version


@cache
def _core() -> str:
    """Return the state of ftrun itself, which stays in a process as it was loaded."""
    return _digest(_files_of("ftrun"))


def _digest_of_sources(read: Mapping[str, bytes]) -> str:
    """Return the state of local parts: of the sources that were read, since their files may have changed since."""
    digests = [[path, hashlib.sha256(source).hexdigest()] for path, source in sorted(read.items())]
    return hashlib.sha256(json.dumps(digests).encode()).hexdigest()


def _files_of(name: str) -> list[Path]:
    """Return the files of a top-level module or package; none where there is none."""
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None) or module_spec(name)
    if spec is None:
        return []
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    if not folders:
        return [Path(spec.origin)] if spec.has_location and spec.origin else []
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if "__pycache__" not in path.parts]
    if not spec.origin:  # any folder on the path may be imported: it counts where it is, and for its modules
        files = [path for path in files if module and path.suffix == ".py"]
    return [path for path in files if path.is_file()]


def _digest(files: list[Path]) -> str:
    """Return the state of these files, which their folder is no part of; "" where there are none."""
    if not files:
        return ""
    return files_fingerprint(files, os.path.commonpath([path.parent for path in files])) or "cannot be read"


def _imports(files: list[Path], read: Iterable[bytes]) -> set[str]:
    """Return the top-level names that modules import."""
    names = {name for source in read for name in _imported(source)}
    for path in files:
        if path.suffix == ".py":
            with suppress(OSError):
                names |= set(_imported(path.read_bytes()))
    return names


def _imported(source: bytes) -> Iterator[str]:
    for match in _IMPORT.finditer(source):
        for part in match[1].decode(errors="replace").split(","):
            words = part.split()
            name = words[0].partition(".")[0] if words else ""
            if name.isidentifier():
                yield name
