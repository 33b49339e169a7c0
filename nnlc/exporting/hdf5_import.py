"""Reader of HDF5 exports, which earlier versions wrote: two groups, with a dataset for each column.

Texts of networks and lists have variable lengths. As HDF5 has no null, the dataset `blank` marks
the values of `curves` that are blank and not NaN. Parquet has replaced this format.
"""

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from nnlc.exporting.contents import (
    MOST_TABLES,
    Contents,
    CurveRows,
    Records,
    check_records,
    reading,
)
from nnlc.exporting.manifest import RECORDS, Manifest
from nnlc.exporting.schema import LONGEST, VALUES, Schema

FILE = RECORDS["hdf5"][0]
_LIST = h5py.vlen_dtype(np.dtype("<i4"))
_PLAIN = {"integer": "<i8", "number": "<f8", "flag": "|b1"}
_ERRORS = (OSError, ValueError, KeyError, TypeError, RuntimeError, MemoryError)
_ROWS_AT_ONCE = 1 << 16
_LONGEST_FIXED_TEXT = 64
"""Most bytes of a text of fixed length."""
_Reader = Callable[[str, int, Any], h5py.Dataset]
"""Function from a column's place, most rows and type to the column."""
_BLANK = "blank"
"""Name of the column of flags: for each row, a bit for each of `VALUES` that is blank."""


def read(folder: Path, manifest: Manifest) -> Contents:
    """Read an export; refuse a file that has been changed before the HDF5 library reads it.

    Raises:
        NnlcError: the file is not the one that was exported, or nnlc did not write it.
    """
    path = folder / FILE
    stream = io.BytesIO(manifest.read_file(path))
    with reading(path, "HDF5", _ERRORS) as at, h5py.File(stream, "r") as file:
        get = partial(_column, file, at)
        networks = _read_networks(get, manifest.schema)
        check_records(manifest.schema, networks, path)
        layout = CurveRows(networks["id"], networks["half_epochs"])
        values, blanks = _read_curves(get, layout, path)
    return Contents(manifest.schema, networks, values, blanks)


def _column(file: h5py.File, at: list[str], place: str, most_rows: int, dtype: Any) -> h5py.Dataset:
    """Return a one-dimensional dataset; no links and no external storage are followed.

    Args:
        file: the file.
        at: one entry, which gets the place, for messages.
        place: group and name of the dataset.
        most_rows: greatest number of rows allowed.
        dtype: type of the dataset; None for text.

    Raises:
        ValueError: there is no such dataset, or nnlc can't have written it.
    """
    at[0] = place
    found: Any = file
    for name in place.split("/"):
        link = found.get(name, getlink=True) if isinstance(found, h5py.Group) else None
        found = found[name] if isinstance(link, h5py.HardLink) else None
    if not isinstance(found, h5py.Dataset):
        raise ValueError("there is no such column")
    if found.external or found.is_virtual or found.compression not in (None, "gzip"):
        raise ValueError("it is stored in a way that nnlc never uses")
    if len(found.shape) != 1 or found.size > most_rows:
        shape = " × ".join(map(str, found.shape))
        raise ValueError(f"it has {shape} values instead of at most {most_rows}")
    if found.chunks and found.chunks[0] > _ROWS_AT_ONCE:
        raise ValueError("it has chunks that are larger than nnlc writes")
    if not _has_type(found, dtype):
        raise ValueError(f"it is of type {found.dtype}")
    return found


def _has_type(dataset: h5py.Dataset, dtype: Any) -> bool:
    if dtype is None:
        text = h5py.check_string_dtype(dataset.dtype)
        return text is not None and (text.length is None or text.length <= _LONGEST_FIXED_TEXT)
    if dtype == _LIST:
        return bool(h5py.check_vlen_dtype(dataset.dtype) == np.dtype("<i4"))
    return bool(dataset.dtype == np.dtype(dtype))


def _read_networks(get: _Reader, schema: Schema) -> Records:
    networks: Records = {}
    for part in schema.stored:
        dtype = None if part.kind == "text" else _PLAIN.get(part.kind, _LIST)
        column = get(f"networks/{part.name}", MOST_TABLES, dtype)
        values = (column.asstr() if dtype is None else column)[:].tolist()
        most = LONGEST.get(part.kind)
        if most is not None and any(len(value) > most for value in values):
            raise ValueError(f"a value is longer than {most}")
        lists = part.kind == "integers"
        networks[part.name] = [tuple(value.tolist()) for value in values] if lists else values
    return networks


def _read_curves(
    get: _Reader, layout: CurveRows, path: Path
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    def whole(name: str, dtype: Any) -> h5py.Dataset:
        found = get(f"curves/{name}", layout.rows, dtype)
        layout.check_end(path, len(found))
        return found

    ids, numbers = whole("id", None), whole("half_epoch", _PLAIN["integer"])
    for start in range(0, layout.rows, _ROWS_AT_ONCE):
        chunk = slice(start, start + _ROWS_AT_ONCE)
        layout.check(path, "id", start, ids.asstr()[chunk])
        layout.check(path, "half_epoch", start, numbers[chunk])
    values = [whole(part.name, _PLAIN["number"])[:] for part in VALUES]
    blanks = whole(_BLANK, "|u1")[:][:, np.newaxis] >> np.arange(len(VALUES)) & 1
    return np.column_stack(values), blanks.astype(bool)
