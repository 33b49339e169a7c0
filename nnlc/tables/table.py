"""Tables: a network's specification and learning curve, and their text format.

The format is that of the published tables. Line 1 is the header. Line 2 has the first half epoch's
values and the values of metadata, 24 in the article's tables; each later line has a half epoch's
values and as many empty fields. Fields are separated by single spaces, and each line ends in one
newline.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnlc.errors import SpecError, TableError
from nnlc.networks.columns import Column, Layout
from nnlc.networks.specification import Specification
from nnlc.system.files import open_regular, why_unread, write_atomically
from nnlc.system.text_file import BYTE_ORDER_MARKS
from nnlc.tables.columns import (
    CURVE_COLUMNS,
    EPOCHS,
    columns_of,
    header_of,
    layout_of_header,
    nearest_layout,
)

MAX_BYTES = 64 * 1024 * 1024
"""Maximum size of a table in bytes; a larger file is no table."""

_STRANGE_BYTE = re.compile(rb"[^\n -~]")
_CURVE_FIELDS = 1 + len(CURVE_COLUMNS)
_TRAIN_LOSS, _VAL_LOSS, _ACCURACY = CURVE_COLUMNS


@dataclass(frozen=True, slots=True)
class Row:
    """One half epoch of a learning curve; a blank field is None."""

    train_loss: float | None
    """Mean training loss over the half epoch's batches."""
    val_loss: float | None
    val_accuracy_percent: float | None


@dataclass(frozen=True, slots=True)
class Table:
    """A network and its curve; `rows[i]` was recorded after i + 1 half epochs."""

    spec: Specification
    rows: tuple[Row, ...]

    def to_bytes(self) -> bytes:
        """Return the table in the published format."""
        if not self.rows:
            raise TableError("a table has at least one half epoch")
        layout = self.spec.layout
        metadata = "".join(f" {c.write(getattr(self.spec, c.field))}" for c in layout.columns)
        blank = " " * len(layout.columns)
        curve = [
            f"{EPOCHS.write(number / 2)} {_TRAIN_LOSS.write(row.train_loss)} "
            f"{_VAL_LOSS.write(row.val_loss)} {_ACCURACY.write(row.val_accuracy_percent)}"
            for number, row in enumerate(self.rows, 1)
        ]
        first, *others = curve
        lines = [header_of(layout), first + metadata, *(line + blank for line in others)]
        return ("\n".join(lines) + "\n").encode("ascii")


def write_table(table: Table, path: Path) -> None:
    """Write a table atomically: readers see the whole file or none.

    Raises:
        OSError: the file system refuses; an older file at the path stays as it was.
    """
    write_atomically(path, table.to_bytes())


def read_table(path: str | Path, *, half_epochs: int | None = None) -> Table:
    """Read a table, of nnlc or published.

    Only files that `Table.to_bytes` can write again, byte for byte, are accepted.

    Args:
        path: the table's file.
        half_epochs: number of rows that the table must have; None accepts any number.

    Raises:
        TableError: the file can't be read or is damaged; the message has line and column.
    """
    path = Path(path)
    try:
        with open_regular(path) as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as problem:
        raise TableError(why_unread(problem), path=path) from None
    return parse_table(content, path=path, half_epochs=half_epochs)


def parse_table(
    content: bytes, *, path: Path | None = None, half_epochs: int | None = None
) -> Table:
    """Return the table with these bytes, as `read_table` does; errors name `path`."""
    lines = _split_lines(content, path)
    layout = read_layout(lines[0], path)
    if len(lines) < 2:
        raise TableError("the table ends after its header", path=path, line=2)
    columns = columns_of(layout)
    rows = tuple(
        _parse_row(line, number, columns, path) for number, line in enumerate(lines[1:], 2)
    )
    spec = _parse_metadata(lines[1], layout, path)
    if half_epochs is not None and (problem := wrong_length(len(rows), half_epochs, path)):
        raise problem
    return Table(spec, rows)


def wrong_length(rows: int, half_epochs: int, path: Path | None = None) -> TableError | None:
    """Return the error for a table with `rows` rows instead of `half_epochs`; None if equal."""
    if rows == half_epochs:
        return None
    return TableError(
        f"the table ends after {rows} of {half_epochs} half epochs"
        if rows < half_epochs
        else f"the table has {rows} half epochs where {half_epochs} are expected",
        path=path,
        line=min(rows, half_epochs) + 2,
    )


