"""Time that jobs took and what they spent it on, by the journal.

A job's time is divided among its trainers. A trainer trains; or starts, sets up or saves networks;
or does what a crash loses, since the next attempt continues from the checkpoint before; or is idle.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from nnlc.results.job_facts import dictionaries, trainers_in
from nnlc.results.journal import SILENT_SECONDS, last_sign, read_files, seconds_of
from nnlc.wording import printable

_CRASHES = ("attempt", "failure", "uncaptured")
_KINDS = frozenset(["script", "job", "start", "checkpoint", "finish", *_CRASHES, "end"])
PARTS = ("trained", "starts and saves", "lost to crashes", "idle")


@dataclass(slots=True)
class JobTime:
    """One start of the worker: its size, its time, and what its trainers did."""

    name: str
    """Name of its file in the journal."""
    job: str = ""
    """ID of the scheduler's job; empty if its script gave none."""
    began: float = 0.0
    """Time of its start, in seconds since 1970."""
    ended: float = 0.0
    nodes: int = 1
    gpus: int = 0
    """Ranks, each with a GPU; 0 on processors."""
    trainers: int = 0
    """Trainers; 0 if the job ended before they began."""
    ready: float | None = None
    """Time at which its ranks were ready for networks, if they were."""
    first_start: float | None = None
    has_begun: bool = False
    """True if its file has a start, as that of a command such as `nnlc retry` has not."""
    is_over: bool = False
    """True if its end is recorded."""
    has_failed: bool = False
    """True if its recorded end is an error."""
    runs: bool = False
    trained: float = 0.0
    """Seconds of all trainers."""
    started: float = 0.0
    lost: float = 0.0
    at_work: dict[str, "Training"] = field(default_factory=dict)
    """Networks in training, by ID."""

    @property
    def seconds(self) -> float:
        return max(0.0, self.ended - self.began)

    def shares(self) -> dict[str, float]:
        """Return the share of each part in the job's time."""
        whole = self.seconds * self.trainers
        if not whole or self.first_start is None:
            return self._shares_without_networks()
        begin = max(0.0, self.first_start - self.began) * self.trainers
        parts = [self.trained, self.started + begin, self.lost]
        excess = max(1.0, sum(parts) / whole)
        shares = [part / whole / excess for part in parts]
        return dict(zip(PARTS, [*shares, max(0.0, 1.0 - sum(shares))], strict=True))

    def _shares_without_networks(self) -> dict[str, float]:
        """Return the shares of a job in which no network began.

        A job that ended properly started until its ranks were ready, and then had nothing to do,
        as where other jobs held the networks.
        """
        shares = dict.fromkeys(PARTS, 0.0)
        if not self.seconds:
            return shares
        if self.has_failed or not (self.runs or self.is_over):
            return shares | {"lost to crashes": 1.0}
        ready = self.ended if self.ready is None or self.runs else self.ready
        begin = min(1.0, max(0.0, ready - self.began) / self.seconds)
        return shares | {"starts and saves": begin, "idle": 1.0 - begin}


@dataclass(slots=True)
class Training:
    """A network in training, in one job."""

    since: float
    """Time of its start, or of its last checkpoint."""
    setup: float = 0.0
    """Seconds of set-up that are not counted yet."""


def job_times(folder: Path, running: Container[str], now: float) -> list[JobTime]:
    """Return the time of each job in a journal folder, in order of their start.

    Args:
        folder: the journal.
        running: names of the files of jobs that still run.
        now: time up to which these count, in seconds since 1970.
    """
    jobs: dict[str, JobTime] = {}
    for name, event in read_files(folder, _KINDS):
        moment = _seconds(event.get("time"))
        if moment is not None:
            _take(jobs.setdefault(name, JobTime(name, began=moment, ended=moment)), event, moment)
    for job in jobs.values():
        if not job.is_over:
            begins = job.ready is None and now - job.ended < SILENT_SECONDS
            job.runs = begins or job.name in running
            sign = now if job.runs else min(now, last_sign(folder, job.name, ""))
            job.ended = max(job.ended, sign)
            for training in job.at_work.values():
                _end(job, training, job.ended, kept=job.runs)
    began = (job for job in jobs.values() if job.has_begun)
    return sorted(began, key=lambda job: job.began)


def _take(job: JobTime, event: dict[str, Any], moment: float) -> None:
    """Add an event to the time of its job."""
    job.ended = max(job.ended, moment)
    id_ = str(event.get("id"))
    match event["event"]:
        case "script":
            job.has_begun = True
            job.job = printable(str(event.get("job") or ""))
            begun, nodes = _number(event.get("begun")), event.get("nodes")
            job.began = job.began if begun is None else min(begun, job.began)
            job.nodes = nodes if type(nodes) is int and nodes > 0 else job.nodes
        case "job":
            job.has_begun = True
            job.ready = moment
            job.trainers = trainers_in(event)
            ranks = dictionaries(event.get("ranks"))
            hosts = {str(rank.get("node") or rank.get("host")) for rank in ranks}
            job.nodes = max(job.nodes, len(hosts))
            job.gpus = len(ranks) if event.get("device") == "cuda" else 0
        case "start":
            job.first_start = moment if job.first_start is None else job.first_start
            job.at_work[id_] = Training(moment)
        case "checkpoint" if id_ in job.at_work:
            training = job.at_work[id_]
            saving = _number(event.get("seconds")) or 0.0
            _count_setup(training, event)
            _end(job, training, moment - saving, kept=True)
            job.started += saving
            training.since = moment
        case "finish" if id_ in job.at_work:
            training = job.at_work.pop(id_)
            _count_setup(training, event)
            _end(job, training, moment, kept=True)
        case kind if kind in _CRASHES and id_ in job.at_work:
            _end(job, job.at_work.pop(id_), moment, kept=False)
        case "end":
            job.is_over = True
            job.has_failed = event.get("status") == "ERROR"
            for training in job.at_work.values():  # they have saved, and leave
                job.started += max(0.0, moment - training.since)
            job.at_work.clear()


def _count_setup(training: Training, event: dict[str, Any]) -> None:
    """Note the set-up of a network, which is part of the time to its first record only."""
    if training.setup == 0.0:
        training.setup = _number(event.get("setup_seconds")) or -1.0


def _end(job: JobTime, training: Training, moment: float, *, kept: bool) -> None:
    """Add the time of a training up to a moment, which is kept or lost."""
    seconds = max(0.0, moment - training.since)
    setup = min(seconds, training.setup) if training.setup > 0 else 0.0
    training.setup = -1.0
    job.started += setup
    if kept:
        job.trained += seconds - setup
    else:
        job.lost += seconds - setup


def total_hours(jobs: Iterable[JobTime], part: str | None = None) -> tuple[float, float]:
    """Return the node-hours and GPU-hours of jobs, or of one part of them."""
    nodes = gpus = 0.0
    for job in jobs:
        hours = job.seconds / 3600 * (1.0 if part is None else job.shares()[part])
        nodes += hours * job.nodes
        gpus += hours * job.gpus
    return nodes, gpus


def _seconds(words: Any) -> float | None:
    try:
        return seconds_of(words)
    except (ValueError, TypeError, OverflowError):
        return None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e15 and isfinite(value) else None
