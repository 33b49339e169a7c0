"""`export.json`: the manifest that marks a folder as an export and lists its files."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from nnlc import __version__
from nnlc.errors import NnlcError
from nnlc.exporting.schema import Schema, layout_of_text, schema_of
from nnlc.families.layouts import ARTICLE_NAME
from nnlc.system.files import open_regular, why_unread
from nnlc.system.newer_format import too_new

Format = Literal["parquet", "csv", "hdf5"]
MANIFEST = "export.json"
CROISSANT, DATASHEET = "croissant.json", "datasheet.html"
RECORDS: dict[Format, tuple[str, str]] = {
    "parquet": ("networks.parquet", "curves.parquet"),
    "csv": ("networks.csv", "curves.csv"),
    "hdf5": ("tables.h5", "tables.h5"),
}
"""Files with the records of networks and of half epochs; HDF5 is only read."""
ALL_NAMES = {MANIFEST, CROISSANT, DATASHEET}.union(*RECORDS.values())
"""Names of all files that an export may have."""
VERSION, ARTICLE_VERSION = 2, 1
"""Version of the format, and that of exports of the article's tables alone.

The version is raised when an older nnlc can no longer read new exports.
"""
_KEY = "nnlc_export"
_LARGEST = 1 << 20
_LARGEST_FILE = 4 << 30
"""Most bytes of a file to read; files of the largest possible export are smaller."""

_Count = Annotated[int, Field(strict=True, ge=0)]


@dataclass(frozen=True, slots=True)
class FileEntry:
    """Size and digest of a file of an export."""

    bytes: _Count
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Manifest of an export: its format, size and files."""

    format: Format
    tables: _Count
    half_epochs: _Count
    digest: Annotated[str, Field(alias="tables_sha256")]
    """Digest of all tables, `Contents.digest`."""
    files: Mapping[str, FileEntry]
    """Files of the export by name, without the manifest."""
    own_columns: tuple[str, ...] = (ARTICLE_NAME,)
    """Texts of all layouts of the tables; not written if there are only the article's."""

    @cached_property
    def schema(self) -> Schema:
        """Columns of the networks' records."""
        return schema_of(map(layout_of_text, self.own_columns))

    def to_bytes(self) -> bytes:
        """Return the content of `export.json`.

        Raises:
            NnlcError: there are too many different columns.
        """
        version = VERSION if self.schema.has_families else ARTICLE_VERSION
        values = {_KEY: version, "nnlc": __version__} | _ADAPTER.dump_python(self, by_alias=True)
        values["files"] = dict(sorted(values["files"].items()))
        if version == ARTICLE_VERSION:
            del values["own_columns"]
        content = (json.dumps(values, indent=2) + "\n").encode()
        if len(content) > _LARGEST:
            raise NnlcError(
                "the tables have too many different columns of their families for one export; "
                "export them in several"
            )
        return content

    def read_file(self, path: Path) -> bytes:
        """Return the bytes of a file of the export, checked against size and sha256.

        Raises:
            NnlcError: the file differs from the one that was exported, or can't be read.
        """
        known = self.files.get(path.name)
        with open_plain(path) as file:
            size = os.fstat(file.fileno()).st_size
            if known is None or size != known.bytes or size > _LARGEST_FILE:
                raise NnlcError(
                    f"{path}: is not the file that was exported: it has {size} bytes, and "
                    f"{MANIFEST} lists {f'{known.bytes} bytes' if known else 'no such file'}"
                )
            content = file.read(size)
        if hashlib.sha256(content).hexdigest() != known.sha256:
            raise NnlcError(
                f"{path}: is not the file that was exported (its sha256 is not the one in "
                f"{MANIFEST}): it was damaged or edited; get it again, or export the tables again"
            )
        return content


_ADAPTER = TypeAdapter(Manifest)


def open_plain(path: Path) -> IO[bytes]:
    """Open a file of an export for reading; a symbolic link is not followed.

    Raises:
        NnlcError: the file can't be opened, or is no regular file.
    """
    try:
        return open_regular(path, follow_link=False)
    except OSError as problem:
        raise NnlcError(f"{path}: {why_unread(problem)}") from None


def file_entry(path: Path) -> FileEntry:
    """Return the size and sha256 of a file."""
    with open_regular(path) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileEntry(os.fstat(file.fileno()).st_size, digest)


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of an export.

    Raises:
        NnlcError: the folder is no export, or its manifest is damaged.
    """
    path = folder / MANIFEST
    if not os.path.lexists(path):
        raise NnlcError(
            f"{folder}: is no export: there is no {MANIFEST} in it; 'nnlc export' writes one"
        )
    with open_plain(path) as file:
        content = file.read(_LARGEST + 1)
    try:
        values: Any = json.loads(content) if len(content) <= _LARGEST else None
        if newer := too_new(path, values[_KEY], VERSION, values.get("nnlc")):
            raise NnlcError(newer)
        if values[_KEY] not in (VERSION, ARTICLE_VERSION):
            raise NnlcError(
                f"{path}: belongs to an export of version {values[_KEY]!r:.20}; this nnlc reads "
                f"versions {ARTICLE_VERSION} and {VERSION}"
            )
        manifest = _ADAPTER.validate_python(values)
        manifest.schema  # noqa: B018  SpecError if a layout is wrong
        return manifest
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise NnlcError(f"{path}: is damaged, or nnlc did not write it") from None
