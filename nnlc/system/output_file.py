"""Writing of files that a user names: complete or not at all, and replacing only nnlc's own."""

import fcntl
import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO

from nnlc.errors import NnlcError
from nnlc.system.files import Content, open_regular, temporaries_of, write_atomically, write_content

_LOOKED_AT = 65_536
"""Bytes at the start and at the end of a file in which its mark is searched."""
CSV = (".csv", ".txt")
PAGE = (".html", ".htm")
SCRIPT = (".sh", ".txt")
_ENDINGS = (
    "csv tsv txt json jsonl ndjson geojson xml yaml yml toml md tex html htm xhtml mht mhtml "
    "pdf ps eps svg png jpg jpeg gif webp bmp tif tiff mp4 doc docx odt rtf ppt pptx odp xls "
    "xlsx xlsm xlsb ods parquet feather arrow avro orc h5 hdf hdf5 nc npy npz pkl pickle mat "
    "dta sav rds rdata db sqlite duckdb zip gz bz2 xz zst lz4 7z tar tgz py ipynb r js css sh"
)
"""Endings that tell a file's format, without the dot."""


def write_output(path: Path, content: Content, *, mark: bytes, endings: tuple[str, ...]) -> None:
    """Write a file; an existing one is replaced only if it is of the same kind.

    Args:
        path: the file.
        content: its content, including the mark.
        mark: bytes near the start or end of every file of this kind, and of no other.
        endings: well-known endings that its name may have.

    Raises:
        NnlcError: the path has a file of another kind, or can't be written; nothing is changed.
    """
    check_output(path, mark=mark, endings=endings)
    _sweep(path)
    try:
        write_atomically(path, partial(_write_locked, content))
    except OSError as problem:
        raise NnlcError(f"{path}: can't be written: {problem.strerror}") from None


def check_output(path: Path, *, mark: bytes, endings: tuple[str, ...]) -> None:
    """Check that a file can be written, before any work is done for it.

    Raises:
        NnlcError: the file can't be written.
    """
    check_ending(path, endings)
    try:
        if path.is_dir():
            raise NnlcError(f"{path}: is a folder; name a file in it")
        if not path.parent.is_dir():
            raise NnlcError(f"{path}: there is no folder {path.parent}; make it first")
        if os.path.lexists(path) and not (path.is_file() and _holds(path, mark)):
            raise NnlcError(
                f"{path}: exists, and was not written by this command; give another name, or "
                "remove it first"
            )
    except OSError as problem:
        raise NnlcError(f"{path}: can't be written: {problem.strerror}") from None


def check_ending(path: Path, endings: tuple[str, ...] = ()) -> None:
    """Check that a name has no ending of another format.

    Args:
        path: the file or folder.
        endings: well-known endings that are right; none for a folder.

    Raises:
        NnlcError: the name has another ending, or is the - for standard output.
    """
    if str(path) == "-":
        raise NnlcError("-: does not mean standard output here; give the name of a file or folder")
    ending = path.suffix.lower()
    if ending[1:] in _ENDINGS.split() and ending not in endings:
        written = f"a {endings[0]} file" if endings else "a folder"
        raise NnlcError(
            f"{path}: has the name of a {ending} file, but {written} is written; give another name"
        )


def _write_locked(content: Content, file: IO[bytes]) -> None:
    with suppress(OSError):  # a file system without locks
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    write_content(content, file)


def _sweep(path: Path) -> None:
    """Remove temporary files of this path that killed processes left, which are not locked."""
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
