"""What is shown of texts that others wrote: names of classes and files, cells of tables."""

import unicodedata
from collections.abc import Mapping, Sequence

_ESCAPED = ("Cc", "Cs", "Zl", "Zp")
"""Unicode's categories of what moves the cursor, cannot be encoded, or ends a line."""

_TURNS = frozenset("\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff")
"""What turns the direction of writing, or has no width. Emoji and some scripts need joiners, which stay."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def printable(text: str) -> str:
    """Return a text on one line that a terminal or a log shows as it is: control characters are written \\x1b."""
    if text.isprintable():  # as nearly all are
        return text
    return "".join(_escape(each) if each in _TURNS or unicodedata.category(each) in _ESCAPED else each for each in text)


def printable_lines(text: str) -> str:
    """Return the same of a text of several lines."""
    return "\n".join(map(printable, text.split("\n")))


def cell(text: str) -> str:
    """Return a text as a cell of a CSV file that spreadsheets take for no formula: `'` comes before = + - and @.

    A number stays as it is. (OWASP, "CSV Injection")
    """
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def shortlist(texts: Sequence[str], most: int = 8) -> str:
    """Return `a, b, c and 9 more`: the first of some texts, and how many are left out."""
    rest = len(texts) - most
    return ", ".join(texts[:most]) + (f" and {rest:,} more" if rest > 0 else "")


def columns(rows: Sequence[Sequence[str]], indent: int = 0) -> list[str]:
    """Return rows of a table as aligned lines; the last column runs on."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        " " * indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def counted(counts: Mapping[str, int], most: int = 8) -> str:
    """Return `.wav 90, .aif 12`: what there is of each, the most frequent first; of many, the first `most`."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rest = sum(count for _, count in ordered[most:])
    shown = [f"{name} {count:,}" for name, count in ordered[:most]]
    return ", ".join([*shown, f"others {rest:,}"] if rest else shown)
