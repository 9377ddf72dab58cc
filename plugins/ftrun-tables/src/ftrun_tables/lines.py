"""The lines of a text file, decoded one by one: how many bytes each takes is known, and so is where one is damaged."""

import codecs
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import ftrun
from ftrun_tables import signatures

_CHUNK = 2**20  # bytes that are read at once
_LONGEST = 2**26  # bytes of a line: what has none in so many is no text

_MARKS = {  # a mark of byte order at the start of a file, the longer ones first
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say of a file that cannot be read which one it is, and what else is in its folder."""
    try:
        yield
    except FileNotFoundError:
        there = sorted(each.name for each in path.parent.iterdir()) if path.parent.is_dir() else []
        raise ftrun.DataError(f"there is no file {path}.{ftrun.did_you_mean(path.name, there)}") from None
    except OSError as error:
        raise ftrun.DataError(f"{path}: cannot be read: {error.strerror}.") from None


def check_regular(path: Path) -> None:
    """Raise DataError where `path` is a folder, or something else whose rows cannot be read more than once."""
    with reading(path):
        mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        files = sorted(each.name for each in path.iterdir() if each.is_file() and not each.name.startswith("."))
        held = f" It holds {', '.join(map(repr, files[:5]))}{', ...' if len(files) > 5 else ''}." if files else ""
        raise ftrun.DataError(f"{path}: is a folder, where a file is expected.{held}")
    if not stat.S_ISREG(mode):
        raise ftrun.DataError(f"{path}: is no regular file, and rows are read more than once. Write it to a file.")


def check_encoding(name: str) -> str:
    """Python's own name of it. Raises ValueError where it encodes no texts, or such whose lines cannot be told."""
    try:
        newline = "\n".encode(name)
        known = codecs.lookup(name).name.removesuffix("-sig")  # a mark at the start is found anyway
    except (LookupError, UnicodeError):
        raise ValueError(f"there is no encoding {name!r}: 'utf-8', 'cp1252', 'latin-1' and 'utf-16' are some") from None
    if newline != b"\n" and not known.startswith(("utf-8", "utf-16", "utf-32")):
        raise ValueError(f"lines of texts in {name!r} cannot be told: convert the file to UTF-8")
    return known


class Lines:
    """Iterates over a file's lines, their ends kept.

    encoding: as `check_encoding` gives it; then with the byte order that the file's mark tells
    number: of the last line that was given, from 1; `end`: where it ends, in bytes from the start of the file

    To be used in a `with`, which closes the file. Raises DataError, with file and line, where it cannot be read or
    decoded.
    """

    def __init__(self, path: Path, encoding: str) -> None:
        self.path = path
        self.number = 0
        with reading(path):
            self._file = path.open("rb")
            try:
                self.encoding, self.end = self._mark(encoding)
            except BaseException:
                self._file.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def _mark(self, encoding: str) -> tuple[str, int]:
        """The encoding with its byte order, and how many bytes the mark of it takes."""
        start = self._file.read(signatures.LENGTH)
        mark = next((mark for mark in _MARKS if start.startswith(mark)), b"")
        marked = _MARKS.get(mark, "")
        wide = encoding.startswith(("utf-16", "utf-32"))
        if other := signatures.other_kind(start, self.path) or (
            not wide and not marked and signatures.not_narrow(start)
        ):
            raise ftrun.DataError(f"{self.path}: {other}")
        if encoding in ("utf-16", "utf-32"):
            if not marked.startswith(encoding):
                raise ftrun.DataError(f"{self.path}: has no mark of {encoding}. Is it {encoding}-le or {encoding}-be?")
            return marked, len(mark)
        if marked and marked != encoding:
            other = "utf-8" if marked == "utf-8" else marked[:6]
            raise ftrun.DataError(
                f"{self.path}: is not {encoding}, but begins as {other} does: set `encoding` to that."
            )
        return encoding, len(mark)

    def __iter__(self) -> Iterator[str]:
        with reading(self.path):
            self._file.seek(self.end)
            for raw in self._raw():
                self.number += 1
                try:
                    line = raw.decode(self.encoding)
                except UnicodeError as error:
                    raise ftrun.DataError(self._not_text(raw, error)) from None
                self.end += len(raw)
                yield line

    def _raw(self) -> Iterator[bytes]:
        newline = "\n".encode(self.encoding)
        rest = b""
        while chunk := self._file.read(_CHUNK):
            lines = _split(rest + chunk, newline)
            rest = lines.pop()
            if len(rest) > _LONGEST:
                number = self.number + len(lines) + 1
                raise ftrun.DataError(f"{self.path}, line {number}: does not end within 64 MiB. Is this a text file?")
            yield from lines
        if rest:
            yield rest

    def _not_text(self, raw: bytes, error: UnicodeError) -> str:
        where = f"{self.path}, line {self.number}: "
        if not isinstance(error, UnicodeDecodeError):
            return f"{where}is not {self.encoding}: {error}."
        byte = f"byte {self.end + error.start + 1:,} of the file, 0x{raw[error.start]:02x}"
        return (
            f"{where}{byte}, is not {self.encoding}. If the file is in another encoding, set `encoding`: 'cp1252' is "
            "the one of Windows in the west."
        )


def _split(data: bytes, newline: bytes) -> list[bytes]:
    """The whole lines in `data`, and what is left behind the last one, which may be nothing."""
    if len(newline) > 1:
        return _split_wide(data, newline)
    lines = data.splitlines(keepends=True)  # of bytes: at \n, \r and \r\n, and nowhere else
    if lines and lines[-1].endswith(b"\n"):
        lines.append(b"")
    return lines or [b""]  # "\r" at the end is not known to be whole: "\n" may follow


def _split_wide(data: bytes, newline: bytes) -> list[bytes]:
    """The same for units of 2 or 4 bytes, at \\n alone."""
    lines, start, at = [], 0, 0
    while (at := data.find(newline, at)) >= 0:
        if at % len(newline):  # half of one unit and half of the next
            at += 1
            continue
        at += len(newline)
        lines.append(data[start:at])
        start = at
    return [*lines, data[start:]]
