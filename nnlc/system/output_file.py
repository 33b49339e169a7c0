"""A file that a person asked for by name: written whole, and never over one that isn't ours."""

import fcntl
import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO

from nnlc.errors import NnlcError
from nnlc.system.files import (
    Content,
    open_regular,
    temporaries_of,
    write_atomically,
    write_content,
)

_LOOKED_AT = 65_536
"""Bytes at either end of a file in which its mark stands."""
CSV = (".csv", ".txt")
PAGE = (".html", ".htm")
SCRIPT = (".sh", ".txt")
_ENDINGS = (
    "csv tsv txt json jsonl ndjson geojson xml yaml yml toml md tex html htm xhtml mht mhtml "
    "pdf ps eps svg png jpg jpeg gif webp bmp tif tiff mp4 doc docx odt rtf ppt pptx odp xls "
    "xlsx xlsm xlsb ods parquet feather arrow avro orc h5 hdf hdf5 nc npy npz pkl pickle mat "
    "dta sav rds rdata db sqlite duckdb zip gz bz2 xz zst lz4 7z tar tgz py ipynb r js css sh"
)
"""What a file is, by its name."""


def write_output(path: Path, content: Content, *, mark: bytes, endings: tuple[str, ...]) -> None:
    """Write a file that is to be replaced only by another of its kind.

    Args:
        path: the file.
        content: what it is to hold, the mark included.
        mark: what every file of this kind holds near its beginning or end, and no other.
        endings: which of the well-known ones its name may have.

    Raises:
        NnlcError: something else stands there, or it can't be written; nothing is changed.
    """
    check_output(path, mark=mark, endings=endings)
    _sweep(path)
    try:
        write_atomically(path, partial(_write_locked, content))
    except OSError as problem:
        raise NnlcError(f"{path}: can't be written: {problem.strerror}") from None


def check_output(path: Path, *, mark: bytes, endings: tuple[str, ...]) -> None:
    """See that a file could be written there, before any work is done for it.

    Raises:
        NnlcError: it can't, and why.
    """
    check_ending(path, endings)
    try:
        if path.is_dir():
            raise NnlcError(f"{path}: is a folder; name a file in it")
        if not path.parent.is_dir():
            raise NnlcError(f"{path}: there is no folder {path.parent}; make it first")
        if os.path.lexists(path) and not (path.is_file() and _holds(path, mark)):
            raise NnlcError(
                f"{path}: stands already, and is not what this command writes; give another name, "
                "or remove it first"
            )
    except OSError as problem:
        raise NnlcError(f"{path}: can't be written: {problem.strerror}") from None


def check_ending(path: Path, endings: tuple[str, ...] = ()) -> None:
    """See that a name doesn't promise anything else than what is written there.

    Args:
        path: the file, or the folder.
        endings: which of the well-known ones are right; a folder has none.

    Raises:
        NnlcError: it has another one, or is the - by which others name standard output.
    """
    if str(path) == "-":
        raise NnlcError("-: does not mean standard output here; give the name of a file or folder")
    ending = path.suffix.lower()
    if ending[1:] in _ENDINGS.split() and ending not in endings:
        written = f"a {endings[0]} file" if endings else "a folder"
        raise NnlcError(
            f"{path}: promises a {ending} file, and {written} is written; give another name"
        )


def _write_locked(content: Content, file: IO[bytes]) -> None:
    with suppress(OSError):  # a file system without locks
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    write_content(content, file)


def _sweep(path: Path) -> None:
    """Remove what killed processes left of this file: what nobody holds the lock of."""
    for left in temporaries_of(path):
        with suppress(OSError), open_regular(left, follow_link=False) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            left.unlink()


def _holds(path: Path, mark: bytes) -> bool:
    with open_regular(path) as file:
        if mark in file.read(_LOOKED_AT):
            return True
        file.seek(max(0, os.fstat(file.fileno()).st_size - _LOOKED_AT))
        return mark in file.read()
