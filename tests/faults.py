"""What can hurt a real job, and whom it hits.

Every choice of a fault comes from the `Random` that it is given, every fault from a plan that its
seed decides, so that a run can be repeated; only the moment at which a process is hit can't.
"""

import contextlib
import errno
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from fault_jobs import ANY, REPLACED_SECONDS, Job, Missed, Room
from limits import HANG_SECONDS

from nnlc.errors import ExitStatus

NOTICES = (signal.SIGURG, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)
NOTICE_SECONDS = HANG_SECONDS
"""From a notice to the end of all ranks."""
KILLED_SECONDS = HANG_SECONDS
"""From the death of an agent to the end of the job."""
FIRST_CHECKPOINT_SECONDS = 6.0
"""For a job to save something that can be corrupted; one that is told to leave before does not."""


@dataclass(frozen=True)
class Planned:
    """One fault of a plan.

    Attributes:
        pause_seconds: from the job's first network, or from the fault before, to this one.
        seed: of everything that the fault chooses by itself.
    """

    number: int
    kind: str
    pause_seconds: float
    seed: int


def make_plan(seed: int, count: int, kinds: Sequence[str], longest_pause: float) -> list[Planned]:
    """The same faults for the same arguments; no kind comes a second time before all came once."""
    random = Random(f"faults {seed}")
    order: list[str] = []
    while len(order) < count:
        order += random.sample(kinds, len(kinds))
    return [
        Planned(number, kind, random.uniform(0, longest_pause), random.getrandbits(32))
        for number, kind in enumerate(order[:count], 1)
    ]


def kill_trainer(room: Room, job: Job, random: Random) -> str:
    """A job's first whatever it does; a rank whose trainers often die idle rightly gives up."""
    again, job.trainers_killed = job.trainers_killed, True
    pid = _one_at_work(room, job, random) if again else job.one("trainer", random)
    _signal([pid], signal.SIGKILL)
    return f"trainer {pid}"


def kill_agent(room: Room, job: Job, random: Random) -> str:
    pid = job.one("agent", random)
    _signal([pid], signal.SIGKILL)
    job.owes_end(ANY, KILLED_SECONDS)
    return f"agent {pid}"


def kill_all(room: Room, job: Job, random: Random) -> str:
    job.owes_end(ANY, KILLED_SECONDS)
    return f"{job.kill()} processes"


def stop_trainer(room: Room, job: Job, random: Random) -> str:
    """Every other time the job is hurt again before the watchdog has seen the stopped one."""
    pid = _one_at_work(room, job, random)
    _signal([pid], signal.SIGSTOP)
    while _saves(room, pid):  # then it would rightly be left alone for minutes
        _signal([pid], signal.SIGCONT)
        time.sleep(0.05)
        _signal([pid], signal.SIGSTOP)
    if random.random() < 0.5:
        return f"trainer {pid}"
    start = time.monotonic()
    while pid in job.processes("trainer"):
        waited = time.monotonic() - start
        job.insist(waited < REPLACED_SECONDS, f"trainer {pid} is stopped since {waited:.0f} s")
        time.sleep(0.1)
    return f"trainer {pid}, gone after {time.monotonic() - start:.1f} s"


def _one_at_work(room: Room, job: Job, random: Random) -> int:
    """A trainer that has trained; one that still starts has other rights."""
    deadline = time.monotonic() + room.patience_seconds
    while time.monotonic() < deadline and job.goes_on_for(0.05):
        pid = job.one("trainer", random)
        with contextlib.suppress(Missed):
            if room.at_work in _open_files(pid):
                return pid
    raise Missed


def _saves(room: Room, pid: int) -> bool:
    """Whether a stopped trainer has a checkpoint open."""
    return room.results / "checkpoints" in {path.parent for path in _open_files(pid)}


def _open_files(pid: int) -> set[Path]:
    try:
        return {path.readlink() for path in Path(f"/proc/{pid}/fd").iterdir()}
    except FileNotFoundError:
        raise Missed from None


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def notice_one(room: Room, job: Job, random: Random) -> str:
    pid, notice = job.one("agent", random), random.choice(NOTICES)
    _signal([pid], notice)
    job.owes_end([ExitStatus.UNFINISHED], NOTICE_SECONDS)
    return f"{notice.name} to agent {pid}"


