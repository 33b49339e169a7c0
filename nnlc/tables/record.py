"""Record of a table in memory: path, digest, metadata and curve, read strictly.

A table is accepted only if `Table.to_bytes` would write the same bytes.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnlc.errors import TableError
from nnlc.families.layouts import ARTICLE_NAME
from nnlc.networks.columns import TRAINING_COLUMNS, Layout
from nnlc.networks.specification import Specification
from nnlc.system.files import NotAFileError, open_regular, why_unread
from nnlc.tables.fast_parsing import Curve, Metadata, parse_arrays
from nnlc.tables.table import MAX_BYTES
from nnlc.tables.table_folders import TableFiles

_FIELDS = [column.field for column in TRAINING_COLUMNS]
_DATASET, _DETERMINISTIC = map(_FIELDS.index, ("dataset", "torch_set_deterministic"))
_FAMILY = len(TRAINING_COLUMNS)
"""Place of the column `family`, in tables that have it."""


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """Content of a table's file."""

    path: Path
    sha256: str
    """Digest of the bytes that were read."""
    layout: Layout
    """Columns of metadata."""
    metadata: Metadata
    curve: Curve

    @property
    def id(self) -> str:
        return str(self.metadata[0])

    @property
    def dataset(self) -> str:
        return str(self.metadata[_DATASET])

    @property
    def family(self) -> str:
        """Name and version of the network's family; "article" for the article's."""
        return str(self.metadata[_FAMILY]) if self.layout.is_named else ARTICLE_NAME

    @property
    def is_published(self) -> bool:
        """True for the article's tables that nnlc did not write.

        nnlc always trains deterministically and writes so. The article used PyTorch 1.3.1, which
        had no such setting.
        """
        return not self.layout.is_named and not self.metadata[_DETERMINISTIC]

    @property
    def values(self) -> dict[str, Any]:
        """Metadata by field of the specification."""
        names = (column.field for column in self.layout.columns)
        return dict(zip(names, self.metadata, strict=True))

    @property
    def spec(self) -> Specification:
        """Specification of the network."""
        spec: Specification = self.layout.make(self.values)
        return spec


def parse_record(content: bytes, path: Path) -> Record:
    """Return the record of a table's bytes.

    Args:
        content: the bytes.
        path: the table's file, for the record and for errors.

    Raises:
        TableError: the table is damaged; the error is that of `read_table`.
    """
    digest = hashlib.sha256(content).hexdigest()
    return Record(path, digest, *parse_arrays(content, path=path))


def read_record(path: Path, *, follow_link: bool) -> Record:
    """Return the record of a table's file.

    Raises:
        TableError: the file can't be read or is damaged; the error is that of `read_table`.
    """
    return parse_record(read_bytes(path, follow_link=follow_link), path)


def read_records(
    files: TableFiles, *, follow_link: bool | None = None
) -> Iterator[Record | TableError]:
    """Yield the record of each table, or the error if it can't be read or is damaged.

    One process reads all. To start a second one takes a tenth of the time that 6,000 tables need,
    and it can't be forked safely beside torch or MPI.

    Args:
        files: the tables.
        follow_link: True to read symbolic links too; by default, True for tables that the user
            named one by one.
    """
    follow_link = not files.whole if follow_link is None else follow_link
    for name in files.names:
        try:
            yield read_record(files.folder / name, follow_link=follow_link)
        except TableError as problem:
            yield problem


def read_bytes(path: Path, *, follow_link: bool) -> bytes:
    """Return the bytes of a table's file, as `read_content` does.

    Raises:
        TableError: the file can't be read; the error is that of `read_table`.
    """
    try:
        return read_content(path, follow_link=follow_link)
    except OSError as problem:
        refused = not isinstance(problem, NotAFileError)
        raise TableError(why_unread(problem), path=path, unread=refused) from None


def read_content(path: Path, *, follow_link: bool) -> bytes:
    """Return the bytes of a file that must be a table; reading stops beyond `MAX_BYTES`.

    Args:
        path: the file.
        follow_link: True if it may be a symbolic link.

    Raises:
        OSError: it is no regular file, or can't be read.
    """
    with open_regular(path, follow_link=follow_link) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(min(size, MAX_BYTES) + 1)
        if len(content) > size:  # the file has grown
            content += file.read(MAX_BYTES)
    return content
