"""Reading of regular files only, and writing of files so that no reader sees a part of one."""

import contextlib
import errno
import io
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

TEMPORARY_SUFFIX = ".tmp"

_NO_HARD_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
"""Errors by which file systems refuse a hard link."""


_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a symbolic link",
}


class NotAFileError(OSError):
    """A path is not a regular file or folder as expected; `strerror` says what it is."""


def open_regular(path: str | Path, *, follow_link: bool = True) -> io.BufferedReader:
    """Open a regular file for reading, without blocking.

    nnlc opens all files that it reads here: opening a named pipe would block, and reading a device
    may never end. To get an open file's size or type use `os.fstat`, since its path may lead to
    another file by now.

    Args:
        path: the file.
        follow_link: True to accept a symbolic link to a regular file.

    Raises:
        NotAFileError: the path is not a regular file, or a broken link.
        OSError: the file can't be opened.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | (0 if follow_link else os.O_NOFOLLOW)
    try:
        handle = os.open(path, flags)
    except OSError as problem:
        raise _why_not(path, problem, follow_link=follow_link) from None
    try:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            raise _not_a(path, mode, "a file")
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_regular(path: str | Path, *, follow_link: bool = True, most: int = -1) -> bytes:
    """Read a whole regular file, or its first `most` bytes.

    Raises:
        OSError: the path is not a regular file, or can't be read.
    """
    with open_regular(path, follow_link=follow_link) as file:
        return file.read(most)


def names_in(folder: Path) -> list[str]:
    """Return the sorted names of a folder's entries; none if the folder doesn't exist.

    Raises:
        OSError: the path is not a folder, or can't be listed.
    """
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208  names are wanted
    except FileNotFoundError as problem:
        if folder.is_symlink():
            raise _why_not(folder, problem, follow_link=True) from None
        return []
    except NotADirectoryError:
        raise _not_a(folder, os.lstat(folder).st_mode, "a folder") from None


def unusable_entries(
    folder: Path, *, files: tuple[str, ...], folders: tuple[str, ...] = ()
) -> list[tuple[Path, OSError]]:
    """Return the entries of a folder that can't be used, each with the reason.

    An entry can't be used if it is unreadable, or no regular file or folder although its name has
    the ending of one.

    Args:
        folder: the folder; it may be missing.
        files: endings of the names of regular files.
        folders: endings of the names of folders.
    """
    try:
        names = names_in(folder)
    except OSError as problem:
        return [(folder, problem)]
    found: list[tuple[Path, OSError]] = []
    for path in (folder / name for name in names):
        try:
            if path.name.endswith(files):
                open_regular(path, follow_link=False).close()
            elif path.name.endswith(folders) and not stat.S_ISDIR(mode := path.lstat().st_mode):
                raise _not_a(path, mode, "a folder")
        except FileNotFoundError:
            continue  # removed by another process
        except OSError as problem:
            found.append((path, problem))
    return found


def why_unread(problem: OSError, done: str = "read") -> str:
    """Return in words why a path could not be read or, with another `done`, written."""
    words = problem.strerror or str(problem)
    return words if isinstance(problem, NotAFileError) else f"can't be {done}: {words}"


def ignored_lines(found: Iterable[tuple[Path, OSError]]) -> list[str]:
    """Return a message for each of the unusable entries."""
    return [f"{path}: {why_unread(problem)}; it is ignored" for path, problem in found]


def _why_not(path: str | Path, problem: OSError, *, follow_link: bool) -> OSError:
    """Return a NotAFileError for an error that means a broken link or a socket, or the error."""
    if problem.errno == errno.ENOENT and os.path.islink(path):  # noqa: PTH114  text or Path
        return NotAFileError(errno.ENOENT, "is a symbolic link that leads nowhere", str(path))
    if problem.errno == errno.ENXIO or (problem.errno == errno.ELOOP and not follow_link):
        with contextlib.suppress(OSError):
            return _not_a(path, os.lstat(path).st_mode, "a file")
    return problem


def _not_a(path: str | Path, mode: int, expected: str) -> NotAFileError:
    kind = _KINDS.get(stat.S_IFMT(mode), "something else")
    return NotAFileError(errno.EINVAL, f"is {kind} where {expected} is expected", str(path))


PrepareFolder = Callable[[Path], None]
"""Function that prepares a folder for writing, or raises OSError."""


def make_folder(folder: Path) -> None:
    """Make a folder if it doesn't exist; its parent must exist.

    Raises:
        NotAFileError: the path exists, but is not a folder.
        OSError: the folder can't be made.
    """
    if folder.is_dir():
        return
    try:
        folder.mkdir(exist_ok=True)
    except FileExistsError:
        raise _not_a(folder, os.lstat(folder).st_mode, "a folder") from None


Content = bytes | Callable[[IO[bytes]], object]
"""Content of a file: its bytes, or a function that writes them into an open file."""


def write_content(content: Content, file: IO[bytes]) -> None:
    """Write content into an open file."""
    if callable(content):
        content(file)
    else:
        file.write(content)


def write_atomically(path: Path, content: Content, *, keep: Path | None = None) -> None:
    """Write a whole file or none: write and sync a temporary file, then rename it.

    Args:
        path: the file.
        content: its content.
        keep: path in the same folder to which an existing file is renamed.

    Raises:
        OSError: the file can't be written; an existing file is intact, as `path` or `keep`.
    """
    with _temporary_beside(path, content) as temporary:
        if keep is not None:
            with contextlib.suppress(FileNotFoundError):
                path.replace(keep)
        temporary.replace(path)
    sync_folder(path.parent)


def write_once(path: Path, content: bytes, *, sync: bool = True) -> bool:
    """Write a whole file or none, and never replace an existing one.

    Args:
        path: the file.
        content: its content.
        sync: True to make the new name survive a power cut; False if the caller writes many files
            and calls `sync_folder` then.

    Returns:
        True if the file was written, False if a file exists, which is left unchanged.

    Raises:
        OSError: the file can't be written.
    """
    with _temporary_beside(path, content) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError as problem:
            if problem.errno not in _NO_HARD_LINKS:
                raise
            # A file that is created between this check and the rename is replaced.
            if os.path.lexists(path):
                return False
            temporary.rename(path)
    if sync:
        sync_folder(path.parent)
    return True


@contextlib.contextmanager
def _temporary_beside(path: Path, content: Content) -> Iterator[Path]:
    """Yield a complete, synced temporary file in the same folder, and remove it afterwards."""
    temporary = temporary_beside(path)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            write_content(content, file)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        with contextlib.suppress(OSError):  # renamed, or the disk has failed before
            temporary.unlink()


def temporary_beside(path: Path) -> Path:
    """Return an unused hidden path in the same folder, for a temporary file or folder."""
    return path.with_name(f".{path.name}.{os.urandom(8).hex()}{TEMPORARY_SUFFIX}")


def temporaries_of(path: Path) -> list[Path]:
    """Return the existing temporary files and folders of a path, sorted."""
    name = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{16}}{re.escape(TEMPORARY_SUFFIX)}")
    with contextlib.suppress(OSError):
        return sorted(one for one in path.parent.iterdir() if name.fullmatch(one.name))
    return []


def folder_of_user(variable: str, in_home: str) -> Path | None:
    """Return nnlc's folder in one of the user's XDG folders; None for a user without a home.

    Args:
        variable: environment variable of the XDG folder, such as XDG_CACHE_HOME.
        in_home: its default, relative to the home.
    """
    given = Path(os.environ.get(variable, ""))
    with contextlib.suppress(RuntimeError):
        return (given if given.is_absolute() else Path.home() / in_home) / "nnlc"
    return None


def sync_folder(folder: Path) -> None:
    """Make new names in this folder survive a power cut, if the file system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
