"""Tables in the published format: columns, reading and writing, many tables as data frames."""

from nnlc.tables.columns import CURVE_COLUMNS
from nnlc.tables.table import Row, Table, parse_table, read_table, write_table

__all__ = [
    "CURVE_COLUMNS",
    "Row",
    "Table",
    "parse_table",
    "read_table",
    "write_table",
]
