"""The tables of a folder, one after another: from the cache if unchanged, else from the files.

In one process: another would take a tenth of the time for 6,000 tables to start, and can't be
forked safely beside torch or MPI.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nnlc.errors import TableError
from nnlc.system.files import open_regular, why_unread
from nnlc.tables.cache import FolderCache, Kept, Stamp
from nnlc.tables.fast_parsing import Curve, Metadata, parse_arrays
from nnlc.tables.table import MAX_BYTES
from nnlc.tables.table_folders import TableFiles


@dataclass(frozen=True, slots=True)
class Reading:
    """What one table says."""

    path: str
    metadata: Metadata
    curve: Curve

    @property
    def id(self) -> str:
        return str(self.metadata[0])


def read_files(
    files: TableFiles, *, cache: bool, follow_link: bool | None = None
) -> Iterator[Reading | TableError]:
    """Each table in turn, or what is wrong with it; once all were taken, the cache has them.

    Args:
        files: the tables.
        cache: use the cache, where they are all that the folder has.
        follow_link: whether they may be symbolic links; by default if they were named one by one.
    """
    follow_link = not files.whole if follow_link is None else follow_link
    folder_cache = FolderCache(files.folder) if cache and files.whole else None
    kept = folder_cache.load() if folder_cache else {}
    now = time.time_ns()  # before a file is read, so that a change meanwhile shows in its stamp
    settled: dict[str, Kept] = {}
    for name in files.names:
        path = os.path.join(files.folder, name)  # noqa: PTH118  thousands of times
        try:
            one = kept.get(name)
            if one is None or one.stamp != _stamp(path):
                one = _read_file(path, follow_link=follow_link)
        except TableError as problem:
            yield problem
        else:
            if one.stamp.is_settled(now):
                settled[name] = one
            yield Reading(path, one.metadata, one.curve)
    if folder_cache and any(kept.get(name) is not one for name, one in settled.items()):
        folder_cache.store(settled)


def _stamp(path: str) -> Stamp | None:
    try:
        return Stamp.of(os.lstat(path))
    except OSError:
        return None


def _read_file(path: str, *, follow_link: bool) -> Kept:
    """Read a table from its file.

    Raises:
        TableError: unreadable or damaged, in the words of `read_table`.
    """
    content, status = read_bytes(path, follow_link=follow_link)
    return Kept(Stamp.of(status), *parse_arrays(content, path=Path(path)))


def read_bytes(path: str | Path, *, follow_link: bool) -> tuple[bytes, os.stat_result]:
    """Read what `read_content` does, and refuse as `read_table` does.

    Raises:
        TableError: unreadable.
    """
    try:
        return read_content(path, follow_link=follow_link)
    except OSError as problem:
        raise TableError(why_unread(problem), path=Path(path)) from None


def read_content(path: str | Path, *, follow_link: bool) -> tuple[bytes, os.stat_result]:
    """Read the bytes of a file that must be a table, and its status; no more than `MAX_BYTES` + 1.

    Args:
        path: the file.
        follow_link: whether it may be a symbolic link.

    Raises:
        OSError: it is no regular file, or can't be read.
    """
    with open_regular(path, follow_link=follow_link) as file:
        status = os.fstat(file.fileno())
        content = file.read(min(status.st_size, MAX_BYTES) + 1)
        if len(content) > status.st_size:  # it grew
            content += file.read(MAX_BYTES)
    return content, status
