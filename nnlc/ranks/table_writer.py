"""Writer of finished tables; it keeps tables that can't be written yet, as on a full disk."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nnlc.system.files import (
    NotAFileError,
    PrepareFolder,
    make_folder,
    read_regular,
    sync_folder,
    write_atomically,
    write_once,
)
from nnlc.tables import Table

RETRY_SECONDS = 5.0
"""Time between two attempts to write a table."""


@dataclass(frozen=True, slots=True)
class FinishedTable:
    """Table of a network, and the path to write it to."""

    index: int
    path: Path
    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


class TableWriter:
    """Queue of finished tables; each write is retried until it succeeds.

    Args:
        patience_seconds: longest time that a table may wait.
        clock: returns seconds.
        ready: makes a table's folder ready to be written to.
        may_replace: returns True if the other file in a table's place is a shorter table of it.

    Attributes:
        problem: why tables wait, in words, or None.
    """

    def __init__(
        self,
        patience_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        ready: PrepareFolder = make_folder,
        may_replace: Callable[[FinishedTable], bool] = lambda _: False,
    ) -> None:
        self._may_replace = may_replace
        self._patience, self._clock, self._ready = patience_seconds, clock, ready
        self._waiting: list[tuple[float, FinishedTable]] = []
        self._last_try = float("-inf")
        self.problem: str | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, index: int, table: Table, path: Path) -> None:
        """Queue the table of a finished network for `write`."""
        self._waiting.append((self._clock(), FinishedTable(index, path, table.to_bytes())))
        if self.problem is None:
            self._last_try = float("-inf")

    def write(self, *, now: bool = False) -> list[tuple[FinishedTable, bool]]:
        """Write the queued tables, if an attempt is due or `now` is True.

        Returns:
            The tables whose files now exist, each with True if the file has this table's bytes, or
            with False if another job has written other bytes, which are kept.
        """
        if not self._waiting or not (now or self._clock() - self._last_try >= RETRY_SECONDS):
            return []
        self._last_try = self._clock()
        written: list[tuple[FinishedTable, bool]] = []
        folders: set[Path] = set()
        self.problem = None
        for entry in list(self._waiting):
            table = entry[1]
            try:
                self._ready(table.path.parent)
                new = write_once(table.path, table.content, sync=False)
                written.append((table, new or self._holds(table)))
            except OSError as problem:
                self.problem = f"{table.path}: the table can't be written: {problem.strerror}"
                continue  # the disk of another folder may work
            self._waiting.remove(entry)
            folders.add(table.path.parent)
        for folder in folders:  # once per folder: a sync may take as long as a write
            sync_folder(folder)
        return written

    def waits_too_long(self) -> bool:
        """Return True if the oldest table has waited for longer than `patience_seconds`."""
        return bool(self._waiting) and self._clock() - self._waiting[0][0] > self._patience

    def _holds(self, table: FinishedTable) -> bool:
        """Return True if the file at the table's path has the table's bytes, perhaps only now.

        Raises:
            OSError: the file can't be read or replaced.
        """
        try:
            if read_regular(table.path, follow_link=False) == table.content:
                return True
        except NotAFileError:
            return False
        if replaced := self._may_replace(table):
            write_atomically(table.path, table.content)
        return replaced
