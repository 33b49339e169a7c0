"""Journals of the folders of tables: events "finish", which record networks' training."""

import os
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from nnlc.collection.sources import parent_collection
from nnlc.results.journal import read_events
from nnlc.tables.folder_names import EVENTS, JOURNAL
from nnlc.tables.table_folders import Skipped

MOST_SECONDS = 1e12
"""Upper bound for the seconds of a half epoch; it also excludes infinity and longer integers."""
Event = dict[str, Any]
"""Event "finish" of a journal."""


class Journals:
    """Journals of the results folders and collections in which tables were found.

    Args:
        paths: paths that the user gave to read. A journal outside of them is never read, nor one
            that is a symbolic link or has a *.jsonl entry that is no regular file.

    Attributes:
        skipped: journals that were not read, with the reason.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = tuple(paths)
        self._beside = cache(self._finishes_beside)
        self._read = cache(self._read_journal)
        self.skipped: list[Skipped] = []

    def candidates(self, table: Path, id: str) -> list[Event]:
        """Return all events "finish" of a network in its collection's journal, oldest first.

        The events may belong to earlier tables of the network.
        """
        return self._beside(table.parent).get(id, [])

    def finish(self, table: Path, id: str, sha256: str) -> Event | None:
        """Return the last event "finish" that has this table's sha256, or no sha256."""
        for event in reversed(self.candidates(table, id)):
            if event.get("sha256") in (None, sha256):
                return event
        return None

    def _finishes_beside(self, folder: Path) -> dict[str, list[Event]]:
        collection = parent_collection(folder, self._paths)
        if collection is None or not os.path.lexists(collection / JOURNAL):
            return {}
        return self._read(collection / JOURNAL)

    def _read_journal(self, journal: Path) -> dict[str, list[Event]]:
        found: defaultdict[str, list[Event]] = defaultdict(list)
        if reason := reason_to_skip(journal):
            self.skipped.append(Skipped(journal, f"the journal was not read: {reason}"))
            return {}
        for event in read_events(journal, {"finish"}):
            if isinstance(event.get("id"), str):
                found[event["id"]].append(event)
        return dict(found)


def half_epoch_seconds(event: Event, half_epochs: int) -> list[float] | None:
    """Return the seconds of each half epoch; None where the event lacks some."""
    seconds = event.get("half_epoch_seconds")
    if not isinstance(seconds, list) or len(seconds) != half_epochs:
        return None
    numbers = [float(s) for s in seconds if type(s) in (int, float) and 0 <= s < MOST_SECONDS]
    return numbers if len(numbers) == half_epochs else None


def reason_to_skip(journal: Path) -> str | None:
    """Return why a journal can't be read safely; None if it can."""
    if journal.is_symlink():
        return "a symbolic link"
    try:
        with os.scandir(journal) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as problem:
        return problem.strerror
    for entry in entries:
        if entry.name.endswith(EVENTS) and not entry.is_file(follow_symlinks=False):
            return f"{entry.name} in it is no regular file"
    return None
