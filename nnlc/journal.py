"""The journal of a results folder: a line of JSON an event, one file for each rank-0 process.

It holds what the 28 columns of a table can't: when, how long, on what, and why a network failed.
Deleting it costs no table.
"""

import json
import os
import platform
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nnlc.files import write_atomically

PROGRESS_SECONDS = 5.0
"""How often a running job writes its progress down."""
SILENT_SECONDS = 60.0
"""A job whose progress is older has ended or lost its file system."""


class Journal:
    """Appends events to this process's own file, and keeps its snapshot of progress beside it."""

    def __init__(self, folder: Path) -> None:
        stem = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{platform.node()}-{os.getpid()}"
        self.path = folder / f"{stem}.jsonl"
        self._progress = folder / f"{stem}.progress.json"
        self._last_progress = float("-inf")

    def write(self, event: str, **facts: Any) -> None:
        """Append one event, whole and at once: a single write of a single line."""
        line = json.dumps({"time": _now(), "event": event, **facts}) + "\n"
        with self.path.open("ab", buffering=0) as file:
            file.write(line.encode())

    def progress_is_due(self) -> bool:
        """Whether the snapshot of progress has become old; asked far more often than it has."""
        return time.monotonic() - self._last_progress >= PROGRESS_SECONDS

    def progress(self, under_way: dict[str, dict[str, Any]]) -> None:
        """Write down which networks are under way: by ID, half epochs so far and last accuracy."""
        self._last_progress = time.monotonic()
        content = json.dumps({"time": _now(), "under_way": under_way})
        write_atomically(self._progress, content.encode())

    def end(self) -> None:
        """Nothing is under way any more."""
        self._progress.unlink(missing_ok=True)


def read_events(folder: Path) -> Iterator[dict[str, Any]]:
    """All events of all files, in order of time. A line that a crash cut off is passed over."""
    events = [e for path in sorted(folder.glob("*.jsonl")) for e in _read_file(path)]
    yield from sorted(events, key=lambda event: str(event["time"]))


def read_progress(folder: Path) -> dict[str, dict[str, Any]]:
    """What running jobs have under way: by ID, half epochs so far and the last accuracy."""
    under_way: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.progress.json")):
        try:
            snapshot = json.loads(path.read_bytes())
            age = (datetime.now(UTC) - datetime.fromisoformat(snapshot["time"])).total_seconds()
            if age < SILENT_SECONDS:
                under_way |= {
                    str(key): {**entry, "half_epochs": int(entry["half_epochs"])}
                    for key, entry in snapshot["under_way"].items()
                }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # of a job that ended in between, or not ours
    return under_way


def _read_file(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_bytes().split(b"\n"):
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and {"time", "event"} <= event.keys():
            yield event


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
