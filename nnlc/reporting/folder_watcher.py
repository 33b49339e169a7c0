"""Watcher of a folder of tables, which reads each table once, and again if it changes."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from nnlc.errors import ResultsError, TableError
from nnlc.networks.spec import ID_PATTERN
from nnlc.system.files import names_in, why_unread
from nnlc.tables.folder_names import TABLE, table_name
from nnlc.tables.record import Record, read_records
from nnlc.tables.table_folders import TableFiles

_Stamp = tuple[int, ...]
"""Size, times and inode of a file, of which one differs once the file has changed."""


class FolderWatcher:
    """Watcher of one folder of tables.

    Args:
        folder: the folder; it may be made later.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stamps: dict[str, _Stamp] = {}
        self._found: dict[str, Record | TableError] = {}

    @property
    def found(self) -> Mapping[str, Record | TableError]:
        """Return each table, or what is wrong with it, by the ID in the file's name."""
        return self._found

    def look(self) -> set[str]:
        """Read the tables that are new or changed, and return their IDs and those that are gone.

        Raises:
            ResultsError: the folder can't be read.
        """
        stamps = self._look_at_names()
        gone = self._found.keys() - stamps.keys()
        for id_ in gone:
            del self._found[id_]
        changed = [id_ for id_, stamp in stamps.items() if self._stamps.get(id_) != stamp]
        self._stamps = stamps
        files = TableFiles(self.folder, tuple(map(table_name, changed)), whole=True)
        read = read_records(files) if changed else ()
        for id_, one in zip(changed, read, strict=True):
            self._found[id_] = one
            if isinstance(one, TableError) and one.unread:
                del self._stamps[id_]  # a disk in trouble: tried again at the next look
        return gone | set(changed)

    def _look_at_names(self) -> dict[str, _Stamp]:
        found = {}
        try:
            for name in names_in(self.folder):
                id_ = name.removesuffix(TABLE)
                if id_ != name and ID_PATTERN.fullmatch(id_):
                    with suppress(FileNotFoundError):  # gone in between
                        found[id_] = _stamp(os.lstat(self.folder / name))
        except OSError as problem:
            raise ResultsError(f"{self.folder}: {why_unread(problem)}") from None
        return found


def _stamp(about: os.stat_result) -> _Stamp:
    # Unlike the time of modification, nobody can set back that of the last change.
    return about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino
