"""Journals of the folders of tables: events "finish", which record networks' training."""

import os
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlc.collection.sources import parent_collection
from nnlc.errors import ResultsError
from nnlc.results.journal import read_events
from nnlc.tables.folder_names import EVENTS, JOURNAL
from nnlc.tables.record import Record
from nnlc.tables.table_folders import Skipped

MOST_SECONDS = 1e12
"""Upper bound for the seconds of a half epoch; it also excludes infinity and longer integers."""
Event = dict[str, Any]
"""Event "finish" of a journal."""
Floats = NDArray[np.float64]


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

    def finish(self, table: Path, id: str, sha256: str) -> Event | None:
        """Return the last event "finish" that has this table's sha256, or no sha256."""
        for event in reversed(self._beside(table.parent).get(id, [])):
            if event.get("sha256") in (None, sha256):
                return event
        return None

    def recorded(self, record: Record) -> dict[str, Floats]:
        """Return the columns of `RECORDED_COLUMNS` that are recorded about a table."""
        event = self.finish(record.path, record.id, record.sha256) or {}
        length, images = len(record.curve), event.get("half_epoch_train_images")
        found = {"seconds": _half_epochs(event, "half_epoch_seconds", length, MOST_SECONDS)}
        if type(images) is int and images > 0:
            correct = _half_epochs(event, "half_epoch_train_correct", length, images)
            if correct is not None:
                found["train_accuracy_percent"] = 100 * correct / images
        return {name: values for name, values in found.items() if values is not None}

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
        try:
            for event in read_events(journal, {"finish"}):
                if isinstance(event.get("id"), str):
                    found[event["id"]].append(event)
        except ResultsError as newer:
            self.skipped.append(Skipped(journal, f"the journal was not read: {newer}"))
            return {}
        return dict(found)


def _half_epochs(event: Event, key: str, half_epochs: int, most: float) -> Floats | None:
    """Return a number for each half epoch, NaN for an unknown one; None if they make no sense."""
    values = event.get(key)
    if not isinstance(values, list) or len(values) != half_epochs:
        return None
    if not set(map(type, values)) <= {int, float, type(None)}:
        return None
    try:
        numbers = np.array(values, dtype=np.float64)  # None becomes NaN
    except OverflowError:
        return None
    return None if ((numbers < 0) | (numbers > most)).any() else numbers


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
