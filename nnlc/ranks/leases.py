"""Leases on networks, so that jobs that share a results folder train different networks.

<ID>.lease/<TOKEN>   lease of a network: a folder with one entry, named after the job that holds it
<TOKEN>.job          heartbeat of a job: its process, and a growing number

Leases need neither clocks that agree between machines nor file locks, which parallel file systems
often lack. They need only rename, unlink and rmdir to be atomic:

- To claim a network, a job renames a prepared folder to <ID>.lease. This fails while that folder
  has an entry. So if several jobs try, one succeeds.
- To release a network, a job removes the entry with its own name from <ID>.lease; to free a
  network of a dead job, it removes the entry with that job's name. So a lease that another job has
  claimed in between is never removed.
- A job counts as dead if its process was on this machine and has ended, or if its heartbeat has
  been unchanged or missing for `expiry_seconds` of the observer's monotonic clock.

A job that was suspended for so long that it counted as dead may continue later. Then two jobs
train the same network, and write the same table.
"""

import contextlib
import errno
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from nnlc.system.files import (
    TEMPORARY_SUFFIX,
    PrepareFolder,
    make_folder,
    open_regular,
    write_atomically,
)
from nnlc.system.process import process_lives, this_process
from nnlc.tables.folder_names import HEARTBEAT, LEASE

_HEARTBEAT = re.compile(rf"\.?(.+?){re.escape(HEARTBEAT)}(\.\w+{re.escape(TEMPORARY_SUFFIX)})?")
"""Names of heartbeat files, temporary ones included."""


RETRY_SECONDS = 1.0
"""Time between two attempts to write after a disk error."""
LONGEST_HEARTBEAT = 4096
"""Bytes of a heartbeat file that are read; nnlc's have about 200."""


_TRIES = 10
"""Attempts to claim a lease: a holder may release it between a failed rename and the next look."""


