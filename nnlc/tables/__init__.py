"""The published table format: its columns, defined once, and reading and writing it."""

from nnlc.tables.columns import COLUMNS, CURVE_COLUMNS, METADATA_COLUMNS, Column
from nnlc.tables.table import Row, Table, parse_table, read_table, write_table

__all__ = [
    "COLUMNS",
    "CURVE_COLUMNS",
    "METADATA_COLUMNS",
    "Column",
    "Row",
    "Table",
    "parse_table",
    "read_table",
    "write_table",
]
