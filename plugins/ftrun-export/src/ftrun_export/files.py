"""Where an exported file goes: made in a folder next to its place, then moved to it with all that belongs to it."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from time import time
from typing import Any

from ftrun import InputSpec, SpecError
from ftrun.commands import sync, writing

_DAY = 24 * 3600  # seconds


def place(folder: Path, suffix: str, out: Path | None, *, raw: bool, int8: bool) -> Path:
    """Return the file to write: `out`, or `exports/<run>[-raw][-int8]<suffix>` in the run folder.

    Raises SpecError where it or its report exists already, or the folder of `out` does not.
    """
    kinds = [kind for kind, wanted in (("raw", raw), ("int8", int8)) if wanted]
    file = out or folder / "exports" / ("-".join([folder.resolve().name, *kinds]) + suffix)
    if out is not None and not out.parent.is_dir():
        raise SpecError(f"--out {out}: there is no folder {out.parent}.")
    for path in (file, report_of(file)):
        _check_free(path)
    return file


def report_of(file: Path) -> Path:
    """Return the path of the report on an exported file."""
    return file.with_name(f"{file.name}.report.json")


@contextmanager
def workplace(file: Path) -> Iterator[Path]:
    """Give an empty folder next to the file, of no other process, to make it in; it is removed whatever happens."""
    temporary = file.with_name(f".{file.name}.{token_hex(8)}.new")
    with writing(file):
        file.parent.mkdir(exist_ok=True)
        _remove_left(file)
        temporary.mkdir()
    try:
        yield temporary
    finally:
        remove(temporary)
        if file.parent.name == "exports":
            with suppress(OSError):
                file.parent.rmdir()  # if there is nothing in it


def keep(prepare: InputSpec, file: Path) -> None:
    """Put next to a file what preparing inputs takes and metadata are too small for: of texts, the tokenizer."""
    for name, text in prepare.files().items():
        with writing(file):
            file.with_name(f"{file.name}.{name}").write_bytes(text.encode())


def move(made: Path, file: Path) -> None:
    """Give what was made its place: what belongs to the file first, the file last. Overwrites nothing."""
    names = sorted((path.name for path in made.iterdir()), key=lambda name: name == file.name)
    for name in names:
        _check_free(file.with_name(name))
    with writing(file):
        for name in names:
            shutil.copymode(made / report_of(file).name, made / name)  # safetensors lets nobody but the owner read it
            sync(made / name)
        for name in names:
            (made / name).rename(file.with_name(name))
        sync(file.parent)


def described(folder: Path) -> dict[str, dict[str, Any]]:
    """Return size and digest of each file in a folder, by name."""
    return {
        path.name: {"bytes": path.stat().st_size, "sha256": _digest(path)}
        for path in sorted(folder.iterdir())
        if path.is_file()
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size(folder: Path) -> int:
    """Return the bytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def remove(folder: Path) -> None:
    """Remove a folder of ours, if it exists."""
    shutil.rmtree(folder, ignore_errors=True)


def _remove_left(file: Path) -> None:
    """Remove what kills have left of earlier exports to this file; what is younger than a day may be at work."""
    for path in file.parent.iterdir():
        if path.name.startswith(f".{file.name}.") and path.suffix == ".new":
            with suppress(FileNotFoundError):  # an export that has just ended
                if time() - path.stat().st_mtime > _DAY:
                    remove(path)


def _check_free(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise SpecError(f"{path}: exists already, and is left as it is. Name another file with --out, or remove it.")
