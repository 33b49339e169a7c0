"""Fast parser of tables: metadata as a tuple, the curve as an array.

It is many times faster than `parse_table`. Values are parsed with few checks and formatted again.
If this gives the same bytes, the values are right; otherwise `parse_table` reads the table or
refuses it.
"""

from collections.abc import Callable
from functools import lru_cache
from itertools import compress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from nnlc.errors import SpecError
from nnlc.networks.columns import Column, Layout
from nnlc.tables import table as tables
from nnlc.tables.columns import CURVE_COLUMNS, EPOCHS, layout_of_header

Metadata = tuple[Any, ...]
"""Values of a layout's columns of metadata, in their order."""
Curve = NDArray[np.float64]
"""Values (half epochs, `CURVE_COLUMNS`); NaN for a blank field."""

_CURVE_FIELDS = 1 + len(CURVE_COLUMNS)
_SMALL_INTEGERS = {str(number): number for number in range(1024)}


class _Reader(NamedTuple):
    """Functions for tables of one layout."""

    layout: Layout
    names: tuple[str, ...]
    readers: tuple[Callable[[str], Any], ...]
    row_end: str
    """Blank metadata of a row, and the line's end."""


def parse_arrays(content: bytes, *, path: Path | None = None) -> tuple[Layout, Metadata, Curve]:
    """Return a table's layout, metadata and curve.

    Args:
        content: the table's bytes.
        path: its file, for errors.

    Raises:
        TableError: the table is damaged; the error is that of `parse_table`.
    """
    header, newline, body = content.partition(b"\n")
    if newline and len(content) <= tables.MAX_BYTES and content.isascii():
        reader = _reader(header)
        text = body.decode("ascii")
        first, newline_text, later = text.partition("\n")
        texts = first.split(" ")
        if reader and newline_text and (m := _read_metadata(texts[_CURVE_FIELDS:], reader)):
            curve = _read_rows(
                " ".join(texts[:_CURVE_FIELDS]) + reader.row_end + later, reader.row_end
            )
            if curve is not None:
                return reader.layout, m, curve
    table = tables.parse_table(content, path=path)
    rows = [[getattr(row, column.field) for column in CURVE_COLUMNS] for row in table.rows]
    layout = table.spec.layout
    metadata = tuple(getattr(table.spec, column.field) for column in layout.columns)
    return layout, metadata, np.array(rows, dtype=np.float64)  # None becomes NaN


@lru_cache(maxsize=64)
def _reader(header: bytes) -> _Reader | None:
    """Return the functions for tables with this header; None if `parse_table` must refuse them."""
    try:
        layout = layout_of_header(header.decode("ascii"))
    except SpecError:
        return None
    if layout is None:
        return None
    names = tuple(column.field for column in layout.columns)
    row_end = " " * len(names) + "\n"
    return _Reader(layout, names, tuple(map(_reader_of, layout.columns)), row_end)


def _read_metadata(texts: list[str], reader: _Reader) -> Metadata | None:
    if len(texts) != len(reader.readers):
        return None
    try:
        values = tuple([read(text) for read, text in zip(reader.readers, texts, strict=True)])
        reader.layout.make(dict(zip(reader.names, values, strict=True)))
    except ValueError:
        return None
    return values


def _reader_of(column: Column) -> Callable[[str], Any]:
    """Return a fast function for the same values as those of `Column.read`."""

    def read(text: str) -> Any:
        try:
            return tuple([_SMALL_INTEGERS[part] for part in text.split("-")])
        except KeyError:
            return column.read(text)

    return read if column.kind == "integers" else column.read


def _read_rows(text: str, row_end: str) -> Curve | None:
    """Return the values of rows without metadata; None if `parse_table` must read them."""
    texts = text.replace(row_end, " ").split(" ")
    half_epochs = len(texts) // _CURVE_FIELDS
    del texts[::_CURVE_FIELDS]  # the epochs, and the empty text after the last separator
    if len(texts) != half_epochs * len(CURVE_COLUMNS):
        return None
    # No field contains a space, so only one list of fields gives this text.
    if _row_format(half_epochs, row_end) % tuple(texts) != text:
        return None
    values = _read_plain(texts)
    values = _read_mixed(texts) if values is None else values
    return None if values is None else values.reshape(half_epochs, len(CURVE_COLUMNS))


@lru_cache(maxsize=16)
def _row_format(half_epochs: int, row_end: str) -> str:
    """Return a format string for rows without metadata, with a `%s` for each value."""
    values = " %s" * len(CURVE_COLUMNS) + row_end
    return "".join(EPOCHS.write((i + 1) / 2) + values for i in range(half_epochs))


def _read_plain(texts: list[str]) -> Curve | None:
    """Return numbers that JSON and Python write alike; None if there are other texts among them.

    orjson parses them in a tenth of Python's time.
    """
    joined = ",".join(texts)
    if _is_odd(joined):
        return None
    encoded = f"[{joined}]".encode()
    try:
        numbers = orjson.loads(encoded)
    except orjson.JSONDecodeError:
        return None
    if set(map(type, numbers)) != {float} or len(numbers) != len(texts):
        return None
    return np.array(numbers) if orjson.dumps(numbers) == encoded else None


def _is_odd(text: str) -> bool:
    """Return True if JSON may write a number differently: nan, inf, exponents, 0.00001."""
    return "e" in text or "n" in text or "0.0000" in text


def _read_odd(texts: list[str]) -> Curve | None:
    """Return numbers parsed by Python; None if there are other texts among them."""
    try:
        numbers = list(map(float, texts))
    except ValueError:
        return None
    return np.array(numbers) if repr(numbers) == f"[{', '.join(texts)}]" else None


def _read_mixed(texts: list[str]) -> Curve | None:
    """Return plain numbers, odd numbers and blank fields; None if there are other texts."""
    values = np.full(len(texts), np.nan)
    are_odd = list(map(_is_odd, texts))
    are_plain = [bool(text) and not odd for text, odd in zip(texts, are_odd, strict=True)]
    for chosen, read in ((are_plain, _read_plain), (are_odd, _read_odd)):
        if any(chosen):
            numbers = read(list(compress(texts, chosen)))
            if numbers is None:
                return None
            values[chosen] = numbers
    return values
