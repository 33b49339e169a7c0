"""Reads exports that earlier versions wrote as HDF5: two groups, a dataset a column.

Parquet has taken its place. Texts of networks and lists have variable lengths. HDF5 has no null:
which values of `curves` are blank, and not NaN, says its dataset `blank`.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from nnlc.errors import NnlcError
from nnlc.exporting.contents import (
    LONGEST_TEXT,
    MOST_ENTRIES,
    MOST_TABLES,
    Contents,
    Layout,
    Records,
    check_records,
    needed,
)
from nnlc.exporting.manifest import RECORDS, Manifest
from nnlc.exporting.schema import NETWORKS, VALUES
from nnlc.wording import reason_of

FILE, _ = RECORDS["hdf5"]
_TEXT = h5py.string_dtype()
_LIST = h5py.vlen_dtype(np.dtype("<i4"))
_PLAIN = {"integer": "<i8", "number": "<f8", "flag": "|b1"}
_ROWS_AT_ONCE = 1 << 16
_LONGEST_FIXED_TEXT = 64
"""Bytes of a text that is repeated in every row."""
_BLANK = "blank"
"""The column of flags, a bit for each value of a row: whether the table leaves it blank."""


def read(folder: Path, manifest: Manifest) -> Contents:
    """Read an export; of a file that was changed since, nothing reaches the HDF5 library.

    Raises:
        NnlcError: the file is not the one that was exported, or is none that nnlc writes.
    """
    path = folder / FILE
    stream = io.BytesIO(manifest.read_file(path))
    with _reading(path) as at, h5py.File(stream, "r") as file:
        networks = _read_networks(_Group(path, file, "networks", at))
        check_records(networks, path)
        layout = Layout(networks["id"], networks["half_epochs"])
        values, blanks = _read_curves(_Group(path, file, "curves", at), layout)
    return Contents(networks, values, blanks)


@contextmanager
def _reading(path: Path) -> Iterator[list[str]]:
    """What the library finds wrong becomes one message with the file and the column."""
    at = [""]
    try:
        yield at
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, MemoryError) as problem:
        where = f"{path}, {at[0]}" if at[0] else str(path)
        raise NnlcError(f"{where}: can't be read as HDF5: {reason_of(problem)}") from None


class _Group:
    """A group of the file, of which only plain datasets are read: no links, nothing from elsewhere.

    Args:
        path: of the file, for errors.
        file: the open file.
        name: of the group.
        at: keeps what is read, for errors.
    """

    def __init__(self, path: Path, file: h5py.File, name: str, at: list[str]) -> None:
        self.path, self._name, self._at = path, name, at
        self._at[0] = name
        self._group = self._hard(file, name, h5py.Group)

    def _hard(self, group: h5py.Group, name: str, kind: type) -> Any:
        link = group.get(name, getlink=True)
        found = group[name] if isinstance(link, h5py.HardLink) else None
        if not isinstance(found, kind):
            what = "group" if kind is h5py.Group else "column"
            raise NnlcError(f"{self.path}, {self._at[0]}: there is none, or it is no {what}")
        return found

    def column(self, name: str, rows: int | None, dtype: Any) -> h5py.Dataset:
        """A dataset of one dimension and this type.

        Args:
            name: of the column.
            rows: that it must have; None takes what a million networks may have.
            dtype: None stands for text, of any length.
        """
        self._at[0] = where = f"{self._name}/{name}"
        found: h5py.Dataset = self._hard(self._group, name, h5py.Dataset)
        problem = ""
        if found.external or found.is_virtual or found.compression not in (None, "gzip"):
            problem = "is stored in a way that nnlc never does"
        elif len(found.shape) != 1 or found.size > (MOST_TABLES if rows is None else rows):
            problem = f"has {' × '.join(map(str, found.shape))} values where {rows} belong"
        elif found.chunks and found.chunks[0] > _ROWS_AT_ONCE:
            problem = "has chunks that are larger than nnlc writes"
        elif not _is_of(found, dtype):
            problem = f"is of type {found.dtype}"
        if problem:
            raise NnlcError(f"{self.path}, {where}: {problem}")
        return found


def _is_of(dataset: h5py.Dataset, dtype: Any) -> bool:
    if dtype is None:
        text = h5py.check_string_dtype(dataset.dtype)
        return text is not None and (text.length is None or text.length <= _LONGEST_FIXED_TEXT)
    if dtype == _LIST:
        return bool(h5py.check_vlen_dtype(dataset.dtype) == np.dtype("<i4"))
    return bool(dataset.dtype == np.dtype(dtype))


def _read_networks(group: _Group) -> Records:
    networks: Records = {}
    parts = {part.name: part for part in NETWORKS}
    for name in needed():
        kind = parts[name].kind
        if kind == "text":
            networks[name] = _texts(group, name)
        elif kind == "integers":
            networks[name] = _lists(group, name)
        else:
            networks[name] = group.column(name, None, _PLAIN[kind])[:].tolist()
    return networks


def _texts(group: _Group, name: str) -> list[str]:
    texts: list[str] = group.column(name, None, None).asstr()[:].tolist()
    if any(len(text) > LONGEST_TEXT for text in texts):
        raise NnlcError(f"{group.path}, column {name}: a text is longer than {LONGEST_TEXT}")
    return texts


def _lists(group: _Group, name: str) -> list[tuple[int, ...]]:
    arrays = group.column(name, None, _LIST)[:]
    if any(len(array) > MOST_ENTRIES for array in arrays):
        raise NnlcError(f"{group.path}, column {name}: a list is longer than {MOST_ENTRIES}")
    return [tuple(array.tolist()) for array in arrays]


def _read_curves(group: _Group, layout: Layout) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    ids = group.column("id", layout.rows, None)
    layout.check_end(group.path, len(ids))
    numbers = group.column("half_epoch", layout.rows, _PLAIN["integer"])
    layout.check_end(group.path, len(numbers))
    for start in range(0, layout.rows, _ROWS_AT_ONCE):
        chunk = slice(start, start + _ROWS_AT_ONCE)
        layout.check(group.path, "id", start, ids.asstr()[chunk])
        layout.check(group.path, "half_epoch", start, numbers[chunk])
    columns = []
    for part in VALUES:
        column = group.column(part.name, layout.rows, _PLAIN["number"])
        layout.check_end(group.path, len(column))
        columns.append(column[:])
    bits = group.column(_BLANK, layout.rows, "|u1")
    layout.check_end(group.path, len(bits))
    blanks = bits[:][:, np.newaxis] >> np.arange(len(VALUES)) & 1
    return np.column_stack(columns), blanks.astype(bool)
