"""Exports as two CSV files, with all digits of each number.

Fields are written as in tables: lists joined by hyphens, blank fields empty and NaN as nan. A text
that a spreadsheet would take for a formula is preceded by an apostrophe, which readers must drop.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from io import StringIO, TextIOWrapper
from itertools import islice
from operator import methodcaller
from pathlib import Path
from typing import Any

import numpy as np

from nnlc.errors import NnlcError
from nnlc.exporting.contents import MOST_TABLES, Contents, CurveRows, Records, check_records
from nnlc.exporting.manifest import RECORDS, Manifest, open_plain
from nnlc.exporting.schema import CURVES, LONGEST, VALUES, Part, Schema
from nnlc.networks.columns import KINDS, column
from nnlc.tables import CURVE_COLUMNS

NETWORKS_FILE, CURVES_FILE = RECORDS["csv"]
_FORMULA = ("=", "+", "-", "@", "'")
_LONGEST_LINE = 4 << 20
"""Most characters of a line; nnlc writes far shorter ones."""
_ROWS_AT_ONCE = 1 << 14
_ENCODINGS = {kind: column("", "", kind) for kind in KINDS}
_INTEGER = _ENCODINGS["integer"]
_VALUE = CURVE_COLUMNS[0]
_Rows = Iterator[tuple[int, list[str]]]
"""Rows below the header, each with its line number."""


def write(contents: Contents, folder: Path) -> None:
    """Write the files of an export into a folder."""
    with (folder / NETWORKS_FILE).open("x", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        parts = contents.schema.networks
        writer.writerow(part.name for part in parts)
        columns = [map(_writer_of(part), contents.networks[part.name]) for part in parts]
        writer.writerows(zip(*columns, strict=True))
    with (folder / CURVES_FILE).open("x", newline="", encoding="utf-8") as file:
        file.write(_line(part.name for part in CURVES))
        layout = contents.layout
        datasets = [_line([_escape_formula(name)])[:-1] for name in contents.networks["dataset"]]
        for start in range(0, layout.rows, _ROWS_AT_ONCE):
            end = min(start + _ROWS_AT_ONCE, layout.rows)
            numbers = layout.half_epochs(start, end)
            texts: list[Iterable[str]] = [
                layout.ids(start, end).tolist(),
                map(datasets.__getitem__, layout.owners(start, end).tolist()),
                map(str, numbers.tolist()),
                map(repr, (numbers / 2).tolist()),
                *_value_texts(contents, start, end),
            ]
            # Only datasets may need quotes, and `datasets` has them.
            file.writelines(f"{','.join(row)}\n" for row in zip(*texts, strict=True))


def _line(texts: Iterable[str]) -> str:
    """Return a line of CSV."""
    line = StringIO(newline="")
    csv.writer(line, lineterminator="\n").writerow(texts)
    return line.getvalue()


def _writer_of(part: Part) -> Callable[[Any], str]:
    write = _escape_formula if part.kind == "text" else _ENCODINGS[part.kind].write
    return write if not part.blank else lambda value: "" if value is None else write(value)


def _escape_formula(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _value_texts(contents: Contents, start: int, end: int) -> Iterator[list[str]]:
    for i in range(len(VALUES)):
        texts = list(map(repr, contents.values[start:end, i].tolist()))
        for at in np.flatnonzero(contents.blanks[start:end, i]).tolist():
            texts[at] = ""
        yield texts


def read(folder: Path, manifest: Manifest) -> Contents:
    """Read an export; each field is checked, as a user may have edited the files.

    Raises:
        NnlcError: a file has anything that nnlc does not write; with column and line.
    """
    networks = _read_networks(folder / NETWORKS_FILE, manifest.schema)
    layout = CurveRows(networks["id"], networks["half_epochs"])
    path = folder / CURVES_FILE
    values = np.empty((layout.rows, len(VALUES)))
    blanks = np.empty(values.shape, dtype=bool)
    names = ["id", "half_epoch", *(part.name for part in VALUES)]
    start = 0
    with _reading(path, names) as rows:
        while chunk := list(islice(rows, _ROWS_AT_ONCE)):
            ids, _, *columns = zip(*(fields for _, fields in chunk), strict=True)
            layout.check(path, "id", start, ids)
            counted = [
                _field(path, line, fields[1], "half_epoch", _INTEGER.read) for line, fields in chunk
            ]
            layout.check(path, "half_epoch", start, counted)
            for i, texts in enumerate(columns):
                values[start : start + len(chunk), i] = _numbers(path, chunk, names, i + 2, texts)
                blanks[start : start + len(chunk), i] = [not text for text in texts]
            start += len(chunk)
    layout.check_end(path, start)
    return Contents(manifest.schema, networks, values, blanks)


def _numbers(
    path: Path, chunk: list[tuple[int, list[str]]], names: list[str], at: int, texts: Sequence[str]
) -> list[float]:
    """Return the numbers of a column; if a text is no number, raise an error that names it."""
    try:
        return [float(text or "nan") for text in texts]
    except ValueError:
        for line, fields in chunk:
            _field(path, line, fields[at], names[at], _VALUE.read)
        raise  # pragma: no cover  unreachable


def _read_networks(path: Path, schema: Schema) -> Records:
    names = [part.name for part in schema.stored]
    readers = [_reader_of(part) for part in schema.stored]
    networks: Records = {name: [] for name in names}
    with _reading(path, names) as rows:
        for line, fields in islice(rows, MOST_TABLES):
            for name, read_field, text in zip(names, readers, fields, strict=True):
                networks[name].append(_field(path, line, text, name, read_field))
    check_records(schema, networks, path)
    return networks


def _reader_of(part: Part) -> Callable[[str], Any]:
    if part.kind == "integers":  # a blank field may be an empty list, and is read as one
        return _read_list
    unescape = methodcaller("removeprefix", "'")
    read_field = unescape if part.kind == "text" else _ENCODINGS[part.kind].read
    return read_field if not part.blank else lambda text: read_field(text) if text else None


def _read_list(text: str) -> tuple[int, ...]:
    values: tuple[int, ...] = _ENCODINGS["integers"].read(text)
    if len(values) > LONGEST["integers"]:
        raise ValueError(f"the list has more than {LONGEST['integers']} entries")
    return values


def _field(path: Path, line: int, text: str, name: str, read_field: Callable[[str], Any]) -> Any:
    try:
        return read_field(text)
    except ValueError as problem:
        words = f"{path}, line {line}, column {name}: {str(problem)[:200]}"
        raise NnlcError(f"{words}; export the tables again, and don't edit the file") from None


@contextmanager
def _reading(path: Path, names: list[str]) -> Iterator[_Rows]:
    """Open a file and yield its rows, with the fields of these names in this order."""
    try:
        with open_plain(path) as raw, TextIOWrapper(raw, "utf-8-sig", newline="") as file:
            yield _rows(path, file, names)
    except (csv.Error, UnicodeDecodeError) as problem:
        raise NnlcError(f"{path}: can't be read as CSV: {problem}") from None
    except OSError as problem:
        raise NnlcError(f"{path}: can't be read: {problem.strerror}") from None


def _rows(path: Path, file: TextIOWrapper, names: list[str]) -> _Rows:
    reader = csv.reader(iter(partial(file.readline, _LONGEST_LINE), ""), strict=True)
    header = next(reader, [])
    for name in names:
        if header.count(name) != 1:
            found = header.count(name) or "no"
            raise NnlcError(f"{path}: line 1 has {found} columns {name} instead of one")
    places = [header.index(name) for name in names]
    for row in reader:
        if len(row) != len(header):
            raise NnlcError(
                f"{path}, line {reader.line_num}: {len(row)} fields instead of {len(header)}"
            )
        yield reader.line_num, [row[place] for place in places]