def _split_lines(content: bytes, path: Path | None) -> list[str]:
    if not content:
        raise TableError("the file is empty", path=path)
    if len(content) > MAX_BYTES:
        raise TableError(f"the file is no table: it is larger than {MAX_BYTES} bytes", path=path)
    if strange := _STRANGE_BYTE.search(content):
        position = strange.start()
        start = content.rfind(b"\n", 0, position) + 1
        raise TableError(
            f"{_name_strange(content, position)} belongs in no table (plain ASCII, lines ended by "
            "one newline)",
            path=path,
            line=content.count(b"\n", 0, position) + 1,
            column=content.count(b" ", start, position) + 1,
        )
    if not content.endswith(b"\n"):
        raise TableError(
            "the last line has no newline: the file was cut off",
            path=path,
            line=content.count(b"\n") + 1,
        )
    return content.decode("ascii")[:-1].split("\n")


def _name_strange(content: bytes, position: int) -> str:
    """Return a text for a byte that no table may contain, such as one that an editor has added."""
    if position == 0 and content.startswith(tuple(BYTE_ORDER_MARKS)):
        return "the file begins with a byte-order mark, which"
    if content[position : position + 2] == b"\r\n":
        return "the line ends in carriage return and newline, as on Windows, which"
    return f"byte {content[position]:#04x}"


def read_layout(line: str, path: Path | None = None) -> Layout:
    """Return the layout of a table with this header.

    Raises:
        TableError: the line is no header.
    """
    try:
        layout = layout_of_header(line)
    except SpecError as problem:
        raise TableError(f"the header: {problem}", path=path, line=1) from None
    if layout is not None:
        return layout
    columns, names = columns_of(nearest_layout(line)), line.split(" ")
    for number, column in enumerate(columns, 1):
        found = names[number - 1] if number <= len(names) else "nothing"
        if found != column.name:
            raise TableError(
                f"the header says {found[:80]!r} where {column.name!r} belongs",
                path=path,
                line=1,
                column=number,
            )
    raise TableError(
        f"the header has {len(names)} fields, not {len(columns)}",
        path=path,
        line=1,
        column=len(columns) + 1,
    )


def _parse_row(line: str, number: int, columns: Sequence[Column], path: Path | None) -> Row:
    fields = line.split(" ")
    if len(fields) != len(columns):
        raise TableError(
            f"{len(fields)} fields where {len(columns)} belong", path=path, line=number
        )
    expected = EPOCHS.write((number - 1) / 2)
    if fields[0] != expected:
        raise TableError(
            f"epoch {fields[0]!r} where {expected} belongs",
            path=path,
            line=number,
            column=1,
            column_name=EPOCHS.name,
        )
    if number > 2:
        _check_blank(fields, number, columns, path)
    return Row(*_parse_fields(CURVE_COLUMNS, fields[1:_CURVE_FIELDS], number, 2, path))


def _check_blank(
    fields: Sequence[str], number: int, columns: Sequence[Column], path: Path | None
) -> None:
    for i in range(_CURVE_FIELDS, len(fields)):
        if fields[i]:
            raise TableError(
                f"{fields[i]!r} in a field that must be empty: only line 2 has metadata",
                path=path,
                line=number,
                column=i + 1,
                column_name=columns[i].name,
            )


def _parse_metadata(line: str, layout: Layout, path: Path | None) -> Specification:
    fields = line.split(" ")[_CURVE_FIELDS:]
    values = _parse_fields(layout.columns, fields, 2, _CURVE_FIELDS + 1, path)
    names = [column.field for column in layout.columns]
    try:
        spec: Specification = layout.make(dict(zip(names, values, strict=True)))
    except SpecError as problem:
        at = next((i for i, name in enumerate(names) if str(problem).startswith(name)), None)
        if str(problem).startswith("ID"):
            at = 0
        raise TableError(
            str(problem),
            path=path,
            line=2,
            column=None if at is None else _CURVE_FIELDS + 1 + at,
            column_name=None if at is None else layout.columns[at].name,
        ) from None
    return spec


def _parse_fields(
    columns: Sequence[Column], fields: Sequence[str], line: int, first: int, path: Path | None
) -> list[Any]:
    values = []
    for number, (column, text) in enumerate(zip(columns, fields, strict=True), first):
        try:
            values.append(column.read(text))
        except ValueError as problem:
            raise TableError(
                str(problem)[:200], path=path, line=line, column=number, column_name=column.name
            ) from None
    return values
