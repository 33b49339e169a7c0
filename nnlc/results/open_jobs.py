"""Jobs with a recorded start and no recorded end: they still run, or they were killed.

A job can't record its end if all its processes are killed or its node is lost. The next start and
`nnlc status` find such a job in the journal and report its end.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnlc.results.job_facts import PREDICATES, job_words, trainers_in
from nnlc.results.journal import is_silent, read_progress
from nnlc.system.process import process_lives, this_process
from nnlc.wording import counted, printable

_ENDS = ("attempt", "failure", "finish")
"""Events that end the training of a network in a job."""


@dataclass(slots=True)
class OpenJob:
    """Job that may run or may have been killed."""

    name: str
    """Name of its file in the journal."""
    process: dict[str, Any]
    """Process of its rank 0, as `nnlc.system.process` describes it."""
    words: str
    """Start and host, in words."""
    trainers: int
    last: str
    """Time of its last event."""
    under_way: set[str] = field(default_factory=set)
    """IDs of the networks in training at that time."""

    def how_it_ended(self, missing: Iterable[str] = ()) -> str:
        """Return a line on the end that the job could not record.

        Args:
            missing: IDs of networks without a table; the line says how many continue.
        """
        left = len(self.under_way.intersection(missing))
        text = f"{self.words} {PREDICATES['lost']}"
        one = "network continues from its checkpoint, if it has a usable one"
        several = "networks continue from their checkpoints, if they have usable ones"
        return printable(f"{text}; {counted(left, one, several)}" if left else text)


class OpenJobs:
    """Open jobs, collected from the events of a journal."""

    def __init__(self) -> None:
        self._jobs: dict[str, OpenJob] = {}
        self._reported: set[str] = set()

    def follow(self, name: str, event: dict[str, Any], ids: set[str]) -> None:
        """Add the next event, from the file of this name and about these IDs, in order of time."""
        process, time, kind = event.get("process"), str(event["time"]), event["event"]
        if kind == "job" and isinstance(process, dict):
            words, trainers = job_words(event), trainers_in(event)
            self._jobs[name] = OpenJob(name, process, words, trainers, time)
        elif kind == "end":
            self._jobs.pop(name, None)
        elif kind == "lost":
            self._reported.update(ids)
        elif name in self._jobs:
            job = self._jobs[name]
            job.last = time
            if kind == "start":
                job.under_way |= ids
            elif kind in _ENDS:
                job.under_way -= ids

    def unreported(self) -> list[OpenJob]:
        """Return the open jobs that no later start has reported as lost."""
        return [job for name, job in self._jobs.items() if name not in self._reported]


def unsaid_ends(folder: Path, jobs: Iterable[OpenJob]) -> list[str]:
    """Return a line for each of the open jobs in a journal folder that is over."""
    return [job.how_it_ended() for job in jobs if has_ended(folder, job)]


def running_jobs(folder: Path, jobs: Iterable[OpenJob]) -> list[OpenJob]:
    """Return those of the open jobs in a journal folder that still run."""
    return [job for job in jobs if not has_ended(folder, job)]


def networks_under_way(folder: Path, jobs: Iterable[OpenJob]) -> dict[str, dict[str, Any]]:
    """Return the records of progress in a journal folder, without those of jobs that are over."""
    return read_progress(folder, {job.name for job in jobs if has_ended(folder, job)})


def has_ended(folder: Path, job: OpenJob) -> bool:
    """Return True if a job without a recorded end is over, as far as this node can tell."""
    lives = process_lives(job.process, this_process())
    return lives is False or (lives is None and is_silent(folder, job.name, job.last))
