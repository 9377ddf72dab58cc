"""Files of rows, CSV and JSON Lines: they give rows with their places, and read one again from its bytes."""

import csv
import json
import os
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import ftrun
from ftrun_tables.lines import Lines, check_regular, reading

_LONGEST_FIELD = 2**24  # characters: a quote that is never closed would take in the rest of the file

_MISTAKES = {  # what Python's reader says, and what we say
    "unexpected end of data": "a quote that opens in this row is never closed.",
    "field limit": f"a field has more than {_LONGEST_FIELD:,} characters. Is a quote in this row not closed?",
    "expected after": "a quoted field goes on after its closing quote. A quote in a quoted field is written twice; "
    "where no fields are quoted at all, set `quote` to null.",
}

_SEPARATOR = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)

Row: TypeAlias = tuple[int, int, Sequence[Any]]
"""Where it begins in the file, in bytes; how many it takes; and what is in the columns that were asked for."""


class RowFile(ABC):
    """A file of rows. Raises DataError, with file and line, for whatever is wrong with it.

    encoding: as Python calls it; once rows were read, with its byte order
    """

    def __init__(self, path: Path, encoding: str) -> None:
        self.path = path
        self.encoding = encoding
        check_regular(path)
        with reading(path):
            status = os.stat(path)
        self.version = (status.st_size, status.st_mtime_ns)
        """Size and time of change: others if the file is another one."""
        self.notes: list[str] = []
        """What a user has to know of the rows that were read, a sentence each."""

    def rows(self, columns: Sequence[str]) -> Generator[Row, None, None]:
        """Every row, in order, with what is in `columns`; the first of them has to be in each row."""
        with Lines(self.path, self.encoding) as lines:
            self.encoding = lines.encoding
            yield from self._rows(lines, columns)

    @abstractmethod
    def _rows(self, lines: Lines, columns: Sequence[str]) -> Iterator[Row]: ...

    @abstractmethod
    def cell(self, row: str, column: str) -> Any:
        """What is in a column of one row, given that row."""

    def line_of(self, offset: int) -> int:
        """The line, from 1, that begins so many bytes into the file."""
        with Lines(self.path, self.encoding) as lines:
            return next((lines.number for _ in lines if lines.end > offset), lines.number)

    def refuse(self, offset: int, what: str) -> NoReturn:
        """Raise DataError for the row that begins there."""
        raise ftrun.DataError(f"{self.path}, line {self.line_of(offset)}: {what}")


class CsvFile(RowFile):
    """Comma-separated values as in RFC 4180: a header, and fields that may be quoted, and then hold line breaks too.

    quote: what fields are quoted with; None if none are
    """

    def __init__(self, path: Path, encoding: str, delimiter: str = ",", quote: str | None = '"') -> None:
        super().__init__(path, encoding)
        self.delimiter = delimiter
        self.quote = quote
        self._places: dict[str, int] = {}

    def _rows(self, lines: Lines, columns: Sequence[str]) -> Iterator[Row]:
        rows = self._reader(self._after_separator(lines))
        header = self._header(lines, rows)
        self._places = {column: self._place(header, column) for column in columns}
        wanted = _picking([self._places[column] for column in columns])
        repeated: list[int] = []
        while True:
            start, line = lines.end, lines.number + 1
            row = self._next(rows, line)
            if row is None:
                break
            if len(row) > 1 and _stripped(row) == header:  # files that were put together, each with its header
                repeated.append(line)
            elif len(row) == len(header):
                yield start, lines.end - start, wanted(row)
            elif row:  # an empty line is no row
                raise ftrun.DataError(
                    f"{self.path}, line {line}: has {_number(len(row), 'field')}, but the header has {len(header)}. "
                    f"A field that holds {self.delimiter!r} or a line break has to be quoted."
                )
        if repeated:
            self.notes.append(
                f"{self.path}: the header is repeated {_times(len(repeated))}, first in line {repeated[0]}; these "
                "lines are left out"
            )

    def _after_separator(self, lines: Lines) -> Iterator[str]:
        """The lines without a first one such as `sep=;`, by which spreadsheets name the delimiter: it is taken."""
        every = iter(lines)
        first = next(every, "")
        if named := _SEPARATOR.fullmatch(first):
            self.delimiter = named[1]
            return every
        return chain([first] if first else [], every)

    def cell(self, row: str, column: str) -> Any:
        return next(self._reader([row]))[self._places[column]]

    def _reader(self, lines: Any) -> Any:
        csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_FIELD))
        quoting = csv.QUOTE_NONE if self.quote is None else csv.QUOTE_MINIMAL
        return csv.reader(lines, delimiter=self.delimiter, quotechar=self.quote, quoting=quoting, strict=True)

    def _next(self, rows: Any, line: int) -> list[str] | None:
        try:
            return next(rows, None)
        except csv.Error as error:
            what = next((ours for theirs, ours in _MISTAKES.items() if theirs in str(error)), f"{error}.")
            raise ftrun.DataError(f"{self.path}, line {line}: {what}") from None

    def _header(self, lines: Lines, rows: Any) -> list[str]:
        line = 1
        while (header := self._next(rows, line)) == []:
            line = lines.number + 1
        if header is None:
            raise ftrun.DataError(
                f"{self.path}: is empty. Expected is a header with the names of the columns, then rows."
            )
        names = _stripped(header)
        twice = [name for name, count in Counter(names).items() if name and count > 1]
        if twice:
            raise ftrun.DataError(f"{self.path}, line {line}: the header has two columns named {twice[0]!r}.")
        return names

    def _place(self, header: Sequence[str], column: str) -> int:
        if column in header:
            return header.index(column)
        other = next((each for each in "\t;|," if len(header) == 1 and each in header[0]), None)
        hint = f" Are they separated by {other!r}? Set `delimiter`." if other else ""
        if header[0].startswith(("{", "[")):
            hint = " Is it JSON? The dataset `jsonl` reads an object a line."
        raise no_column(self.path, column, header, hint)


