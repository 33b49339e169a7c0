"""Journal of a results folder: one file per rank-0 process, with one line of JSON per event.

Events record facts that a table has no column for: times, durations, devices, and why a network
failed. Deleting the journal loses no table. The first line of a file has its format and the version
of the nnlc that wrote it.

A line that could not be written in full is written again later, so that a full or missing disk
loses no event. Readers skip lines that are no events.
"""

import errno
import heapq
import json
import os
import platform
import time
from collections import deque
from collections.abc import Container, Iterator, Set
from contextlib import suppress
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

from nnlc import __version__
from nnlc.errors import ResultsError
from nnlc.system.files import (
    PrepareFolder,
    open_regular,
    read_regular,
    unusable_entries,
    write_atomically,
)
from nnlc.system.newer_format import too_new
from nnlc.tables.folder_names import EVENTS, PROGRESS

FORMAT = 1
"""Format of new journals; raised when an older nnlc would misread them."""
PROGRESS_SECONDS = 5.0
"""Interval at which a running job records its progress."""
SILENT_SECONDS = 60.0
"""Age of a progress record at which its job counts as ended or without its file system."""
RETRY_SECONDS = 1.0
"""Interval between two tries to write lines that could not be written."""
LONGEST_LINE_BYTES = 64 << 20
"""Limit of a line, so that a file without line ends does not fill the memory."""

_NOT_OURS = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
"""Errors that a damaged or foreign JSON file may raise."""


class Journal:
    """Journal file of this process, and its record of progress in the same folder.

    No method raises OSError. A line that can't be written waits in memory, as do all later lines.
    The number that wait is not limited: a line has about 1 KB, a network a few lines. Written
    lines survive the end of the process, but perhaps not a power cut in the same second.

    Args:
        folder: folder of the file.
        ready: called with the folder before it is written to.
    """

    def __init__(self, folder: Path, ready: PrepareFolder = lambda _: None) -> None:
        self._ready = ready
        self._stem = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{platform.node()}-{os.getpid()}"
        self.path = folder / f"{self._stem}{EVENTS}"
        """Path of the file; final once its first line is written, as the name may be taken."""
        self._is_ours = False
        self._waiting: deque[bytes] = deque()
        self._lines, self._torn = 0, False
        self._problem = ""
        self._last_try = self._last_progress = float("-inf")

    def write(self, event: str, **facts: Any) -> None:
        """Append one event as one line, after the lines that wait.

        A line has its number in the file as `n`, by which a reader detects a repeated line.
        """
        self._lines += 1
        self._waiting.append(event_line(event, self._lines, facts))
        self._write_waiting()

    @property
    def trouble(self) -> str | None:
        """Return why lines wait, as "file: message of the file system"; None if none wait."""
        return self._problem if self._waiting else None

    def try_again(self) -> None:
        """Write the lines that wait, unless the last try was less than `RETRY_SECONDS` ago."""
        if self._waiting and time.monotonic() - self._last_try >= RETRY_SECONDS:
            self._write_waiting()

    def progress_is_due(self) -> bool:
        """Return True if the record of progress is older than `PROGRESS_SECONDS`."""
        return time.monotonic() - self._last_progress >= PROGRESS_SECONDS

    def progress(self, under_way: dict[str, dict[str, Any]]) -> None:
        """Record which networks are under way: by ID, half epochs so far and last accuracy.

        A record that can't be written is left out.
        """
        self._last_progress = time.monotonic()
        content = json.dumps({"time": _now(), "under_way": under_way})
        with suppress(OSError):
            self._ready(self.path.parent)
            if not self._is_ours:
                os.close(self._open())
            write_atomically(self._snapshot, content.encode())

    def end(self) -> None:
        """Try for the last time to write lines that wait, and remove the record of progress."""
        self._write_waiting()
        if self._is_ours:
            with suppress(OSError):
                self._snapshot.unlink(missing_ok=True)

    @property
    def _snapshot(self) -> Path:
        return self.path.with_suffix(PROGRESS)

    def _write_waiting(self) -> None:
        """Write the lines that wait, oldest first, until a write fails."""
        self._last_try = time.monotonic()
        try:
            while self._waiting:
                self._append(self._waiting[0])
                self._waiting.popleft()
        except OSError as problem:
            self._problem = f"{self.path}: {problem.strerror or problem}"

    def _append(self, line: bytes) -> None:
        """Add one line to the file.

        Raises:
            OSError: the write failed; the file may have none, a part or all of the line, so that
                the next write must begin a new line.
        """
        self._ready(self.path.parent)
        handle = self._open()
        rest = b"\n" + line if self._torn else line
        self._torn = True
        try:
            while rest:
                written = os.write(handle, rest)
                if not written:
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                rest = rest[written:]
        finally:
            os.close(handle)  # a network file system may report a full disk only here
        self._torn = False

    def _open(self) -> int:
        """Return a handle to append to the file, which no other journal uses.

        A name may be taken: if a clock was set back, by another process with the same PID.
        """
        flags = os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW
        if self._is_ours:
            return os.open(self.path, os.O_WRONLY | flags, 0o666)
        number, path = 1, self.path
        while True:
            try:
                handle = os.open(path, os.O_WRONLY | flags | os.O_EXCL, 0o666)
            except FileExistsError:
                number += 1
                path = self.path.with_name(f"{self._stem}-{number}{EVENTS}")
            else:
                self.path, self._is_ours = path, True
                return handle


