"""Who works on which network, when several jobs share one results folder.

<ID>.lease/<TOKEN>   a network under way: a folder with one entry, named after the job that has it
<TOKEN>.job          the heartbeat of a job: which process it is, and a number that grows

Clocks of machines differ and jump, and parallel file systems are often mounted without locks, so
neither is trusted; only that a rename, an unlink and an rmdir happen whole or not at all:

- To claim, a ready-made folder is renamed to <ID>.lease: refused while that has an entry.
- To release, or to free what a dead job had, the entry of that very job is removed by its name,
  so never the lease of another that came in between. What is free is then claimed as above.
- Dead is a job whose process is seen to be gone from this machine, or whose heartbeat stayed the
  same, or away, for `expiry_seconds` of the observer's own monotonic clock.

So however many race for a lease, one gets it. A job that stood still for so long that it was held
for dead goes on unaware: then a network is trained twice, to the same table.
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

from nnlc.system.files import TEMPORARY_SUFFIX, Ready, make_folder, open_regular, write_atomically
from nnlc.system.process import process_lives, this_process

_HEARTBEAT = re.compile(rf"\.?(.+?)\.job(\.\w+{re.escape(TEMPORARY_SUFFIX)})?")
"""Names of heartbeats, unfinished ones too."""


RETRY_SECONDS = 1.0
"""A disk in trouble is left alone for so long."""
LONGEST_HEARTBEAT = 4096
"""Bytes; ours have some 200."""


_TRIES = 10
"""To take a lease: another job may have it when it is asked for, and not when its owner is."""


class Leases:
    """This job's leases on networks, in a folder that other jobs may use too.

    Trouble with the disk keeps no network from being trained, as a table that two jobs write is
    the same: such a claim is granted, and `beat` goes on trying to write it down.
    """

    def __init__(
        self,
        folder: Path,
        ready: Ready = make_folder,
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
        self._heartbeat = folder / f"{self.token}.job"
        self._ready = folder / f".{self.token}.lease"
        self._beats, self._last_beat, self._last_try = 0, float("-inf"), float("-inf")
        self._ours: set[str] = set()
        self._unwritten: set[str] = set()
        self._refused: dict[str, str] = {}
        self._seen: dict[str, tuple[bytes, float]] = {}
        self._seen_alive: set[str] = set()

    def begin(self) -> None:
        """Show that this job lives; an OSError says that the folder can't be written."""
        self._write_heartbeat()
        with contextlib.suppress(OSError):
            self._clean_up()

    def claim(self, id: str) -> bool:
        """Whether this job has the network from now on; if not, one that may live has it."""
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
        """Let others have the network; nothing happens if it isn't ours."""
        self._ours.discard(id)
        self._unwritten.discard(id)
        try:
            self._ready_to_write(self._folder)
            _remove_entry(self._lease(id), self.token)
        except OSError:
            self._unwritten.add(id)

    def renew(self) -> None:
        """Show that this job lives, and make up for disk trouble; called several times a second."""
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
        """Who had the network when a claim was last refused, in words; None if none was."""
        if id not in self._refused:
            return None
        host, _, pid = self._refused[id].rpartition("-")[0].rpartition("-")
        return f"a job on {host} (process {pid})" if host else "another job"

    def seen_alive(self, id: str) -> bool:
        """Whether that holder gave a sign of life since we look; if not, it may be long dead."""
        return self._refused.get(id) in self._seen_alive

    def held_by_others(self, ids: Iterable[str]) -> set[str]:
        """Return the networks that other jobs have; a job that was killed may still count."""
        held = set()
        for network in ids:
            with contextlib.suppress(OSError):
                owners = [one for one in _entries(self._lease(network)) if one != self.token]
                held |= {network for owner in owners if not self._is_dead(owner)}
        return held

    def end(self) -> None:
        """Release everything and leave no file behind."""
        for network in self._ours | self._unwritten:
            self.release(network)
        with contextlib.suppress(OSError):
            _remove_entry(self._ready, self.token)
            if not self._unwritten:  # else it tells that the job which left a lease is gone
                self._heartbeat.unlink(missing_ok=True)

    def _lease(self, id: str) -> Path:
        if not id or "/" in id:
            raise ValueError(f"{id!r} is no ID of a network")
        return self._folder / f"{id}.lease"

    def _acquire(self, lease: Path) -> str | None:
        """Make a lease ours; returns the token of the job that keeps us from it, if one does."""
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
                    return None  # NFS may do a rename, lose the answer, and do it again
                if problem.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise
                if owners:
                    return owners[0]
        # No other job's, or released by each before it was looked for.
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(lease))

    def _write_heartbeat(self) -> None:
        self._ready_to_write(self._folder)
        self._beats += 1
        write_atomically(self._heartbeat, json.dumps({**self._me, "beats": self._beats}).encode())
        now = self._clock()
        if now - self._last_beat > (self._beat_seconds + self._expiry_seconds) / 2:
            # We or the disk stood still, and others perhaps with us: what was seen of them before
            # doesn't count against them. They may have held us for dead, and freed our leases.
            self._seen.clear()
            self._unwritten |= self._ours
        self._last_beat = now

    def _clean_up(self) -> None:
        """Watch the other jobs, and remove what dead ones left."""
        jobs = {
            path: m[1] for path in self._folder.iterdir() if (m := _HEARTBEAT.fullmatch(path.name))
        }
        for token in {*jobs.values()} - {self.token}:
            if self._is_dead(token):
                for lease in self._folder.glob("*.lease"):
                    _remove_entry(lease, token)
                for path in jobs:
                    if jobs[path] == token:
                        path.unlink(missing_ok=True)

    def _is_dead(self, token: str) -> bool:
        asked = self._clock()  # before the look: nobody looks older because a disk hangs
        try:
            with open_regular(self._folder / f"{token}.job") as file:
                heartbeat = file.read(LONGEST_HEARTBEAT)
        except OSError:  # gone, or not to be read: a job that lives writes it again
            heartbeat = b""
        before, since = self._seen.get(token, (heartbeat, self._clock()))
        if heartbeat != before:
            since = self._clock()
        self._seen[token] = heartbeat, since
        lives = process_lives(_read(heartbeat), self._me)
        if lives or (heartbeat and heartbeat != before):
            self._seen_alive.add(token)
        return lives is False or asked - since >= self._expiry_seconds


def _read(heartbeat: bytes) -> object:
    """Return what a heartbeat says; None for what is none."""
    try:
        return json.loads(heartbeat)
    except (ValueError, RecursionError):
        return None


def _entries(lease: Path) -> list[str]:
    """The job that has a lease; none when it is free. Hidden names are a network disk's own."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(path.name for path in lease.iterdir() if path.name[0] != ".")
    return []


def _remove_entry(folder: Path, token: str) -> None:
    """Remove one job's entry, and the folder unless another job has it by now."""
    (folder / token).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