def notice_all(room: Room, job: Job, random: Random) -> str:
    """As schedulers do. mpirun itself is spared: it has ways of its own with each signal."""
    notice = random.choice(NOTICES)
    pids = job.processes("agent") + job.processes("trainer")
    if notice != signal.SIGUSR2:  # hydra's proxies die of it, and the job with them
        pids += job.processes("proxy")
    _signal(pids, notice)
    job.owes_end([ExitStatus.UNFINISHED], NOTICE_SECONDS)
    return f"{notice.name} to {len(pids)} processes"


def notice_twice(room: Room, job: Job, random: Random) -> str:
    """A stopped trainer can't leave, so that there is something for the second to cut short."""
    _signal([job.one("trainer", random)], signal.SIGSTOP)
    whom = notice_one(room, job, random)
    if not job.goes_on_for(random.uniform(1.1, 3)):
        return f"{whom}; it left before the second"
    with contextlib.suppress(Missed):
        whom += f", then {notice_one(room, job, random)}"
    return whom


def full_disk(room: Room, job: Job, random: Random) -> str:
    assert room.disk, "only a disk of our own may be filled"
    assert room.disk.is_mount(), "only a disk of our own may be filled"
    filler, seconds = room.disk / "filler", random.uniform(1, 3)
    job.statuses |= {ExitStatus.ERROR}
    deadline, block = time.monotonic() + seconds, bytes(1 << 16)
    try:
        with filler.open("wb", buffering=0) as file:
            while time.monotonic() < deadline:
                try:
                    file.write(block)
                except OSError as problem:
                    if problem.errno != errno.ENOSPC:
                        raise
                    time.sleep(0.01)  # and again: what the job frees is taken from it too
    finally:
        filler.unlink(missing_ok=True)
    return f"disk, for {seconds:.1f} s"


def corrupt_checkpoint(room: Room, job: Job, random: Random) -> str:
    """Under the job's feet, or between two jobs where there are none yet."""
    deadline = time.monotonic() + FIRST_CHECKPOINT_SECONDS
    while not (found := _checkpoints(room)) and job.status is None and time.monotonic() < deadline:
        time.sleep(0.1)
    if not found or random.random() < 0.5:
        notice_all(room, job, random)
        job.end(NOTICE_SECONDS)
        found = _checkpoints(room)
    chosen = random.sample(found, random.choice([1, len(found)]) if found else 0)
    room.corrupted |= {path.name.split(".")[0] for path in chosen}
    hurt = [f"{path.name} {how}" for path in chosen if (how := corrupt(path, random))]
    if not hurt:
        raise Missed
    return ", ".join(hurt) + (" between jobs" if job.status is not None else "")


def _checkpoints(room: Room) -> list[Path]:
    return sorted(room.results.glob("checkpoints/*.ckpt"))


def corrupt(path: Path, random: Random) -> str | None:
    """Hurt a file in place; None where it is gone or empty."""
    try:
        with path.open("r+b") as file:
            content = file.read()
            if not content:
                return None
            if random.random() < 0.5:
                length = random.randrange(len(content))
                file.truncate(length)
                return f"cut to {length} of {len(content)} bytes"
            places = random.sample(range(len(content)), min(len(content), random.choice([1, 20])))
            for place in places:
                file.seek(place)
                file.write(bytes([content[place] ^ random.randrange(1, 256)]))
            return f"with {len(places)} of {len(content)} bytes flipped"
    except FileNotFoundError:
        return None


def clock_jump(room: Room, job: Job, random: Random) -> str:
    assert room.clock, "only a clock of our own may jump"
    hours = random.uniform(1, 12) * random.choice([-1, 1])
    room.clock.jump_to(hours)
    return f"to {hours:+.1f} h, for all jobs"


def two_jobs(room: Room, job: Job, random: Random) -> str:
    """A second job in the same folder: each may do all that is left, or leave it to the other."""
    second = room.start()
    for each in job, second:
        each.owes_end([ExitStatus.UNFINISHED], room.patience_seconds)
    status = second.end(room.patience_seconds)
    return f"{second.log.stem}, which ended with status {status}"


def _signal(pids: list[int], number: signal.Signals) -> None:
    """Send to all that are still there; to none is a fault missed."""
    reached = 0
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            reached += 1
    if not reached:
        raise Missed


FAULTS: dict[str, Callable[[Room, Job, Random], str]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        *(kill_trainer, kill_agent, kill_all, stop_trainer, notice_one, notice_all),
        *(notice_twice, full_disk, corrupt_checkpoint, clock_jump, two_jobs),
    )
}
"""By name: each hurts a job of a room and says whom; what the job owes then stands in the job."""
