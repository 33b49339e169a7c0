"""Writing files so that no reader ever sees half of one, and opening none that is no file."""

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
"""What file systems without hard links answer to the wish for one."""


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
    """What stands there is not what is expected; `strerror` says what it is, after the path."""


def open_regular(path: str | Path, *, follow_link: bool = True) -> io.BufferedReader:
    """Open a regular file for reading, without ever waiting for one.

    Everything that nnlc reads is opened here: a named pipe in a file's place would hold up whoever
    opens it, a device may never end, and what was looked at by name may be another file by the time
    it is opened. Ask the open file, with `os.fstat`, what it is.

    Args:
        path: the file.
        follow_link: whether it may be a symbolic link to a regular file.

    Raises:
        NotAFileError: something else stands there, or a link that leads nowhere.
        OSError: it can't be opened.
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
    """Read a regular file whole, or its first bytes if it has more than `most`.

    Raises:
        OSError: as from `open_regular`, or it can't be read.
    """
    with open_regular(path, follow_link=follow_link) as file:
        return file.read(most)


def names_in(folder: Path) -> list[str]:
    """Return the names of all that stands in a folder, sorted; none where there is no folder.

    Raises:
        OSError: it can't be listed, or something else stands there.
    """
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208  names are wanted
    except FileNotFoundError as problem:
        if folder.is_symlink():
            raise _why_not(folder, problem, follow_link=True) from None
        return []
    except NotADirectoryError:
        raise _not_a(folder, os.lstat(folder).st_mode, "a folder") from None


def strangers(
    folder: Path, *, files: tuple[str, ...], folders: tuple[str, ...] = ()
) -> list[tuple[Path, OSError]]:
    """Return what a folder holds that its name does not promise, or that can't be read, and why.

    Args:
        folder: the folder; it may be absent.
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
            continue  # another process has removed it
        except OSError as problem:
            found.append((path, problem))
    return found


def why_unread(problem: OSError, done: str = "read") -> str:
    """Return in words, to stand after its path, why something was not read or, say, written."""
    words = problem.strerror or str(problem)
    return words if isinstance(problem, NotAFileError) else f"can't be {done}: {words}"


def passed_over(found: Iterable[tuple[Path, OSError]]) -> list[str]:
    """Return a line for each of what `strangers` has found."""
    return [f"{path}: {why_unread(problem)}; it is passed over" for path, problem in found]


def _why_not(path: str | Path, problem: OSError, *, follow_link: bool) -> OSError:
    """Find words for a refusal to open that only tells of a link or a socket by its number."""
    if problem.errno == errno.ENOENT and os.path.islink(path):  # noqa: PTH114  text or Path
        return NotAFileError(errno.ENOENT, "is a symbolic link that leads nowhere", str(path))
    if problem.errno == errno.ENXIO or (problem.errno == errno.ELOOP and not follow_link):
        with contextlib.suppress(OSError):
            return _not_a(path, os.lstat(path).st_mode, "a file")
    return problem


def _not_a(path: str | Path, mode: int, expected: str) -> NotAFileError:
    kind = _KINDS.get(stat.S_IFMT(mode), "something else")
    return NotAFileError(errno.EINVAL, f"is {kind} where {expected} is expected", str(path))


Ready = Callable[[Path], None]
"""Called with a folder before something is written there; raises OSError where nothing may be."""


def make_folder(folder: Path) -> None:
    """Make a folder unless it is there, in one that is.

    Raises:
        NotAFileError: something else stands there.
        OSError: it can't be made.
    """
    if folder.is_dir():
        return
    try:
        folder.mkdir(exist_ok=True)
    except FileExistsError:
        raise _not_a(folder, os.lstat(folder).st_mode, "a folder") from None


Content = bytes | Callable[[IO[bytes]], object]
"""What a file is to hold: the bytes, or what writes them into an open file."""


def write_content(content: Content, file: IO[bytes]) -> None:
    """Write what a file is to hold into it, opened."""
    if callable(content):
        content(file)
    else:
        file.write(content)


def write_atomically(path: Path, content: Content, *, keep: Path | None = None) -> None:
    """Write a file whole or not at all: a temporary file beside it, synced, then renamed.

    Args:
        path: the file.
        content: what it is to hold.
        keep: a name in the same folder for the file that stood there before, if one did.

    Raises:
        OSError: whatever the file system says; what stood there before still does, under its own
            name or under that of `keep`.
    """
    with _temporary_beside(path, content) as temporary:
        if keep is not None:
            with contextlib.suppress(FileNotFoundError):
                path.replace(keep)
        temporary.replace(path)
    sync_folder(path.parent)


def write_once(path: Path, content: bytes, *, sync: bool = True) -> bool:
    """Write a file whole or not at all, and never over one that stands.

    Args:
        path: the file.
        content: what it is to hold.
        sync: have its name survive a power cut too; else `sync_folder` is left to the caller, who
            has many to write.

    Returns:
        True when it was written, False when a file already stands there, which is left untouched.

    Raises:
        OSError: whatever the file system says; nothing was written then.
    """
    with _temporary_beside(path, content) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError as problem:
            if problem.errno not in _NO_HARD_LINKS:
                raise
            # A file that comes to stand between this question and the rename is replaced, whole.
            if os.path.lexists(path):
                return False
            temporary.rename(path)
    if sync:
        sync_folder(path.parent)
    return True


@contextlib.contextmanager
def _temporary_beside(path: Path, content: Content) -> Iterator[Path]:
    """A whole and synced temporary file in the same folder; gone afterwards, come what may."""
    temporary = temporary_beside(path)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            write_content(content, file)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        with contextlib.suppress(OSError):  # renamed, or the disk's trouble is told already
            temporary.unlink()


def temporary_beside(path: Path) -> Path:
    """Return a hidden name beside a path that nothing has yet."""
    return path.with_name(f".{path.name}.{os.urandom(8).hex()}{TEMPORARY_SUFFIX}")


def temporaries_of(path: Path) -> list[Path]:
    """Return all that stands beside a path under such names, sorted."""
    name = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{16}}{re.escape(TEMPORARY_SUFFIX)}")
    with contextlib.suppress(OSError):
        return sorted(one for one in path.parent.iterdir() if name.fullmatch(one.name))
    return []


def folder_of_user(variable: str, in_home: str) -> Path | None:
    """Return nnlc's own folder where XDG has a user's; None for a user without a home."""
    given = Path(os.environ.get(variable, ""))
    with contextlib.suppress(RuntimeError):
        return (given if given.is_absolute() else Path.home() / in_home) / "nnlc"
    return None


def sync_folder(folder: Path) -> None:
    """Make new names in this folder survive a power cut."""
    # Some network file systems can't; the rename itself is still atomic.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
