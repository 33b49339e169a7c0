"""A folder that is there whole or not at all, whoever is killed while it is made.

Beside its place stands a hidden folder meanwhile, with `lock` and `new`. Where a file system can't
exchange two folders at once, `earlier` is there too, for an instant. The lock tells a hidden folder
that is being filled from one that a killed process left behind.
"""

import ctypes
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from nnlc.errors import NnlcError
from nnlc.system.files import open_regular, sync_folder, temporaries_of, temporary_beside
from nnlc.system.process import this_process

_LOCK, _NEW, _EARLIER = "lock", "new", "earlier"
_ABANDONED_SECONDS = 86_400
"""Without a change for so long, a hidden folder whose lock can't be asked for is nobody's."""
_SYNCING = 16
"""So many files at a time are waited for until the disk has them."""


@contextmanager
def new_folder(
    folder: Path, check: Callable[[], object], *, replaces: str | None = None
) -> Iterator[Path]:
    """Give a hidden folder beside that takes this one's place in the end; gone where that fails.

    Args:
        folder: the place.
        check: raises an error where nothing may be put; asked again just before it is.
        replaces: a folder that holds a file of this name is replaced, at once where the file system
            can do that.

    Raises:
        NnlcError: it can't be written, or something stands there by now.
    """
    place = _absolute(folder)
    _sweep(place)
    hidden = temporary_beside(place)
    try:
        with _claim(hidden):
            new = hidden / _NEW
            new.mkdir()
            yield new
            _sync(new)
            check()
            if replaces and (place / replaces).exists():
                _replace(hidden, place)
            else:
                new.rename(place)  # fails where anything came to stand meanwhile
            sync_folder(place.parent)
    except OSError as problem:
        raise NnlcError(f"{folder}: can't be written: {problem.strerror}") from None
    finally:
        _remove(hidden, place)


def standing(folder: Path) -> Path:
    """Return where a folder stands: in its place, or where a killed replacement has left it."""
    place = _absolute(folder)
    if not os.path.lexists(place):
        for hidden in _hidden_beside(place):
            if (hidden / _EARLIER).is_dir():
                return hidden / _EARLIER
    return folder


def _absolute(folder: Path) -> Path:
    return Path(os.path.abspath(folder))  # noqa: PTH100  a link in its place is none of ours


def _claim(hidden: Path) -> FileIO:
    """Make a folder that no other process takes for an abandoned one while its lock is open.

    It is made again where it was swept before the lock was held.
    """
    while True:
        hidden.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):
            lock = (hidden / _LOCK).open("wb", buffering=0)
            with suppress(OSError):  # a file system without locks: its age tells
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                lock.write(this_process()["boot"].encode())  # another kernel may see no lock
            if (hidden / _LOCK).exists():
                return lock
            lock.close()


def _replace(hidden: Path, place: Path) -> None:
    """Have the new folder take the place of an earlier one."""
    new, earlier = hidden / _NEW, hidden / _EARLIER
    if _exchange(new, place):
        return
    try:
        place.rename(earlier)
        new.rename(place)
    except BaseException:  # the user's Ctrl-C too
        if earlier.exists() and not place.exists():
            earlier.rename(place)
        raise


def _exchange(one: Path, other: Path) -> bool:
    """Exchange the names of two folders at once (renameat2(2)); False where that can't be."""
    here, rename_exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    rename = getattr(ctypes.CDLL(None), "renameat2", None)  # some C libraries lack it
    names = os.fsencode(one), os.fsencode(other)
    return bool(rename and rename(here, names[0], here, names[1], rename_exchange) == 0)


def _sweep(place: Path) -> None:
    """Remove what killed processes left beside a place; put back what one was to replace."""
    for hidden in _hidden_beside(place):
        with suppress(OSError):
            hidden.rmdir()  # killed before it held anything
        if _is_abandoned(hidden, place):
            earlier = hidden / _EARLIER
            with suppress(OSError):
                if earlier.exists() and not os.path.lexists(place):
                    earlier.rename(place)
            _remove(hidden, place)


def _remove(hidden: Path, place: Path) -> None:
    if place.exists() or not (hidden / _EARLIER).exists():
        shutil.rmtree(hidden, ignore_errors=True)


def _hidden_beside(place: Path) -> list[Path]:
    return [one for one in temporaries_of(place) if one.is_dir() and not one.is_symlink()]


def _is_abandoned(hidden: Path, place: Path) -> bool:
    """Tell whether no process fills a hidden folder any more; False in doubt."""
    try:
        with open_regular(hidden / _LOCK, follow_link=False) as lock:
            boot = lock.read()
            here = boot and boot == this_process()["boot"].encode()
            if here or not (boot or (hidden / _NEW).exists()):  # neither: just begun
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return True
    except BlockingIOError:  # held
        return False
    except OSError:  # no lock in it, as in those of earlier versions
        if not place.exists():  # it may hold what an earlier version was replacing
            return False
    with suppress(OSError):
        changes = [path.lstat().st_mtime for path in (hidden, *hidden.rglob("*"))]
        return time.time() - max(changes) > _ABANDONED_SECONDS
    return False


def _sync(folder: Path) -> None:
    """Have the disk take all of a folder."""
    files: list[Path] = []
    folders = [folder]
    for path in folder.rglob("*"):
        (folders if path.is_dir() else files).append(path)
    try:
        # Side by side, so that a journalling file system takes many with one commit.
        with ThreadPoolExecutor(_SYNCING) as pool:
            list(pool.map(_sync_file, files))
    except RuntimeError:  # no more threads may be started
        list(map(_sync_file, files))
    for path in folders:
        sync_folder(path)


def _sync_file(path: Path) -> None:
    with open_regular(path, follow_link=False) as file:
        os.fsync(file.fileno())