class Leases:
    """Leases of this job, in a folder that other jobs may use too.

    If a lease can't be written because of a disk error, the claim is granted and `renew` retries
    the write. That is safe, since two jobs that train a network write the same table.
    """

    def __init__(
        self,
        folder: Path,
        ready: PrepareFolder = make_folder,
        *,
        beat_seconds: float = 10.0,
        expiry_seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._ready_to_write, self._clock = folder, ready, clock
        self._beat_seconds, self._expiry_seconds = beat_seconds, expiry_seconds
        self._me = this_process()
        host = re.sub(r"[^A-Za-z0-9_.-]", "_", self._me["host"])
        self.token = f"{host}-{self._me['pid']}-{secrets.token_hex(4)}"
        self._heartbeat = folder / f"{self.token}{HEARTBEAT}"
        self._ready = folder / f".{self.token}{LEASE}"
        self._beats, self._last_beat, self._last_try = 0, float("-inf"), float("-inf")
        self._ours: set[str] = set()
        self._unwritten: set[str] = set()
        self._refused: dict[str, str] = {}
        self._seen: dict[str, tuple[bytes, float]] = {}
        self._seen_alive: set[str] = set()

    def begin(self) -> None:
        """Write the first heartbeat.

        Raises:
            OSError: the folder can't be written.
        """
        self._write_heartbeat()
        with contextlib.suppress(OSError):
            self._clean_up()

    def claim(self, id: str) -> bool:
        """Lease a network; return False if another job that may be alive holds it."""
        lease, other = self._lease(id), None
        self._unwritten.discard(id)
        try:
            other = self._acquire(lease)
        except OSError:
            self._unwritten.add(id)
        if other is None:
            self._ours.add(id)
            return True
        self._ours.discard(id)
        self._refused[id] = other
        return False

    def release(self, id: str) -> None:
        """Release a network; do nothing if this job doesn't hold it."""
        self._ours.discard(id)
        self._unwritten.discard(id)
        try:
            self._ready_to_write(self._folder)
            _remove_entry(self._lease(id), self.token)
        except OSError:
            self._unwritten.add(id)

    def renew(self) -> None:
        """Write a heartbeat if due, and retry failed writes; call it several times a second."""
        now = self._clock()
        due = now - self._last_beat >= self._beat_seconds
        if not (due or self._unwritten) or now - self._last_try < RETRY_SECONDS:
            return
        self._last_try = now
        if due:
            with contextlib.suppress(OSError):
                self._write_heartbeat()
                self._clean_up()
        for network in sorted(self._unwritten):
            if network in self._ours:
                self.claim(network)
            else:
                self.release(network)

    def holder(self, id: str) -> str | None:
        """Return in words which job held the network at the last refused claim, or None."""
        if id not in self._refused:
            return None
        host, _, pid = self._refused[id].rpartition("-")[0].rpartition("-")
        return f"a job on {host} (process {pid})" if host else "another job"

    def seen_alive(self, id: str) -> bool:
        """Return True if the job that held the network at the last refused claim has given a sign
        of life since this job began."""
        return self._refused.get(id) in self._seen_alive

    def held_by_others(self, ids: Iterable[str]) -> set[str]:
        """Return the networks that other jobs hold, including jobs that were killed recently."""
        held = set()
        for network in ids:
            with contextlib.suppress(OSError):
                owners = [one for one in _entries(self._lease(network)) if one != self.token]
                held |= {network for owner in owners if not self._is_dead(owner)}
        return held

    def end(self) -> None:
        """Release all networks and remove this job's files."""
        for network in self._ours | self._unwritten:
            self.release(network)
        with contextlib.suppress(OSError):
            _remove_entry(self._ready, self.token)
            if not self._unwritten:  # else others need it to see that this job has ended
                self._heartbeat.unlink(missing_ok=True)

    def _lease(self, id: str) -> Path:
        if not id or "/" in id:
            raise ValueError(f"{id!r} is no ID of a network")
        return self._folder / f"{id}{LEASE}"

    def _acquire(self, lease: Path) -> str | None:
        """Acquire a lease; return None, or the token of the job that holds it."""
        self._ready_to_write(self._folder)
        for owner in _entries(lease):
            if owner == self.token:
                return None
            if not self._is_dead(owner):
                return owner
            _remove_entry(lease, owner)
        self._ready.mkdir(exist_ok=True)
        (self._ready / self.token).touch()
        for _ in range(_TRIES):
            try:
                self._ready.rename(lease)
                return None
            except OSError as problem:
                owners = _entries(lease)
                if self.token in owners:
                    return None  # NFS may repeat a rename whose answer was lost
                if problem.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise
                if owners:
                    return owners[0]
        # The folder was never empty, but showed no holder.
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(lease))

    def _write_heartbeat(self) -> None:
        self._ready_to_write(self._folder)
        self._beats += 1
        write_atomically(self._heartbeat, json.dumps({**self._me, "beats": self._beats}).encode())
        now = self._clock()
        if now - self._last_beat > (self._beat_seconds + self._expiry_seconds) / 2:
            # This job or the disk was suspended, and perhaps other jobs too: forget when they were
            # last seen. They may have freed this job's leases: write these again.
            self._seen.clear()
            self._unwritten |= self._ours
        self._last_beat = now

    def _clean_up(self) -> None:
        """Look at other jobs' heartbeats, and remove files and leases of dead jobs."""
        jobs = {
            path: m[1] for path in self._folder.iterdir() if (m := _HEARTBEAT.fullmatch(path.name))
        }
        for token in {*jobs.values()} - {self.token}:
            if self._is_dead(token):
                for lease in self._folder.glob(f"*{LEASE}"):
                    _remove_entry(lease, token)
                for path in jobs:
                    if jobs[path] == token:
                        path.unlink(missing_ok=True)

    def _is_dead(self, token: str) -> bool:
        asked = self._clock()  # before reading, so that a slow disk makes no job look dead
        try:
            with open_regular(self._folder / f"{token}{HEARTBEAT}") as file:
                heartbeat = file.read(LONGEST_HEARTBEAT)
        except OSError:  # missing or unreadable: a live job writes it again
            heartbeat = b""
        before, since = self._seen.get(token, (heartbeat, self._clock()))
        if heartbeat != before:
            since = self._clock()
        self._seen[token] = heartbeat, since
        process = None
        with contextlib.suppress(ValueError, RecursionError):  # a damaged heartbeat
            process = json.loads(heartbeat)
        lives = process_lives(process, self._me)
        if lives or (heartbeat and heartbeat != before):
            self._seen_alive.add(token)
        return lives is False or asked - since >= self._expiry_seconds


def _entries(lease: Path) -> list[str]:
    """Return the token of the job that holds a lease; none if it is free.

    Hidden files, which NFS makes for open files that were removed, don't count.
    """
    with contextlib.suppress(FileNotFoundError):
        return sorted(path.name for path in lease.iterdir() if path.name[0] != ".")
    return []


def _remove_entry(folder: Path, token: str) -> None:
    """Remove a job's entry from a lease, and the folder if it is empty then."""
    (folder / token).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
