"""Where exports, and tables that come from them, are put: a folder that is there whole or not."""

import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from nnlc.collection.sources import check_destination
from nnlc.errors import NnlcError
from nnlc.exporting.manifest import ALL_NAMES, NAME, read_manifest
from nnlc.files import TEMPORARY_SUFFIX, sync_folder

_SYNCING = 16
"""So many files at a time are waited for until the disk has them."""


def check_place(folder: Path, paths: Sequence[Path]) -> None:
    """See that an export can be put here: into a new or empty folder, or an earlier export's place.

    Args:
        folder: the export's.
        paths: what is read.

    Raises:
        NnlcError: something else stands there, or it lies in a folder that is read.
    """
    if not folder.is_symlink() and (folder / NAME).exists():
        _check_replaceable(folder)
    else:
        check_destination(folder, paths)


def _check_replaceable(folder: Path) -> None:
    """See that a folder is an export and nothing but that.

    Raises:
        NnlcError: there is something in it that an export has not, or it is where the user is.
    """
    known = ALL_NAMES & {NAME, *read_manifest(folder).files}
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name not in known or not entry.is_file(follow_symlinks=False):
            raise NnlcError(
                f"{folder}: holds {entry.name!r} beside an earlier export, and would be replaced "
                "with it; move that away, or name another folder"
            )
    if folder.samefile(Path.cwd()):
        raise NnlcError(f"{folder}: is where you are, and would be replaced; go to another folder")


@contextmanager
def new_folder(folder: Path, paths: Sequence[Path], *, replace: bool) -> Iterator[Path]:
    """A hidden folder beside that takes this one's place in the end; gone where that fails.

    Args:
        folder: the place.
        paths: what is read.
        replace: whether an earlier export may stand there.

    Raises:
        NnlcError: it can't be written, or something stands there by now.
    """
    place = Path(os.path.abspath(folder))  # noqa: PTH100  a link in its place is none of ours
    temporary = _beside(place)
    try:
        temporary.mkdir()
        yield temporary
        _sync(temporary)
        (check_place if replace else check_destination)(folder, paths)
        if replace and (place / NAME).exists():
            _replace(temporary, place)
        else:
            temporary.rename(place)  # fails where anything came to stand meanwhile
        sync_folder(place.parent)
    except OSError as problem:
        raise NnlcError(f"{folder}: can't be written: {problem.strerror}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _beside(place: Path) -> Path:
    return place.with_name(f".{place.name}.{secrets.token_hex(8)}{TEMPORARY_SUFFIX}")


def _replace(temporary: Path, place: Path) -> None:
    """Have a folder take the place of an earlier export, which is removed when it has."""
    earlier = _beside(place)
    try:
        place.rename(earlier)
        temporary.rename(place)
    except BaseException:  # the user's Ctrl-C too
        if earlier.exists() and not place.exists():
            earlier.rename(place)
        raise
    shutil.rmtree(earlier, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Have the disk take all of a folder."""
    files: list[Path] = []
    folders = [folder]
    for path in folder.rglob("*"):
        (folders if path.is_dir() else files).append(path)
    # Side by side, so that a journalling file system takes many with one commit.
    with ThreadPoolExecutor(_SYNCING) as pool:
        list(pool.map(_sync_file, files))
    for path in folders:
        sync_folder(path)


def _sync_file(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
