"""Jobs that are there to be hurt: their processes, their output, their disk and their clock."""

import contextlib
import errno
import os
import signal
import struct
import subprocess
import time
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from limits import HANG_SECONDS
from worker_jobs import command, meddling

from nnlc.errors import ExitStatus

REPLACED_SECONDS = HANG_SECONDS
"""For a trainer that was killed or stopped to be replaced; the campaigns set a short hang time."""
LEFTOVER_SECONDS = HANG_SECONDS
"""For the other processes of a job to end after mpirun."""
ANY = frozenset(range(-64, 256))
"""Whatever status mpirun leaves with when its processes are killed."""
MARK = "NNLC_TEST_MARK"
"""The variable by which the processes of a job are found: it names the job's log."""
NO_SPACE = os.strerror(errno.ENOSPC)


class HarnessError(AssertionError):
    """A promise was broken; the message says by which job, and how its output ended."""


class Missed(Exception):  # noqa: N818  (nothing went wrong)
    """The job or the victim was gone before the fault could happen."""


class Job:
    """A job in processes of its own, its output in a file.

    Attributes:
        statuses: with which it may end from now on.
        must_end_in: seconds that it has left; None while it may go on.
        trainers_killed: a fault has killed one.
    """

    def __init__(self, words: list[str], log: Path, **environment: str) -> None:
        self.log = log
        self._mark = f"{MARK}={log}".encode()
        self.statuses: Set[int] = {ExitStatus.DONE}
        self.must_end_in: float | None = None
        self.trainers_killed = False
        self._shared_memory: set[Path] = set()
        with log.open("wb") as output:
            self._mpirun = subprocess.Popen(
                words,
                env={**os.environ, **environment, MARK: str(log)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the harness alone
            )

    @property
    def status(self) -> int | None:
        """With which it ended, or None."""
        return self._mpirun.poll()

    def owes_end(self, statuses: Iterable[int], seconds: float) -> None:
        """It must end now; the statuses of before stay right: the last table may just have come."""
        self.statuses, self.must_end_in = {*self.statuses, *statuses}, seconds

    def processes(self, role: str | None = None) -> list[int]:
        """Process ids, of one role ("mpirun", "proxy", "agent", "trainer") or all."""
        found = find_marked(self._mark)
        # Between fork and exec a child looks like its parent; only whole processes have a role.
        return sorted(
            pid
            for pid, (its, parent) in found.items()
            if role is None or (its == role and found.get(parent, ("",))[0] != role)
        )

    def one(self, role: str, random: Random) -> int:
        """A process of a role; waits for one that is being replaced."""
        deadline = time.monotonic() + REPLACED_SECONDS
        while not (pids := self.processes(role)):
            if self.status is not None:
                raise Missed
            self.insist(time.monotonic() < deadline, f"no {role} for {REPLACED_SECONDS:.0f} s")
            time.sleep(0.1)
        return random.choice(pids)

    def goes_on_for(self, seconds: float) -> bool:
        """Wait; False as soon as it has ended."""
        deadline = time.monotonic() + seconds
        while self.status is None and time.monotonic() < deadline:
            time.sleep(min(0.05, max(0.0, deadline - time.monotonic())))
        return self.status is None

    def end(self, seconds: float) -> int:
        """Wait for its end, which must come in time, with a right status and leave no process."""
        self.insist(not self.goes_on_for(seconds), f"no end in {seconds:.0f} s")
        status = self._mpirun.wait()
        self.insist(status in self.statuses, f"ended with status {status}")
        if status == ExitStatus.ERROR and self.statuses != ANY:
            self.insist(NO_SPACE in self.output(), "ended with status 1, and not for a full disk")
        self._forget_shared_memory()
        deadline = time.monotonic() + LEFTOVER_SECONDS
        while left := self.processes():
            self.insist(time.monotonic() < deadline, f"processes {left} outlived it")
            time.sleep(0.1)
        return status

    def insist(self, promise: bool, text: str) -> None:
        """Raise `text` with the tail of the output unless the promise holds."""
        if not promise:
            tail = "\n".join(self.output().splitlines()[-30:])
            raise HarnessError(f"{self.log.stem}: {text}; its output ends:\n{tail}")

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def kill(self) -> int:
        """Kill whatever is left of it; returns how many processes were."""
        hit = kill_marked(self._mark)
        self._mpirun.wait()
        self._forget_shared_memory()
        return hit

    def note_shared_memory(self) -> None:
        """Once its ranks have met: what MPI shares between them, and leaves behind when killed."""
        for pid in self.processes("agent"):
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/maps").read_text().split()
                self._shared_memory |= {Path(w) for w in words if w.startswith("/dev/shm/mpich")}

    def _forget_shared_memory(self) -> None:
        for path in self._shared_memory:
            path.unlink(missing_ok=True)


def find_marked(mark: bytes) -> dict[int, tuple[str, int]]:
    """Role and parent of each process with a variable that begins with `mark`."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"\0" + mark not in b"\0" + (folder / "environ").read_bytes():
                continue
            words = (folder / "cmdline").read_bytes().split(b"\0")
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue  # it has ended, or is another user's
        found[int(folder.name)] = _role(words), int(parent)
    return found


def kill_marked(mark: bytes) -> int:
    """Kill all processes with this mark; returns how many there were."""
    hit: set[int] = set()
    unseen = 0
    while unseen < 5:  # one that is just being started shows its mark a moment later
        pids = find_marked(mark)
        unseen = 0 if pids else unseen + 1
        hit.update(pids)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    return len(hit)


def _role(words: list[bytes]) -> str:
    if b"nnlc.training.trainer" in words:
        return "trainer"
    if b"-np" in words:
        return "mpirun"
    return "agent" if b"nnlc.worker" in words else "proxy"


PACE = """
import time
from nnlc.training import attempt
look, state = attempt.Attempt._between_steps, {}
def paced(self):
    if not state:
        state["open"] = open(AT_WORK, "a")
    time.sleep(max(0.0, state.get("end", 0.0) + 0.005 - time.monotonic()))
    state["end"] = time.monotonic()
    look(self)
attempt.Attempt._between_steps = paced
"""
"""Code for trainers: on a fast machine too, steps last long enough for a job to be hurt."""


@dataclass
class Room:
    """Where the jobs of a run work, and how they are started: each with the same command.

    Attributes:
        disk: a file system of the results' own, which may be filled; None without one.
        clock: the wall clock that the jobs see; None for the machine's.
        corrupted: networks a checkpoint of which was hurt.
        patience_seconds: for a whole campaign, twice at once.
        at_work: a file that every trainer has open once it has trained.
    """

    folder: Path
    campaign: Path
    results: Path
    ranks: int
    trainers: int
    patience_seconds: float
    disk: Path | None = None
    clock: "Clock | None" = None
    jobs: list[Job] = field(default_factory=list)
    corrupted: set[str] = field(default_factory=set)

    @property
    def at_work(self) -> Path:
        return self.folder / "at-work"

    def start(self) -> Job:
        words = command(
            self.campaign, "--results", self.results, "--trainers", self.trainers, ranks=self.ranks
        )
        log = self.folder / f"job-{len(self.jobs) + 1:04d}.log"
        paced = meddling(self.folder, PACE.replace("AT_WORK", repr(str(self.at_work))))
        self.jobs.append(Job(words, log, **paced, **(self.clock.environment if self.clock else {})))
        return self.jobs[-1]

    def kill(self) -> None:
        """Kill all that was started here, also what an interruption kept out of `jobs`."""
        kill_marked(f"{MARK}={self.folder}/".encode())
        for job in self.jobs:
            job.kill()


class Clock:
    """A wall clock for jobs, which jumps when told to; their monotonic clock goes on as it is.

    A library that is loaded before libc adds the number in a shared file to each time. (Debian
    12's libfaketime fails every `time.sleep` of Python 3.11 where it spares the monotonic clock.)

    Raises:
        OSError, subprocess.CalledProcessError: there is no C compiler.
    """

    _SOURCE = r"""
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <fcntl.h>
    #include <stdint.h>
    #include <stdlib.h>
    #include <sys/mman.h>
    #include <sys/time.h>
    #include <time.h>
    int clock_gettime(clockid_t clock, struct timespec *now) {
        static int (*real)(clockid_t, struct timespec *);
        static volatile int64_t *jump;
        if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
        if (!jump) jump = mmap(0, sizeof *jump, PROT_READ, MAP_SHARED,
                               open(getenv("NNLC_TEST_CLOCK"), O_RDONLY | O_CLOEXEC), 0);
        int status = real(clock, now);
        if (clock == CLOCK_REALTIME) now->tv_sec += *jump;
        return status;
    }
    int gettimeofday(struct timeval *now, void *zone) {
        struct timespec precise;
        int status = clock_gettime(CLOCK_REALTIME, &precise);
        *now = (struct timeval){precise.tv_sec, precise.tv_nsec / 1000};
        return status;
    }
    time_t time(time_t *now) {
        struct timespec precise;
        clock_gettime(CLOCK_REALTIME, &precise);
        if (now) *now = precise.tv_sec;
        return precise.tv_sec;
    }
    """

    def __init__(self, folder: Path) -> None:
        library, self._jump = folder / "clock.so", folder / "clock"
        self.jump_to(0)
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-O1", "-x", "c", "-", "-o", library, "-ldl"],
            input=self._SOURCE,
            text=True,
            capture_output=True,
            check=True,
        )
        self.environment = {"LD_PRELOAD": str(library), "NNLC_TEST_CLOCK": str(self._jump)}

    def jump_to(self, hours: float) -> None:
        """From now on all jobs see a time so far from the true one."""
        self._jump.touch()
        with self._jump.open("r+b") as file:  # in place: it is mapped
            file.write(struct.pack("=q", round(hours * 3600)))


@contextlib.contextmanager
def own_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """Mount a small file system in memory on a folder, for as long as the context lasts.

    Raises:
        OSError, subprocess.CalledProcessError: this user may not.
    """
    words = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "nnlc-faults", folder]
    subprocess.run(words, check=True, capture_output=True)
    try:
        yield
    finally:  # lazily: a process that is just being killed may still be in there
        subprocess.run(["umount", "--lazy", folder], check=True)
