"""Markdown from values: text that may hold anything, in cells and as code."""

from collections.abc import Iterable, Sequence


def cell(text: str) -> str:
    """Return text in one line that a table's cell takes."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def code(text: str) -> str:
    """Return text as code in a table's cell; nothing for nothing."""
    return f"`{text}`" if text else ""  # a pipe in code ends no cell


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of rows whose cells are Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
