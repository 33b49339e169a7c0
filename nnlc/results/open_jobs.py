"""Jobs that have written down their start and not their end: they run, or they were ended.

A job that is killed with all its processes, or whose node is lost, can't say so itself. The next
start and `status` do, from what it had written before.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnlc.results.journal import is_silent
from nnlc.system.process import process_lives, this_process
from nnlc.wording import counted, printable


@dataclass(slots=True)
class OpenJob:
    """A job that may run or may have been ended."""

    name: str
    """Of its file in the journal."""
    process: dict[str, Any]
    """What `nnlc.system.process` says of its rank 0."""
    began: str
    last: str
    """When it wrote its last event."""
    under_way: set[str] = field(default_factory=set)
    """IDs of what it trained."""

    def how_it_ended(self, missing: Iterable[str]) -> str:
        """Return the news of an end that the job itself could not tell.

        Args:
            missing: IDs of networks without a table.
        """
        began, host = self.began[:16].replace("T", " "), self.process.get("host")
        left = len(self.under_way.intersection(missing))
        text = (
            f"the job of {began} UTC on {host} ended without a word (killed, or its node was lost)"
        )
        one = "network goes on from its checkpoint, if one is there that fits"
        several = "networks go on from their checkpoints, if some are there that fit"
        return printable(f"{text}; {counted(left, one, several)}" if left else text)


class OpenJobs:
    """Finds them among the events of a journal."""

    def __init__(self) -> None:
        self._jobs: dict[str, OpenJob] = {}
        self._told: set[str] = set()

    def follow(self, name: str, event: dict[str, Any], ids: set[str]) -> None:
        """Take note of an event of this file about these IDs; they come in order of time."""
        process, time, kind = event.get("process"), str(event["time"]), event["event"]
        if kind == "job" and isinstance(process, dict):
            self._jobs[name] = OpenJob(name, process, time, time)
        elif kind == "end":
            self._jobs.pop(name, None)
        elif kind == "lost":
            self._told.update(ids)
        elif name in self._jobs:
            job = self._jobs[name]
            job.last = time
            job.under_way = job.under_way | ids if kind == "start" else job.under_way - ids

    def untold(self) -> list[OpenJob]:
        """Return those that no later start has told of as lost."""
        return [job for name, job in self._jobs.items() if name not in self._told]


def unsaid_ends(folder: Path, jobs: Iterable[OpenJob], missing: Sequence[str]) -> list[str]:
    """Return the news of jobs that have ended without a word.

    Args:
        folder: the journal.
        jobs: that have not written down their end.
        missing: IDs of networks without a table.
    """
    return [job.how_it_ended(missing) for job in jobs if has_ended(folder, job)]


def has_ended(folder: Path, job: OpenJob) -> bool:
    """Return whether a job that has not written down its end is over, as far as can be seen."""
    lives = process_lives(job.process, this_process())
    return lives is False or (lives is None and is_silent(folder, job.name, job.last))