class JsonLines(RowFile):
    """A JSON object a line; a column is a key. Where one is missing, or null, so is the value."""

    def _rows(self, lines: Lines, columns: Sequence[str]) -> Iterator[Row]:
        first, start = columns[0], lines.end
        for text in lines:
            if not text.isspace():
                row = self._object(text, lines.number)
                if first not in row:
                    raise no_column(f"{self.path}, line {lines.number}", first, row)
                yield start, lines.end - start, [row.get(column) for column in columns]
            start = lines.end

    def cell(self, row: str, column: str) -> Any:
        return json.loads(row)[column]

    def _object(self, text: str, line: int) -> dict[str, Any]:
        try:
            row = json.loads(text.rstrip(), object_pairs_hook=_no_key_twice, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            reason = str(error).partition(" (char ")[0].replace("line 1 column", "column")
            raise ftrun.DataError(f"{self.path}, line {line}: is not JSON: {reason}.{_hint(text, line)}") from None
        if line == 1 and isinstance(row, list):
            raise ftrun.DataError(f"{self.path}: is one JSON array.{_ONE_A_LINE}")
        if not isinstance(row, dict):
            raise ftrun.DataError(f'{self.path}, line {line}: is JSON, but not an object, such as {{"text": "..."}}.')
        return row


_ONE_A_LINE = (
    " Expected is an object a line, with no brackets around them and no commas between: "
    'pandas.read_json(...).to_json("table.jsonl", orient="records", lines=True) writes that.'
)


def _hint(text: str, line: int) -> str:
    """What a file is whose first line is no JSON by itself."""
    start = text.strip()
    if line > 1:
        return ""
    if start.startswith("["):
        return f" The file begins as one JSON array.{_ONE_A_LINE}"
    if start.startswith("{"):
        return f" Does an object take several lines?{_ONE_A_LINE}"
    return " Is it a CSV file? The dataset `csv` reads those." if any(each in start for each in ",;\t") else ""


def no_column(where: Any, column: str, known: Sequence[str], hint: str = "") -> ftrun.DataError:
    """The error for a column that is not there."""
    names = ", ".join(repr(each) for each in list(known)[:20])
    return ftrun.DataError(
        f"{where}: there is no column {column!r}.{ftrun.did_you_mean(column, known)} There are {names}.{hint}"
    )


def _picking(places: Sequence[int]) -> Callable[[Sequence[str]], Sequence[str]]:
    """What picks those of a row's fields."""
    if len(places) > 1:
        return itemgetter(*places)
    (place,) = places
    return lambda row: (row[place],)


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {twice!r} stands twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _stripped(row: Sequence[str]) -> list[str]:
    """A header's names, without blanks and the mark that a file may begin with."""
    return [name.replace("\ufeff", "").strip() for name in row]


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
