"""Contents of an export in memory, made from tables or read from an export's files."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnlc.errors import NnlcError, TableError
from nnlc.exporting.schema import LONGEST, VALUES, Schema, article_first, schema_of, text_of
from nnlc.families.layouts import ARTICLE_NAME, depth_of
from nnlc.networks.specification import Specification
from nnlc.tables import Row, Table
from nnlc.tables.folder_names import PART_NAMES, table_name
from nnlc.wording import reason_of

if TYPE_CHECKING:
    from nnlc.collection.sources import Source

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Records = dict[str, list[Any]]
"""Values for each network, by the name of a part of `Schema.networks`.

Lists are tuples of integers, and None is a blank field.
"""

MOST_TABLES = 1_000_000
MOST_HALF_EPOCHS = 20_000_000
"""Most half epochs of all tables together: 40 times the article's, 1 GB of memory."""
_LONGEST_NAME_BYTES = 255
"""Longest name of a folder that file systems allow."""


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """Records of many networks, and their curves."""

    schema: Schema
    networks: Records
    """Columns of `schema`; those that are read from files lack the derived ones."""
    values: Floats
    """Curves, network after network: half epochs × `VALUES`."""
    blanks: Flags
    """True where a field is blank and its value NaN: half epochs × `VALUES`."""

    def __len__(self) -> int:
        return len(self.networks["id"])

    @property
    def layout(self) -> "CurveRows":
        """Layout of the curves' rows."""
        return CurveRows(self.networks["id"], self.networks["half_epochs"])

    @property
    def families(self) -> list[str]:
        """Families of the networks, sorted, the article's first."""
        names = set(self.networks["family"]) if self.schema.has_families else {ARTICLE_NAME}
        return sorted(names, key=article_first)

    def paths(self) -> list[str]:
        """Return each table's path relative to a folder of exported tables."""
        pairs = zip(self.networks["folder"], self.networks["id"], strict=True)
        return [f"{folder}/{table_name(id_)}" for folder, id_ in pairs]

    @property
    def digest(self) -> str:
        """sha256 of the tables' sorted `sha256sum` output, the same in all formats."""
        lines = sorted(zip(self.paths(), self.networks["sha256"], strict=True))
        return hashlib.sha256("".join(f"{s}  {p}\n" for p, s in lines).encode()).hexdigest()


class CurveRows:
    """Layout of the curves' rows: network after network, half epoch after half epoch."""

    def __init__(self, ids: Sequence[str], half_epochs: Sequence[int]) -> None:
        self._ids = np.array(ids, dtype=object)
        lengths = np.array(half_epochs, dtype=np.int64)
        self._ends = np.cumsum(lengths)
        self._starts = self._ends - lengths
        self.rows = int(lengths.sum())

    def owners(self, start: int, end: int) -> NDArray[np.int64]:
        """Return for each row from `start` to `end` the position of its network."""
        return np.searchsorted(self._ends, np.arange(start, end), side="right")

    def ids(self, start: int, end: int) -> NDArray[np.object_]:
        """Return for each row from `start` to `end` the ID of its network."""
        found: NDArray[np.object_] = self._ids[self.owners(start, end)]
        return found

    def half_epochs(self, start: int, end: int) -> NDArray[np.int64]:
        """Return for each row from `start` to `end` the number of its half epoch."""
        found: NDArray[np.int64] = np.arange(start, end) - self._starts[self.owners(start, end)] + 1
        return found

    def check(self, where: Path, name: str, start: int, found: Sequence[Any]) -> None:
        """Check a column of consecutive rows of a file.

        Args:
            where: the file.
            name: the column, "id" or "half_epoch".
            start: number of rows before these.
            found: values of the column in these rows.

        Raises:
            NnlcError: there are too many rows, or a value is not the expected one.
        """
        end = start + len(found)
        if end > self.rows:
            raise NnlcError(
                f"{where}: there are more rows than the {self.rows} half epochs of the networks"
            )
        expected = (self.ids if name == "id" else self.half_epochs)(start, end)
        differing = np.flatnonzero(np.asarray(found, dtype=expected.dtype) != expected)
        if len(differing):
            at = int(differing[0])
            raise NnlcError(
                f"{where}, row {start + at + 1}, column {name}: {str(found[at])[:80]!r} instead of "
                f"{str(expected[at])!r}; leave rows and their order as they were exported"
            )

    def check_end(self, where: Path, rows: int) -> None:
        """Check that no row is missing.

        Raises:
            NnlcError: the file ends too early.
        """
        if rows != self.rows:
            raise NnlcError(
                f"{where}: ends after {rows} of {self.rows} rows, one for each half epoch"
            )


