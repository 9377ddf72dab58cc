"""Precision, recall and F1 of each class or label."""

from collections.abc import Sequence
from dataclasses import dataclass

from ftrun_report.report.intervals import Rate, f1, proportion

_IN_ORDER = 30
"""As many keep the dataset's order; of more, the worst come first."""


@dataclass(frozen=True)
class Row:
    """One class or label: how often it is true, predicted, and both."""

    name: str
    true: int
    predicted: int
    hits: int
    precision: Rate
    recall: Rate
    f1: Rate


@dataclass(frozen=True)
class Table:
    """The rows that are shown, of `total`."""

    rows: list[Row]
    total: int
    worst_first: bool


def table(names: Sequence[str], counts: Sequence[tuple[int, int, int]], most: int) -> Table:
    """Return at most so many rows, the lowest F1 first where they are many.

    counts: for each name, how often it is true, predicted, and both
    """
    rows = [_row(name, *each) for name, each in zip(names, counts, strict=True)]
    worst_first = len(rows) > min(_IN_ORDER, most)
    if worst_first:  # what never occurred and was never predicted has no F1, and goes last
        rows.sort(key=lambda row: (row.f1.value is None, row.f1.value or 0.0))
    return Table(rows[:most], len(rows), worst_first)


def _row(name: str, true: int, predicted: int, hits: int) -> Row:
    return Row(
        *(name, true, predicted, hits),
        proportion(hits, predicted),
        proportion(hits, true),
        f1(hits, predicted - hits, true - hits),
    )
