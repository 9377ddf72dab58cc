"""Files that are no tables: one message each, with what the file is and what to do about it."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import pytest

import ftrun
from ftrun_text import Csv, Jsonl

ROWS = "text,label\n" + "".join(f"w{n},{'xy'[n % 2]}\n" for n in range(20))
LINES = "".join(json.dumps({"text": f"w{n}", "label": "xy"[n % 2]}) + "\n" for n in range(20))


def dataset(kind: str, path: Path, **options: Any) -> ftrun.Dataset:
    given = {"name": kind, "path": str(path), "text": "text", "target": "label", "test_fraction": 0, **options}
    return (Csv if kind == "csv" else Jsonl).model_validate_json(json.dumps(given))


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return out.getvalue()


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (zipped("[Content_Types].xml", "xl/workbook.xml"), "is an Excel workbook (.xlsx). Save its sheet as CSV"),
        (zipped("mimetype", "content.xml"), "is an OpenDocument file"),
        (zipped("word/document.xml"), "is a Word document"),
        (zipped("table.csv"), "is a zip archive. Unpack it first"),
        (zipped("table.csv")[:40], "is a zip archive that is cut off or damaged."),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "is an old Office document, such as an Excel"),
        (gzip.compress(ROWS.encode()), "is compressed by gzip. Unpack it first"),
        (bz2.compress(ROWS.encode()), "is compressed by bzip2."),
        (lzma.compress(ROWS.encode()), "is compressed by xz."),
        (b"\x28\xb5\x2f\xfd\x04\x00", "is compressed by zstd."),
        (b"PAR1\x15\x04\x15\x00PAR1", "is a Parquet file. Write it as text first, as in pandas.read_parquet(...)"),
        (b"ARROW1\x00\x00", "is an Arrow (Feather) file."),
        (b"\x89HDF\r\n\x1a\n\x00", "is an HDF5 file."),
        (pickle.dumps({"a": 1}), "is a pickle, which could run any code."),
        (b"<!DOCTYPE html>\n<html><body>Sign in</body></html>", "is a web page (HTML). Did a download"),
        (b"\xef\xbb\xbf\n<HTML>", "is a web page (HTML)."),
        (b"<?xml version='1.0'?><a/>", "is XML."),
        (b"%PDF-1.7\n", "is a PDF document."),
        (b"\x89PNG\r\n\x1a\n", "is an image (PNG)."),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "is a Git LFS pointer"),
        (ROWS.encode("utf-16-le"), "looks like utf-16-le: set `encoding` to that."),
        (LINES.encode("utf-16-be"), "looks like utf-16-be: set `encoding` to that."),
        (ROWS.encode("utf-16"), "is not utf-8, but begins as utf-16 does: set `encoding` to that."),
        (bytes(100), "holds NUL bytes in its first line. Is this a text file?"),
        (b"", "is empty"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",  # what is compressed holds the time
)  # fmt: skip
def test_what_is_no_table_is_named(kind: str, content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(ftrun.DataError) as caught:
        dataset(kind, path).build()
    assert str(caught.value).startswith(f"{path}: {told}")


def test_a_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "table.db"
    with sqlite3.connect(path) as database:
        database.execute("create table t (text, label)")
    database.close()
    with pytest.raises(ftrun.DataError, match="is an SQLite database"):
        dataset("csv", path).build()


@pytest.mark.parametrize("start", ["PAR1", "ORC", "BZh", "FEA1", "PK"])
def test_a_header_may_begin_with_the_letters_of_a_format(start: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(ROWS.replace("text,label", f"{start},label"))
    assert len(dataset("csv", path, text=start).build().train) == 20


@pytest.mark.parametrize("first", ["sep=;\n", "sep=;\r\n", '"sep=;"\n', "SEP=;\n", "\ufeffsep=;\n"])
def test_a_first_line_that_names_the_delimiter_is_followed(first: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes((first + ROWS.replace(",", ";")).encode())
    train = dataset("csv", path).build().train
    assert (len(train), train[19][0], train[0][0]) == (20, "w19", "w0")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (json.dumps([{"text": "a", "label": "x"}]), ": is one JSON array. Expected is an object"),
        (json.dumps([{"text": "a"}], indent=1), ", line 1: is not JSON: Expecting value: column 2. The file"),
        (json.dumps({"text": "a"}, indent=1), ", line 1: is not JSON: Expecting property name"),
        (ROWS, ", line 1: is not JSON: Expecting value: column 1. Is it a CSV file? The dataset `csv` reads those."),
    ],
)  # fmt: skip
def test_json_that_is_no_object_a_line_is_named(content: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "table.jsonl"
    path.write_text(content)
    with pytest.raises(ftrun.DataError) as caught:
        dataset("jsonl", path).build()
    assert str(caught.value).startswith(f"{path}{told}")


def test_json_lines_as_csv_are_named(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(LINES)
    with pytest.raises(ftrun.DataError, match="Is it JSON\\? The dataset `jsonl` reads an object a line"):
        dataset("csv", path).build()


def test_a_header_that_is_repeated_is_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(ROWS + ROWS + "\ufeff" + ROWS)  # three files put together
    splits = dataset("csv", path).build()
    assert splits.targets["label"].names == ("x", "y")
    assert len(splits.train) == 60
    assert splits.train[20][0] == "w0"
    assert list(splits.notes) == [f"{path}: the header is repeated 2 times, first in line 22; these lines are left out"]


def test_rows_without_a_text_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(ROWS + ",x\n ,y\n")
    (note,) = dataset("csv", path, empty_texts="skip").build().notes
    assert note == f"{path}: 2 rows without a text in 'text' are left out"
