"""A file that a person asked for by name: written whole, and never over one that isn't ours."""

import os
from pathlib import Path

from nnlc.errors import NnlcError
from nnlc.files import open_regular, write_atomically

_LOOKED_AT = 65_536
"""Bytes at either end of a file in which its mark stands."""


def write_output(path: Path, content: bytes, *, mark: bytes) -> None:
    """Write a file that is to be replaced only by another of its kind.

    Args:
        path: the file.
        content: what it is to hold, the mark included.
        mark: what every file of this kind holds near its beginning or end, and no other.

    Raises:
        NnlcError: something else stands there, or it can't be written; nothing is changed.
    """
    check_output(path, mark=mark)
    try:
        write_atomically(path, content)
    except OSError as problem:
        raise NnlcError(f"{path}: can't be written: {problem.strerror}") from None


def check_output(path: Path, *, mark: bytes) -> None:
    """See that a file could be written there, before any work is done for it.

    Raises:
        NnlcError: it can't, and why.
    """
    try:
        if path.is_dir():
            raise NnlcError(f"{path}: is a folder; name a file in it")
        if not path.parent.is_dir():
            raise NnlcError(f"{path}: there is no folder {path.parent}; make it first")
        if path.exists() and not (path.is_file() and _holds(path, mark)):
            raise NnlcError(
                f"{path}: stands already, and is not what this command writes; give another name, "
                "or remove it first"
            )
    except OSError as problem:
        raise NnlcError(f"{path}: can't be written: {problem.strerror}") from None


def _holds(path: Path, mark: bytes) -> bool:
    with open_regular(path) as file:
        if mark in file.read(_LOOKED_AT):
            return True
        file.seek(max(0, os.fstat(file.fileno()).st_size - _LOOKED_AT))
        return mark in file.read()
