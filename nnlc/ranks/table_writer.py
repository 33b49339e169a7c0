"""Writes finished tables, and keeps those that can't be written yet: a disk may be full or away."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nnlc.system.files import (
    NotAFileError,
    Ready,
    make_folder,
    read_regular,
    sync_folder,
    write_once,
)
from nnlc.tables import Table

RETRY_SECONDS = 5.0
"""Between two tries."""


@dataclass(frozen=True, slots=True)
class FinishedTable:
    """A table, and where it is to stand."""

    index: int
    path: Path
    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


class TableWriter:
    """Takes finished tables, and tries until each of them stands.

    Args:
        patience_seconds: how long the oldest table may wait.
        clock: seconds.
        ready: called with a table's folder before it is written to.

    Attributes:
        problem: why tables wait, in words, or None.
    """

    def __init__(
        self,
        patience_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        ready: Ready = make_folder,
    ) -> None:
        self._patience, self._clock, self._ready = patience_seconds, clock, ready
        self._waiting: list[tuple[float, FinishedTable]] = []
        self._last_try = float("-inf")
        self.problem: str | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, index: int, table: Table, path: Path) -> None:
        """A network is finished; `write` writes it."""
        self._waiting.append((self._clock(), FinishedTable(index, path, table.to_bytes())))
        if self.problem is None:
            self._last_try = float("-inf")

    def write(self, *, now: bool = False) -> list[tuple[FinishedTable, bool]]:
        """Write what waits, if a try is due or demanded.

        Returns:
            The tables that stand from now on, each with whether it stands with these bytes: one
            that another job has written with others is left as it is.
        """
        if not self._waiting or not (now or self._clock() - self._last_try >= RETRY_SECONDS):
            return []
        self._last_try = self._clock()
        standing: list[tuple[FinishedTable, bool]] = []
        folders: set[Path] = set()
        self.problem = None
        for entry in list(self._waiting):
            table = entry[1]
            try:
                self._ready(table.path.parent)
                new = write_once(table.path, table.content, sync=False)
                standing.append((table, new or _holds(table)))
            except OSError as problem:
                self.problem = f"{table.path}: the table can't be written: {problem.strerror}"
                continue  # another folder may be well
            self._waiting.remove(entry)
            folders.add(table.path.parent)
        for folder in folders:  # once for all tables, as it may take as long as one
            sync_folder(folder)
        return standing

    def waits_too_long(self) -> bool:
        """Whether the oldest table has waited for longer than is sensible."""
        return bool(self._waiting) and self._clock() - self._waiting[0][0] > self._patience


def _holds(table: FinishedTable) -> bool:
    """Whether what stands in the table's place already is this table.

    Raises:
        OSError: the disk keeps it from being read.
    """
    try:
        return read_regular(table.path, follow_link=False) == table.content
    except NotAFileError:
        return False
