"""What the stand-ins for schedulers share: a folder of jobs, a clock, processes, MPICH's mpirun.

Each has a folder of its own beside this one; its commands and daemons import this module from it.
"""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path


class StandinFolder:
    """A folder with a folder a job, in jobs/, and files that tests write: closed, passed."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder).absolute()
        self.jobs_folder = self.folder / "jobs"
        self.closed = self.folder / "closed"
        self.jobs_folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def lock(self) -> Iterator[None]:
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def place(self, number: int) -> Path:
        return self.jobs_folder / str(number)

    def numbers(self) -> list[int]:
        return sorted(int(path.name) for path in self.jobs_folder.iterdir())

    @contextmanager
    def new_job(self) -> Iterator[tuple[int, Path]]:
        """Give a job its number and its place, which nobody sees before it is whole.

        The caller holds the lock.
        """
        counter = self.folder / "next"
        number = int(counter.read_text()) if counter.exists() else 101
        counter.write_text(str(number + 1))
        new = self.folder / f"new-{number}"
        new.mkdir()
        yield number, new
        new.rename(self.place(number))

    def write(self, path: Path, element: object) -> None:
        """Write a dataclass; nobody ever reads half of it."""
        new = path.with_suffix(f".{secrets.token_hex(4)}")
        new.write_text(json.dumps(asdict(element)))
        new.rename(path)

    def request(self, number: int, *what: object) -> None:
        """Ask a job's daemon for something."""
        path = self.place(number) / f"request-{secrets.token_hex(4)}.new"
        path.write_text(json.dumps(what))
        path.rename(path.with_suffix(".ready"))

    def requests(self, number: int) -> list[list]:
        """Return what was asked for since the last look."""
        found = []
        for path in sorted(self.place(number).glob("request-*.ready")):
            found.append(json.loads(path.read_text()))
            path.unlink()
        return found

    def clock(self, unit: str) -> float:
        """Return the time in units that last so many seconds; a test adds to it in passed."""
        passed = self.folder / "passed"
        added = float(passed.read_text()) if passed.exists() else 0.0
        return time.monotonic() / float(unit) + added


def is_there(owner: str | None) -> bool:
    """Return whether the process that owns a stand-in is there, or none owns it."""
    return owner is None or Path("/proc", owner).exists()


def processes(*marks: str) -> dict[int, list[bytes]]:
    """Return the processes that have all these variables, with their environments."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if all(mark.encode() in words for mark in marks):
                found[int(path.parent.name)] = words
    return found


def parent(pid: int) -> int:
    """Return the process that started one, 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def send(name: str, pids: Iterable[int]) -> None:
    """Send a signal, such as TERM, to processes that may be gone."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, getattr(signal, f"SIG{name}"))


def hand_on(names: Iterable[str], ranks: Callable[[], Iterable[int]]) -> None:
    """Hand on these signals of this process to the ranks that it has started."""

    def pass_on(number: int, _frame: object) -> None:
        send(signal.Signals(number).name.removeprefix("SIG"), ranks())

    for name in names:
        signal.signal(getattr(signal, f"SIG{name}"), pass_on)


def named(node: str) -> list[str]:
    """Return words before a command that give it a node's name as host name, if this user may.

    Root may. Other users could only in a namespace of users, where MPICH's ranks may not read each
    other's memory.
    """
    if os.geteuid() or not (shutil.which("unshare") and shutil.which("hostname")):
        return []
    return ["unshare", "--uts", "sh", "-c", 'hostname "$1" && shift && exec "$@"', "sh", node]


def mpirun() -> str:
    """Return MPICH's mpirun of this environment."""
    beside = Path(sys.executable).parent / "mpirun"
    found = str(beside) if beside.exists() else shutil.which("mpirun")
    if not found:
        raise SystemExit("no mpirun for the stand-ins: pip install mpich")
    return found