def contents_of(sources: Sequence["Source"]) -> Contents:
    """Return the contents of tables, sorted by folder and ID.

    Raises:
        TableError: a table is too large, or has changed since it was read.
        NnlcError: there are too many tables or half epochs.
    """
    sources = sorted(sources, key=lambda one: (one.folder, one.id))
    rows = sum(len(one.curve) for one in sources)
    if rows > MOST_HALF_EPOCHS or len(sources) > MOST_TABLES:
        raise NnlcError(
            f"{len(sources)} tables with {rows} half epochs are too many for one export "
            f"(at most {MOST_TABLES} and {MOST_HALF_EPOCHS}); export each dataset separately"
        )
    for one in sources:
        _check_size(one)
    schema = schema_of({id(one.layout): one.layout for one in sources}.values())
    records = [_record(one, schema) for one in sources]
    networks = {part.name: [one.get(part.name) for one in records] for part in schema.networks}
    empty = np.empty((0, len(VALUES)))
    values = np.concatenate([empty, *(one.curve for one in sources)])
    blanks = np.concatenate([empty.astype(bool), *map(_blanks, sources)])
    return Contents(schema, networks, values, blanks)


def _check_size(source: "Source") -> None:
    for column, value in zip(source.layout.columns, source.metadata, strict=True):
        if column.kind in LONGEST and len(value) > LONGEST[column.kind]:
            raise TableError(f"{column.name} is too long for an export", path=source.path)
    if len(text_of(source.layout)) > LONGEST["text"]:
        raise TableError("the header is too long for an export", path=source.path)


def _record(source: "Source", schema: Schema) -> dict[str, Any]:
    """Return the record of a table's network, by part."""
    layout, values = source.layout, source.values
    numbers = (column.field for column in layout.columns if column.kind == "number")
    zeros = (name for name in numbers if isinstance(values[name], float) and _is_zero(values[name]))
    return {schema.part_of(column): values[column.field] for column in layout.columns} | {
        "family": source.family,
        "depth": depth_of(layout, values),
        "half_epochs": len(source.curve),
        "published": source.is_published,
        "folder": source.folder,
        "sha256": source.sha256,
        "float_zeros": "-".join(zeros),
        "own_columns": text_of(layout),
    }


def _is_zero(value: float) -> bool:
    """Return True for 0 and 0.0, but not for -0.0."""
    return value == 0 and math.copysign(1, value) > 0


def _blanks(source: "Source") -> Flags:
    """Return which fields of a curve are blank; `Source.curve` has NaN for blank and nan fields."""
    curve = source.curve
    if not np.isnan(curve).any():
        return np.zeros(curve.shape, dtype=bool)
    lines = source.content().decode("ascii").split("\n")[1 : len(curve) + 1]
    return np.array([[not text for text in line.split(" ")[1:4]] for line in lines])