def event_line(event: str, number: int, facts: dict[str, Any]) -> bytes:
    """Return the line of an event, given its number in its file."""
    if number == 1:
        facts = {"format": FORMAT, "nnlc": __version__, **facts}
    line = {"time": _now(), "n": number, "event": event, **facts}
    return json.dumps(line, default=str).encode() + b"\n"


class NoJournal(Journal):
    """Journal of a preflight, which is no job: nothing is written."""

    def write(self, event: str, **facts: Any) -> None:
        """Leave the event out."""

    def progress(self, under_way: dict[str, dict[str, Any]]) -> None:
        """Leave the record out."""


def read_events(folder: Path, kinds: Set[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the events of all files, or those of some kinds, in order of time.

    Each event is a dictionary with a `time` and a string `event`; other fields are not checked.
    Events of one file keep the order in which they were written: if a clock was set back, the
    events before count as no later than the events after. An event with the field `after`, and all
    later events of its file, count as later than the time in that field. Files and lines that
    can't be read are skipped.

    Raises:
        ResultsError: a newer nnlc has written a file, in a format that this nnlc does not know.
    """
    for _, event in read_files(folder, kinds):
        yield event


def read_files(folder: Path, kinds: Set[str] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the events of `read_events`, each with the name of its file; a file is of one job."""
    paths = sorted(folder.glob(f"*{EVENTS}"), key=lambda path: path.stem)
    files = [[(m, path.stem, e) for m, e in _in_order(_read_file(path, kinds))] for path in paths]
    for _, name, event in heapq.merge(*files, key=itemgetter(0)):
        yield name, event


def is_silent(folder: Path, name: str, last: str) -> bool:
    """Return True if a job has recorded neither an event nor its progress for a minute.

    Args:
        folder: the journal.
        name: name of the job's file in it.
        last: time of the job's last event.
    """
    return time.time() - last_sign(folder, name, last) >= SILENT_SECONDS


def last_sign(folder: Path, name: str, last: str) -> float:
    """Return the time of a job's last event or record of progress, in seconds since 1970."""
    times = [0.0]
    with suppress(*_NOT_OURS):
        times.append(seconds_of(last))
    with suppress(OSError, *_NOT_OURS):
        record = json.loads(read_regular(folder / f"{name}{PROGRESS}", follow_link=False))
        times.append(seconds_of(record["time"]))
    return max(times)


def unread_files(folder: Path) -> list[tuple[Path, OSError]]:
    """Return the files of a journal that can't be read, such as links, and why."""
    return unusable_entries(folder, files=(EVENTS, PROGRESS))


def read_progress(folder: Path, ended: Container[str] = ()) -> dict[str, dict[str, Any]]:
    """Return the networks under way: by ID, half epochs so far and last accuracy.

    Args:
        folder: the journal.
        ended: names of the files of jobs that have ended without removing their record.
    """
    under_way: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob(f"*{PROGRESS}")):
        try:
            snapshot = json.loads(read_regular(path, follow_link=False))
            is_fresh = time.time() - seconds_of(snapshot["time"]) < SILENT_SECONDS
            if is_fresh and path.name.removesuffix(PROGRESS) not in ended:
                under_way |= {
                    str(key): {**entry, "half_epochs": int(entry["half_epochs"])}
                    for key, entry in snapshot["under_way"].items()
                }
        except (OSError, *_NOT_OURS):
            continue  # its job ended meanwhile, or nnlc did not write it
    return under_way


def _read_file(path: Path, kinds: Set[str] | None) -> list[dict[str, Any]]:
    """Return the events of a file; a line that was written twice counts once.

    Raises:
        ResultsError: the format of the file is too new.
    """
    events: list[dict[str, Any]] = []
    last = b""
    with suppress(OSError), open_regular(path, follow_link=False) as file:
        for line in iter(lambda: file.readline(LONGEST_LINE_BYTES), b""):
            try:
                event = json.loads(line)
            except _NOT_OURS:
                continue
            if not (isinstance(event, dict) and "time" in event):
                continue
            if not isinstance(event.get("event"), str):
                continue
            if newer := too_new(path, event.get("format"), FORMAT, event.get("nnlc")):
                raise ResultsError(newer)
            again = "n" in event and line.strip() == last
            last = line.strip()
            if not again and (kinds is None or event["event"] in kinds):
                events.append(event)
    return events


def _in_order(events: list[dict[str, Any]]) -> list[tuple[float, dict[str, Any]]]:
    """Return the events of one file, each with its time in seconds; times are made to ascend."""
    moments: list[float] = []
    least = float("-inf")
    for event in events:
        try:
            moment = seconds_of(event["time"])
        except _NOT_OURS:
            moment = moments[-1] if moments else float("-inf")
        with suppress(*_NOT_OURS):
            if "after" in event:
                least = max(least, seconds_of(event["after"]) + 1e-6)
        moments.append(max(moment, least))
    for i in range(len(moments) - 2, -1, -1):
        moments[i] = min(moments[i], moments[i + 1])
    return list(zip(moments, events, strict=True))


def seconds_of(words: Any) -> float:
    """Return a journal's time in seconds since 1970; a time without a zone is UTC.

    Raises:
        ValueError, TypeError, OverflowError: the value is no time.
    """
    found = datetime.fromisoformat(words)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
