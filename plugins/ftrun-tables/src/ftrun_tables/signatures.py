"""What a file is that is no table of texts, from how it begins: each kind with what to do about it."""

import io
import zipfile
from pathlib import Path

LENGTH = 512  # bytes of a file's beginning that are looked at

_UNPACK = "Unpack it first, and name the file that is in it."
_TO_CSV = "Save its sheet as CSV (UTF-8), and name that file."
_FRAME = 'Write it as text first, as in pandas.{}(...).to_csv("table.csv", index=False).'

_KINDS: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", f"is compressed by gzip. {_UNPACK[:-1]}: gunzip FILE."),
    (b"BZh", f"is compressed by bzip2. {_UNPACK}"),
    (b"\xfd7zXZ\x00", f"is compressed by xz. {_UNPACK}"),
    (b"\x28\xb5\x2f\xfd", f"is compressed by zstd. {_UNPACK}"),
    (b"7z\xbc\xaf\x27\x1c", f"is a 7z archive. {_UNPACK}"),
    (b"Rar!\x1a\x07", f"is a RAR archive. {_UNPACK}"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", f"is an old Office document, such as an Excel workbook (.xls). {_TO_CSV}"),
    (b"PAR1", f"is a Parquet file. {_FRAME.format('read_parquet')}"),
    (b"ARROW1", f"is an Arrow (Feather) file. {_FRAME.format('read_feather')}"),
    (b"FEA1", f"is a Feather file. {_FRAME.format('read_feather')}"),
    (b"Obj\x01", "is an Avro file. Write it as CSV or JSON Lines first."),
    (b"ORC", f"is an ORC file. {_FRAME.format('read_orc')}"),
    (b"\x89HDF\r\n\x1a\n", f"is an HDF5 file. {_FRAME.format('read_hdf')}"),
    (b"SQLite format 3\x00", f"is an SQLite database. {_FRAME.format('read_sql')}"),
    (b"\x93NUMPY", "is a NumPy array. Write it as CSV first."),
    (b"%PDF-", "is a PDF document. Write its table as CSV first."),
    (b"{\\rtf", "is an RTF document. Save its text as CSV (UTF-8)."),
    (b"\x89PNG\r\n", "is an image (PNG)."),
    (b"\xff\xd8\xff", "is an image (JPEG)."),
    (b"\x7fELF", "is a program."),
    (
        b"version https://git-lfs",
        "is a Git LFS pointer, and not the file itself. Run `git lfs pull` in its repository.",
    ),
)
_ZIPPED = (
    ("xl/", f"is an Excel workbook (.xlsx). {_TO_CSV}"),
    ("word/", "is a Word document (.docx). Save its table as CSV (UTF-8)."),
    ("content.xml", f"is an OpenDocument file, such as a sheet of LibreOffice (.ods). {_TO_CSV}"),
)


def other_kind(start: bytes, path: Path) -> str | None:
    """Return what the file at `path` is and what to do, such as `is compressed by gzip. ...`; None for a text.

    start: the first LENGTH bytes of the file, or all that it has
    """
    if start.startswith(b"PK\x03\x04"):
        return _in_zip(path)
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "is a pickle, which could run any code. Write it as CSV or JSON Lines where it was made."
    binary = any(byte < 9 for byte in start)
    for mark, what in _KINDS:
        if start.startswith(mark) and (binary or not mark.isalnum()):  # a table's header may begin with such letters
            return what
    return _as_page(start)


def _in_zip(path: Path) -> str:
    names: list[str] = []
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile, io.UnsupportedOperation, NotImplementedError):
        return f"is a zip archive that is cut off or damaged. {_UNPACK}"
    return next(
        (what for inner, what in _ZIPPED if any(name.startswith(inner) for name in names)),
        f"is a zip archive. {_UNPACK}",
    )


def _as_page(start: bytes) -> str | None:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<table")):
        return "is a web page (HTML). Did a download give a page in place of the file? Fetch the file itself."
    if text.startswith(b"<?xml"):
        return "is XML. Write it as CSV or JSON Lines first."
    return None


def not_narrow(start: bytes) -> str | None:
    """Return what a file is that is in no encoding of single bytes: UTF-16 without its mark, or no text at all."""
    even, odd = start[0:64:2], start[1:64:2]
    if len(odd) >= 2 and not any(odd) and all(even):
        return "looks like utf-16-le: set `encoding` to that."
    if len(odd) >= 2 and not any(even) and all(odd):
        return "looks like utf-16-be: set `encoding` to that."
    line = start.partition(b"\n")[0]
    return "holds NUL bytes in its first line. Is this a text file?" if b"\x00" in line else None
