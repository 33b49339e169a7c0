"""Reaction to a results folder that is full, missing or replaced: messages, and when to give up."""

from nnlc.ranks.job import Job
from nnlc.ranks.table_writer import TableWriter
from nnlc.wording import counted

LOOK_SECONDS = 1.0
"""Time between two checks that the folder exists, also while nothing is written."""


class DiskTrouble:
    """State of a job's results folder: usable or not, for how long, and why.

    Args:
        job: this job.
        tables: writer of the job's tables.

    Attributes:
        unavailable: why the folder can't be used, in words, or None; if set, no network starts.
        problem: what can't be written and why, in words, or None.
    """

    def __init__(self, job: Job, tables: TableWriter) -> None:
        self._job, self._tables = job, tables
        self.unavailable: str | None = None
        self._well = self._last_look = job.clock()
        self.problem: str | None = None

    def lasts_too_long(self) -> bool:
        """Check the folder, report changes, and return True if a problem outlasts `disk_minutes`.

        Call it often.
        """
        now, before = self._job.clock(), self.problem
        if now - self._last_look >= LOOK_SECONDS:
            self._look()
        self.problem = self.unavailable or self._tables.problem or self._job.journal.trouble
        if self.problem and not before:
            self._job.progress.message(
                f"{self.problem}; nothing is lost yet, and writing is retried"
            )
        elif before and not self.problem:
            self._job.progress.message("everything has now been written")
        patience = 60 * self._job.campaign.run.disk_minutes
        return self._tables.waits_too_long() or now - self._well > patience

    @property
    def advice(self) -> str:
        """Advice for the user."""
        repair = "restore the folder" if self.unavailable else "make room or repair the folder"
        return f"{repair} and start again"

    def loss(self) -> str | None:
        """Return what is lost if the job ends now, why, and what to do; None if nothing is lost."""
        self._look()
        if self._tables:
            finished = counted(len(self._tables), "finished network")
            lost = f"{finished} must be trained again from the last checkpoint"
            return f"{self._tables.problem}; {lost}; {self.advice}"
        if self.unavailable:
            lost = "its networks must be trained again from their last checkpoints"
            return f"{self.unavailable}; {lost}; {self.advice}"
        return None

    def _look(self) -> None:
        """Check whether the folder can be used."""
        self._last_look = self._job.clock()
        try:
            self._job.results.check()
        except OSError as problem:
            self.unavailable = problem.strerror
        else:
            self.unavailable, self._well = None, self._last_look
