"""Lenient parser: reads as much as possible of a damaged table, and notes every fault.

The strict parser (`nnlc.tables.record`) refuses a table at its first fault.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import numpy as np

from nnlc.errors import SpecError
from nnlc.families.layouts import article_layout
from nnlc.networks.columns import TRAINING_COLUMNS, Column, Layout
from nnlc.system.text_file import BYTE_ORDER_MARKS
from nnlc.tables.columns import (
    CURVE_COLUMNS,
    EPOCHS,
    columns_of,
    layout_of_header,
    nearest_layout,
)
from nnlc.tables.fast_parsing import Curve
from nnlc.tables.record import Record
from nnlc.tables.table import MAX_BYTES

_MOST_STRANGE = 5
"""Maximum number of different characters outside plain ASCII to note."""
_MOST_LINES = 1_000_000
"""Maximum number of lines; no campaign has so many half epochs."""
_LONGEST_LINE_BYTES = 1 << 20
_LONGEST_QUOTE = 200
_FIRST_METADATA = 1 + len(CURVE_COLUMNS)
_NAMED_BYTES = {"\t": "a tab", "\0": "a zero byte", "\r": "a carriage return"}


class Notes(Protocol):
    """Receiver of a table's faults, each with the name of the broken rule and its place."""

    def add(
        self,
        rule: str,
        found: str,
        right: str = "",
        *,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        """Note a fault: the text found, and the right text."""


@dataclass(slots=True)
class PartialRecord:
    """Readable parts of a table that may be damaged."""

    values: dict[str, Any] = field(default_factory=dict)
    """Metadata by field of the specification; a field that can't be read is left out."""
    curve: Curve | None = None
    """Half epochs × `CURVE_COLUMNS`; None if any row can't be read."""
    half_epochs: int | None = None
    """Number of rows, readable or not; None if the file is not text."""
    layout: Layout = field(default_factory=article_layout)
    """Columns of metadata, as far as the header can be read."""

    @classmethod
    def of(cls, record: Record) -> Self:
        """Return the partial record of a table without faults."""
        return cls(record.values, record.curve, len(record.curve), record.layout)


def parse_leniently(content: bytes, notes: Notes) -> PartialRecord:
    """Return the readable parts of a table's bytes, and note every fault."""
    found = PartialRecord()
    text = _as_text(content, notes)
    if text is None:
        return found
    lines = text.removesuffix("\n").split("\n")
    found.layout = _read_header(lines[0], notes)
    found.half_epochs = len(lines) - 1
    if len(lines) > 1:
        columns = columns_of(found.layout)
        found.curve = _read_curve(lines[1:], columns, notes)
        found.values = _read_metadata(lines[1].split(" "), columns, notes)
    return found


def is_too_large(content: bytes, notes: Notes) -> bool:
    """Return True, and note the fault, if parsing the file would take too much memory."""
    lines = content.count(b"\n")
    if len(content) > MAX_BYTES:
        notes.add("too-large", f"more than {MAX_BYTES} bytes", "some 6,000")
    elif lines > _MOST_LINES:
        notes.add("too-large", f"{lines} lines", "81, or as the campaign says")
    elif (longest := max(lengths := [*map(len, content.split(b"\n"))])) > _LONGEST_LINE_BYTES:
        line = lengths.index(longest) + 1
        notes.add("too-large", f"a line of {longest} bytes", "some 500", line=line)
    else:
        return False
    return True


def _as_text(content: bytes, notes: Notes) -> str | None:
    """Return the text, with byte-order mark and line ends repaired; None if not plain ASCII."""
    if not content:
        notes.add("empty-file", "the file is empty", "a header and a row for each half epoch")
        return None
    text = _without_mark(content, notes)
    text = _with_plain_line_ends(text, notes)
    if _has_strange_bytes(text, notes):
        return None
    if not text.endswith("\n"):
        notes.add(
            "final-newline",
            "the last line has no newline: the file was cut off or edited",
            "one newline after the last line",
            line=text.count("\n") + 1,
        )
    return text


def _without_mark(content: bytes, notes: Notes) -> str:
    mark = next((mark for mark in BYTE_ORDER_MARKS if content.startswith(mark)), None)
    if mark is None:
        return content.decode("latin-1")  # a character for each byte
    encoding = BYTE_ORDER_MARKS[mark]
    notes.add(
        "byte-order-mark",
        f"the file begins with the byte-order mark (BOM) of {encoding.removesuffix('-sig')}",
        "plain ASCII from the first byte on",
        line=1,
        column=1,
    )
    return content.decode(encoding, "replace")


def _with_plain_line_ends(text: str, notes: Notes) -> str:
    returns = text.count("\r")
    if not returns:
        return text
    both, newlines = text.count("\r\n"), text.count("\n")
    if both == returns == newlines:
        found = f"all {newlines} lines end in carriage return and newline"
    elif both == returns:
        found = f"mixed: {both} of {newlines} lines end in carriage return and newline"
    elif not newlines:
        found = f"{returns} carriage returns instead of newlines"
    else:
        return text  # a stray byte within a line
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    line = text[: text.index("\r")].count("\n") + 1
    notes.add("line-ends", found, "a newline alone", line=line)
    return plain


def _has_strange_bytes(text: str, notes: Notes) -> bool:
    """Return True, and note the first few, if there are characters that no table may contain."""
    seen = ""
    while len(seen) < _MOST_STRANGE:
        match = re.search(f"[^\n -~{re.escape(seen)}]", text)
        if match is None:
            break
        character, position = match[0], match.start()
        seen += character
        start = text.rfind("\n", 0, position) + 1
        name = _NAMED_BYTES.get(character, f"byte {ord(character):#04x}")
        times = text.count(character)
        notes.add(
            "plain-ascii",
            f"{name} belongs in no table" + (f", {times} times" if times > 1 else ""),
            "printable ASCII, single spaces and newlines",
            line=text.count("\n", 0, position) + 1,
            column=text.count(" ", start, position) + 1,
        )
    return bool(seen)


def _read_header(line: str, notes: Notes) -> Layout:
    """Return the layout of a header, or the nearest one, and note where it differs."""
    try:
        if (layout := layout_of_header(line)) is not None:
            return layout
    except SpecError as problem:
        notes.add("header", _cut(str(problem)), "columns of a family", line=1)
        return nearest_layout(line)
    layout = nearest_layout(line)
    columns, names = columns_of(layout), line.split(" ")
    for number, column in enumerate(columns, 1):
        if names[number - 1 : number] != [column.name]:
            found = _quoted(names[number - 1]) if number <= len(names) else "nothing"
            notes.add("header", f"{found} in the header", column.name, line=1, column=number)
            return layout
    notes.add(
        "header",
        f"{len(names)} fields in the header",
        f"{len(columns)}",
        line=1,
        column=len(columns) + 1,
    )
    return layout


def _read_curve(lines: Sequence[str], columns: Sequence[Column], notes: Notes) -> Curve | None:
    rows: list[list[float | None]] = []
    epoch = 0.0
    for number, line in enumerate(lines, 2):
        fields = line.split(" ")
        if len(fields) != len(columns):
            what = f"{len(fields)} field{'s' if fields[1:] else ''}" if line else "an empty line"
            notes.add("field-count", what, f"{len(columns)}", line=number)
        epoch = _read_epoch(fields[0], epoch + 0.5, number, notes)
        if len(fields) != len(columns):
            continue
        if number > 2:
            _check_blank(fields, number, notes)
        row = _read_row(fields, number, notes)
        if row is not None:
            rows.append(row)
    return np.array(rows, dtype=np.float64) if len(rows) == len(lines) else None


def _read_epoch(text: str, expected: float, line: int, notes: Notes) -> float:
    """Return the row's epoch: the value read if possible, else the expected value.

    Later rows are expected to follow on the value read, so that a gap is noted only once.
    """
    right = EPOCHS.write(expected)
    if text == right:
        return expected
    notes.add("epoch-grid", f"epoch {_quoted(text)}", right, line=line, column=1)
    try:
        read = float(EPOCHS.read(text))
    except ValueError:
        return expected
    return read if 0 < 2 * read < 1e6 and (2 * read).is_integer() else expected


def _check_blank(fields: Sequence[str], line: int, notes: Notes) -> None:
    for number in range(_FIRST_METADATA, len(fields)):
        if fields[number]:
            notes.add(
                "metadata-line",
                f"{_quoted(fields[number])} below line 2",
                "an empty field",
                line=line,
                column=number + 1,
            )


def _read_row(fields: Sequence[str], line: int, notes: Notes) -> list[float | None] | None:
    values = []
    for number, column in enumerate(CURVE_COLUMNS, 1):
        try:
            values.append(column.read(fields[number]))
        except ValueError as problem:
            _refuse("curve-text", problem, line, number + 1, column, notes)
    return values if len(values) == len(CURVE_COLUMNS) else None


def _read_metadata(
    fields: Sequence[str], columns: Sequence[Column], notes: Notes
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if len(fields) != len(columns):
        return values  # no field can be assigned to its column
    for number, column in enumerate(columns[_FIRST_METADATA:], _FIRST_METADATA):
        text = fields[number]
        try:
            values[column.field] = column.read(text)
        except ValueError as problem:
            _refuse("metadata-text", problem, 2, number + 1, column, notes)
    return values


def _refuse(
    rule: str, problem: ValueError, line: int, number: int, column: Column, notes: Notes
) -> None:
    published = column in (*CURVE_COLUMNS, *TRAINING_COLUMNS, *article_layout().own)
    whose = "published tables" if published else "tables of nnlc"
    right = f"{column.name} as {whose} write it"
    notes.add(rule, _cut(str(problem)), right, line=line, column=number)


def _quoted(text: str) -> str:
    return f"'{_cut(text)}'"


def _cut(text: str) -> str:
    return f"{text[:_LONGEST_QUOTE]}…" if len(text) > _LONGEST_QUOTE else text
