"""Tables in the published format: columns, reading and writing, many tables as data frames."""

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
