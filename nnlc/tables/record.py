"""A table in memory, read strictly: the file, its digest, what it says of its network, its curve.

A record is read only where `Table.to_bytes` would give the same bytes back.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnlc.errors import TableError
from nnlc.system.files import NotAFileError, open_regular, why_unread
from nnlc.tables.columns import METADATA_COLUMNS
from nnlc.tables.fast_parsing import Curve, Metadata, parse_arrays
from nnlc.tables.table import MAX_BYTES
from nnlc.tables.table_folders import TableFiles

_FIELDS = tuple(column.field for column in METADATA_COLUMNS)
_DATASET = _FIELDS.index("dataset")


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One table as it was read."""

    path: Path
    sha256: str
    """Digest of the bytes that were read."""
    metadata: Metadata
    curve: Curve

    @property
    def id(self) -> str:
        return str(self.metadata[0])

    @property
    def dataset(self) -> str:
        return str(self.metadata[_DATASET])

    @property
    def values(self) -> dict[str, Any]:
        """Metadata by field of `NetworkSpec`."""
        return dict(zip(_FIELDS, self.metadata, strict=True))


def parse_record(content: bytes, path: Path) -> Record:
    """Read a table from bytes in memory; `path` is kept, and named in errors.

    Raises:
        TableError: damaged, in the words of `read_table`.
    """
    digest = hashlib.sha256(content).hexdigest()
    return Record(path, digest, *parse_arrays(content, path=path))


def read_record(path: Path, *, follow_link: bool) -> Record:
    """Read a table from its file.

    Raises:
        TableError: unreadable or damaged, in the words of `read_table`.
    """
    return parse_record(read_bytes(path, follow_link=follow_link), path)


def read_records(
    files: TableFiles, *, follow_link: bool | None = None
) -> Iterator[Record | TableError]:
    """Yield each table in turn, or what is wrong with it.

    In one process: another would take a tenth of the time for 6,000 tables to start, and can't be
    forked safely beside torch or MPI.

    Args:
        files: the tables.
        follow_link: True if they may be symbolic links; by default if they were named one by one.
    """
    follow_link = not files.whole if follow_link is None else follow_link
    for name in files.names:
        try:
            yield read_record(files.folder / name, follow_link=follow_link)
        except TableError as problem:
            yield problem


def read_bytes(path: Path, *, follow_link: bool) -> bytes:
    """Read a file as `read_content` does, with the errors of `read_table`.

    Raises:
        TableError: unreadable.
    """
    try:
        return read_content(path, follow_link=follow_link)
    except OSError as problem:
        refused = not isinstance(problem, NotAFileError)
        raise TableError(why_unread(problem), path=path, unread=refused) from None


def read_content(path: Path, *, follow_link: bool) -> bytes:
    """Read the bytes of a file that must be a table, at most `MAX_BYTES` + 1.

    Args:
        path: the file.
        follow_link: True if it may be a symbolic link.

    Raises:
        OSError: it is no regular file, or can't be read.
    """
    with open_regular(path, follow_link=follow_link) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(min(size, MAX_BYTES) + 1)
        if len(content) > size:  # it grew
            content += file.read(MAX_BYTES)
    return content
