"""Shutdown of a job: all ranks are told to leave, save, report that, and then end together."""

import time
from collections.abc import Callable

from nnlc.errors import ExitStatus

LIMIT_SECONDS = 80.0
"""Time that all ranks have to report that they have left; then the job ends anyway."""


class Shutdown:
    """State of a job's shutdown: its exit status, and the ranks that have not left.

    Args:
        ranks: number of ranks.
        clock: returns seconds.

    Attributes:
        status: exit status of all ranks; None before the shutdown begins.
        over: True once all ranks have been told to stop.
    """

    def __init__(self, ranks: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._here = set(range(ranks))
        self._begun = 0.0
        self.status: ExitStatus | None = None
        self.over = False

    def begin(self, status: ExitStatus) -> bool:
        """Begin the shutdown, or turn its status into an error; return True if it begins."""
        first = self.status is None
        if first:
            self._begun = self._clock()
        if first or status == ExitStatus.ERROR:
            self.status = status
        return first

    def left(self, rank: int) -> None:
        """Note that all trainers of a rank have ended."""
        self._here.discard(rank)

    def complete(self) -> bool:
        """Return True if all ranks have left, or their time to leave is over."""
        return not self._here or self._clock() - self._begun > LIMIT_SECONDS
