"""What datasets of rows in files build on: CSV and JSON Lines, target columns, splits. Brings no parts."""

from typing import TYPE_CHECKING, Any

from ftrun_tables.table import CsvTable, JsonlTable, Table

if TYPE_CHECKING:
    from ftrun_tables.files import RowFile
    from ftrun_tables.indexed import Read, Rows

__all__ = ["CsvTable", "JsonlTable", "Read", "RowFile", "Rows", "Table"]


def __getattr__(name: str) -> Any:
    # What needs torch is loaded with its first use: specs are checked without it.
    if name in ("Read", "Rows"):
        from ftrun_tables import indexed

        return getattr(indexed, name)
    if name == "RowFile":
        from ftrun_tables.files import RowFile

        return RowFile
    raise AttributeError(f"module 'ftrun_tables' has no attribute {name!r}")
