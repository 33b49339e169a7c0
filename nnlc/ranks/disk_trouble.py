"""What a job says of a results folder that is full, away or another one, and how long it waits."""

from nnlc.ranks.job import Job
from nnlc.ranks.table_writer import TableWriter

LOOK_SECONDS = 1.0
"""Between two looks at the folder: it may be away while nothing is to be written."""


class DiskTrouble:
    """Follows what can't be written.

    Args:
        job: what is shared.
        tables: that may wait.

    Attributes:
        away: why the folder can't be used, in words, or None; nothing is begun without it.
        problem: what can't be written and why, in words, or None.
    """

    def __init__(self, job: Job, tables: TableWriter) -> None:
        self._job, self._tables = job, tables
        self.unavailable: str | None = None
        self._well = self._last_look = job.clock()
        self.problem: str | None = None

    def lasts_too_long(self) -> bool:
        """Tell of trouble once when it begins and once when it is over; call it often.

        Returns:
            Whether a table has waited, or the folder been away, for longer than is sensible.
        """
        now, before = self._job.clock(), self.problem
        if now - self._last_look >= LOOK_SECONDS:
            self._look()
        self.problem = self.unavailable or self._tables.problem or self._job.journal.trouble
        if self.problem and not before:
            self._job.progress.message(f"{self.problem}; it is kept and tried again")
        elif before and not self.problem:
            self._job.progress.message("everything could be written again")
        patience = 60 * self._job.campaign.run.disk_minutes
        return self._tables.waits_too_long() or now - self._well > patience

    @property
    def advice(self) -> str:
        """Say what the user can do."""
        mend = "bring it back" if self.unavailable else "make room or mend the folder"
        return f"{mend} and start again"

    def loss(self) -> str | None:
        """Return what a job that ends now loses, why, and what to do; None where nothing is lost.

        A job whose folder is away has saved nothing, and the next start would begin another one.
        """
        self._look()
        if self._tables:
            lost = f"{len(self._tables)} finished networks go back to their last checkpoint"
            return f"{self._tables.problem}; {lost}; {self.advice}"
        if self.unavailable:
            lost = "what it trained goes back to its last checkpoint"
            return f"{self.unavailable}; {lost}; {self.advice}"
        return None

    def _look(self) -> None:
        """See whether the folder is there."""
        self._last_look = self._job.clock()
        try:
            self._job.results.check()
        except OSError as problem:
            self.unavailable = problem.strerror
        else:
            self.unavailable, self._well = None, self._last_look
