"""Exports as two Parquet files, which pandas, polars, DuckDB, R and others read.

Lists are Parquet lists and blank fields are null. Each field's metadata has unit and description.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nnlc.errors import NnlcError
from nnlc.exporting.contents import (
    MOST_TABLES,
    Contents,
    CurveRows,
    Records,
    check_records,
    reading,
)
from nnlc.exporting.manifest import RECORDS, Manifest
from nnlc.exporting.schema import CURVES, LONGEST, VALUES, Part, Schema
from nnlc.networks.columns import Kind

NETWORKS_FILE, CURVES_FILE = RECORDS["parquet"]
_TYPES: dict[Kind, pa.DataType] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "flag": pa.bool_(),
    "number": pa.float64(),
    "integers": pa.list_(pa.int32()),
}
_ERRORS = (pa.ArrowException, OSError, ValueError, MemoryError, OverflowError)
_ROWS_AT_ONCE = 1 << 16
_LARGEST_COLUMN = 1 << 30
"""Most bytes of a column when uncompressed, as stated in the file."""


def write(contents: Contents, folder: Path) -> None:
    """Write the files of an export into a folder."""
    networks, parts = contents.networks, contents.schema.networks
    arrays = [pa.array(networks[part.name], _type_of(part)) for part in parts]
    _write(folder / NETWORKS_FILE, parts, arrays)
    layout = contents.layout
    owners = pa.array(layout.owners(0, layout.rows))
    half_epochs = layout.half_epochs(0, layout.rows)
    columns: dict[str, Any] = {
        "id": pa.array(networks["id"], pa.string()).take(owners),
        "dataset": pa.array(networks["dataset"], pa.string()).take(owners),
        "half_epoch": pa.array(half_epochs),
        "epoch": pa.array(half_epochs / 2),
    }
    for i, part in enumerate(VALUES):
        columns[part.name] = pa.array(contents.values[:, i], mask=contents.blanks[:, i])
    _write(folder / CURVES_FILE, CURVES, [columns[part.name] for part in CURVES])


def _write(path: Path, parts: tuple[Part, ...], arrays: list[Any]) -> None:
    table = pa.Table.from_arrays(arrays, schema=_schema(parts))
    pq.write_table(
        table,
        path,
        compression="zstd",
        use_dictionary=[part.name for part in parts if part.kind == "text"],
        write_page_checksum=True,
    )


def _schema(parts: tuple[Part, ...]) -> pa.Schema:
    fields = []
    for part in parts:
        facts = {"description": part.description}
        facts |= {"unit": part.unit} if part.unit else {}
        facts |= {"table_column": part.table_column} if part.table_column else {}
        fields.append(pa.field(part.name, _type_of(part), part.blank, facts))
    return pa.schema(fields)


def _type_of(part: Part) -> pa.DataType:
    return pa.list_(pa.int64()) if part.is_wide and part.kind == "integers" else _TYPES[part.kind]


def read(folder: Path, manifest: Manifest) -> Contents:
    """Read an export; refuse files that have been changed before the library reads them.

    Raises:
        NnlcError: a file is not the one that was exported, or nnlc did not write it.
    """
    networks = _read_networks(folder / NETWORKS_FILE, manifest)
    layout = CurveRows(networks["id"], networks["half_epochs"])
    path = folder / CURVES_FILE
    with reading(path, "Parquet", _ERRORS) as at, _open(path, manifest, layout.rows) as file:
        for name in ("id", "half_epoch"):
            at[0] = f"column {name}"
            start = 0
            for chunk in _chunks(file, _part(CURVES, name), path):
                layout.check(path, name, start, chunk.to_pylist())
                start += len(chunk)
            layout.check_end(path, start)
        values = np.empty((layout.rows, len(VALUES)))
        blanks = np.empty(values.shape, dtype=bool)
        for i, part in enumerate(VALUES):
            at[0] = f"column {part.name}"
            start = 0
            for chunk in _chunks(file, part, path):
                end = start + len(chunk)
                values[start:end, i] = chunk.to_numpy(zero_copy_only=False)
                blanks[start:end, i] = chunk.is_null().to_numpy(zero_copy_only=False)
                start = end
            layout.check_end(path, start)
    return Contents(manifest.schema, networks, values, blanks)


def _read_networks(path: Path, manifest: Manifest) -> Records:
    networks: Records = {}
    schema: Schema = manifest.schema
    with reading(path, "Parquet", _ERRORS) as at, _open(path, manifest, MOST_TABLES) as file:
        for part in schema.stored:
            at[0] = f"column {part.name}"
            networks[part.name] = []
            for chunk in _chunks(file, part, path):
                networks[part.name] += _plain(chunk, part, path)
    check_records(schema, networks, path)
    return networks


def _plain(chunk: pa.Array, part: Part, path: Path) -> list[Any]:
    if chunk.null_count and not part.blank:
        raise NnlcError(f"{path}, column {part.name}: a value is missing")
    values: list[Any] = chunk.to_pylist()
    if part.kind == "integers":
        values = [value if value is None else tuple(value) for value in values]
        if any(value is not None and None in value for value in values):
            raise NnlcError(f"{path}, column {part.name}: an entry of a list is missing")
    most = LONGEST.get(part.kind)
    if most is not None and any(value is not None and len(value) > most for value in values):
        raise NnlcError(f"{path}, column {part.name}: a value is longer than {most}")
    return values


@contextmanager
def _open(path: Path, manifest: Manifest, most_rows: int) -> Iterator[pq.ParquetFile]:
    stream = pa.BufferReader(manifest.read_file(path))
    with pq.ParquetFile(stream, page_checksum_verification=True) as file:
        if file.metadata.num_rows > most_rows:
            raise NnlcError(
                f"{path}: has {file.metadata.num_rows} rows instead of at most {most_rows}"
            )
        yield file


def _chunks(file: pq.ParquetFile, part: Part, path: Path) -> Iterator[pa.Array]:
    """Yield the values of a column in chunks."""
    schema = file.schema_arrow
    at = schema.get_field_index(part.name)  # -1 if none or several have the name
    if at < 0:
        raise NnlcError(f"{path}: has no column {part.name}, or several")
    if schema.field(at).type != _type_of(part):
        raise NnlcError(
            f"{path}, column {part.name}: is of type {schema.field(at).type}, not {_type_of(part)}"
        )
    if _unpacked_bytes(file, part.name) > _LARGEST_COLUMN:
        raise NnlcError(f"{path}, column {part.name}: is larger than nnlc would write it")
    for batch in file.iter_batches(_ROWS_AT_ONCE, columns=[part.name], use_threads=False):
        yield batch.column(0)


def _unpacked_bytes(file: pq.ParquetFile, name: str) -> int:
    total = 0
    for i in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(i)
        chunks = [group.column(j) for j in range(group.num_columns)]
        total += sum(
            c.total_uncompressed_size for c in chunks if c.path_in_schema.partition(".")[0] == name
        )
    return total


def _part(parts: tuple[Part, ...], name: str) -> Part:
    return next(part for part in parts if part.name == name)