def tables_of(contents: Contents, where: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each table's path relative to a folder, and its bytes, whose sha256 has been checked.

    Args:
        contents: contents as read from files; nothing in them is trusted.
        where: path of the export, for messages.

    Raises:
        NnlcError: a folder's name is invalid, an ID occurs twice, a network is impossible, or a
            table differs from the one that was exported.
    """
    ends = np.cumsum(contents.networks["half_epochs"]).tolist()
    _check_names(contents, where)
    for i, (path, digest) in enumerate(
        zip(contents.paths(), contents.networks["sha256"], strict=True)
    ):
        start, end = ends[i] - contents.networks["half_epochs"][i], ends[i]
        try:
            table = Table(_specification(contents, i), _rows(contents, start, end))
            content = table.to_bytes()
        except (NnlcError, ValueError) as problem:
            raise NnlcError(f"{where}: table {path!r}: {str(problem)[:200]}") from None
        if hashlib.sha256(content).hexdigest() != digest:
            raise NnlcError(
                f"{where}: table {path!r} is no longer the one that was exported (its sha256 "
                "differs): the export was damaged or edited; export the tables again"
            )
        yield path, content


def _check_names(contents: Contents, where: Path) -> None:
    seen: set[str] = set()
    for folder, id_ in zip(contents.networks["folder"], contents.networks["id"], strict=True):
        if not is_folder_name(folder):
            raise NnlcError(
                f"{where}, network {id_[:80]!r}, column folder: {folder[:80]!r} can't be the name "
                "of a folder of tables"
            )
        if id_ in seen:
            raise NnlcError(f"{where}: network {id_[:80]!r} occurs twice")
        seen.add(id_)


def is_folder_name(name: str) -> bool:
    """Return True for a name that a folder of tables may have: printable, not hidden, no path."""
    return (
        name.isprintable()
        and "/" not in name
        and not name.startswith(".")
        and name not in PART_NAMES
        and 0 < len(name.encode("utf-8", "replace")) <= _LONGEST_NAME_BYTES
    )


def _specification(contents: Contents, i: int) -> Specification:
    schema, networks = contents.schema, contents.networks
    layout = schema.layout_of(networks, i)
    float_zeros = networks["float_zeros"][i].split("-")
    values: dict[str, Any] = {}
    for column in layout.columns:
        part = schema.part_of(column)
        values[column.field] = value = networks[part][i]
        if value is None:
            raise NnlcError(f"column {part} is blank")
        if column.kind == "number" and _is_zero(value) and column.field not in float_zeros:
            values[column.field] = 0
    spec: Specification = layout.make(values)
    return spec


def _rows(contents: Contents, start: int, end: int) -> tuple[Row, ...]:
    values = contents.values[start:end].tolist()
    blanks = contents.blanks[start:end]
    if blanks.any():
        for row, column in np.argwhere(blanks).tolist():
            values[row][column] = None
    return tuple(Row(*row) for row in values)


def check_records(schema: Schema, networks: Records, where: Path) -> None:
    """Check that all parts of records read from a file have the same length, within bounds.

    Args:
        schema: schema of the export.
        networks: the records.
        where: the file, for messages.

    Raises:
        NnlcError: a part is too short or too long, or there are too many half epochs.
    """
    for part in schema.stored:
        if len(networks[part.name]) != len(networks["id"]):
            raise NnlcError(
                f"{where}, column {part.name}: {len(networks[part.name])} values for "
                f"{len(networks['id'])} networks"
            )
    lengths = networks["half_epochs"]
    if any(length < 1 for length in lengths) or sum(lengths) > MOST_HALF_EPOCHS:
        raise NnlcError(
            f"{where}, column half_epochs: each must be at least 1, and their sum at most "
            f"{MOST_HALF_EPOCHS}"
        )


@contextmanager
def reading(path: Path, library: str, errors: tuple[type[Exception], ...]) -> Iterator[list[str]]:
    """Convert a library's errors into a message; yield one entry, for the name of the column."""
    at = [""]
    try:
        yield at
    except errors as problem:
        where = ", ".join(filter(None, [str(path), *at]))
        raise NnlcError(f"{where}: can't be read as {library}: {reason_of(problem)}") from None
