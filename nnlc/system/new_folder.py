"""Creation of a folder that appears complete or not at all, even if the process is killed.

The folder is filled in a hidden folder beside its final path, which has the entries `lock` and
`new`, and, for an instant, `earlier` if the file system can't exchange two folders atomically. The
lock shows whether a process still fills the hidden folder or was killed and left it behind.
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
"""Time without a change after which a hidden folder is removed if its lock can't be tested."""
_SYNCING = 16
"""Number of files that are synced at the same time."""


@contextmanager
def new_folder(
    folder: Path, check: Callable[[], object], *, replaces: str | None = None
) -> Iterator[Path]:
    """Yield a hidden folder to fill, and move it to its final path; remove it after an error.

    Args:
        folder: the final path.
        check: raises an error if the path may not be written; called just before the move.
        replaces: name of a file that marks an existing folder as one that may be replaced, if
            possible atomically.

    Raises:
        NnlcError: the folder can't be written, or the path exists by now.
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
                new.rename(place)  # fails if the path exists by now
            sync_folder(place.parent)
    except OSError as problem:
        raise NnlcError(f"{folder}: can't be written: {problem.strerror}") from None
    finally:
        _remove(hidden, place)


def current_path(folder: Path) -> Path:
    """Return a folder's path, or the hidden one to which a replacement that was killed moved it."""
    place = _absolute(folder)
    if not os.path.lexists(place):
        for hidden in _hidden_beside(place):
            if (hidden / _EARLIER).is_dir():
                return hidden / _EARLIER
    return folder


def _absolute(folder: Path) -> Path:
    return Path(os.path.abspath(folder))  # noqa: PTH100  a link at the path is not followed


def _claim(hidden: Path) -> FileIO:
    """Make the hidden folder and return its lock, held so that no process takes it for abandoned.

    If another process removes the folder before the lock is held, it is made again.
    """
    while True:
        hidden.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):
            lock = (hidden / _LOCK).open("wb", buffering=0)
            with suppress(OSError):  # no locks on this file system: others go by its age
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                lock.write(this_process()["boot"].encode())  # other machines may not see the lock
            if (hidden / _LOCK).exists():
                return lock
            lock.close()


def _replace(hidden: Path, place: Path) -> None:
    """Replace the earlier folder by the new one."""
    new, earlier = hidden / _NEW, hidden / _EARLIER
    if _exchange(new, place):
        return
    try:
        place.rename(earlier)
        new.rename(place)
    except BaseException:  # Ctrl-C too
        if earlier.exists() and not place.exists():
            earlier.rename(place)
        raise


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders atomically by renameat2(2); return False if that is not possible."""
    here, rename_exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    rename = getattr(ctypes.CDLL(None), "renameat2", None)  # some C libraries lack it
    names = os.fsencode(one), os.fsencode(other)
    return bool(rename and rename(here, names[0], here, names[1], rename_exchange) == 0)


def _sweep(place: Path) -> None:
    """Remove the hidden folders of killed processes; restore a folder that one was replacing."""
    for hidden in _hidden_beside(place):
        with suppress(OSError):
            hidden.rmdir()  # empty: its process was killed at the start
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
    """Return True if surely no process fills a hidden folder any more."""
    try:
        with open_regular(hidden / _LOCK, follow_link=False) as lock:
            boot = lock.read()
            here = boot and boot == this_process()["boot"].encode()
            if here or not (boot or (hidden / _NEW).exists()):  # neither: at its very start
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return True
    except BlockingIOError:  # held
        return False
    except OSError:  # no lock, as in hidden folders of older versions
        if not place.exists():  # may hold the folder that an older version was replacing
            return False
    with suppress(OSError):
        changes = [path.lstat().st_mtime for path in (hidden, *hidden.rglob("*"))]
        return time.time() - max(changes) > _ABANDONED_SECONDS
    return False


def _sync(folder: Path) -> None:
    """Sync a folder with all that is in it to the disk."""
    files: list[Path] = []
    folders = [folder]
    for path in folder.rglob("*"):
        (folders if path.is_dir() else files).append(path)
    try:
        # In parallel, so that a journalling file system can commit several at once.
        with ThreadPoolExecutor(_SYNCING) as pool:
            list(pool.map(_sync_file, files))
    except RuntimeError:  # the limit on threads is reached
        list(map(_sync_file, files))
    for path in folders:
        sync_folder(path)


def _sync_file(path: Path) -> None:
    with open_regular(path, follow_link=False) as file:
        os.fsync(file.fileno())
