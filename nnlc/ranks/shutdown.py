"""How a job's ranks part: all are told to leave, save and say so, and then all end together."""

import time
from collections.abc import Callable

from nnlc.errors import ExitStatus

LIMIT_SECONDS = 80.0
"""For every rank to say that it has left; one that does not may be gone."""


class Shutdown:
    """Keeps count of which ranks have left.

    Args:
        ranks: how many there are.
        clock: seconds.

    Attributes:
        status: with which they leave; None while they work.
        over: they have parted.
    """

    def __init__(self, ranks: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._here = set(range(ranks))
        self._begun = 0.0
        self.status: ExitStatus | None = None
        self.over = False

    def begin(self, status: ExitStatus) -> bool:
        """Whether this is the beginning. An error on the way outweighs what it began with."""
        first = self.status is None
        if first:
            self._begun = self._clock()
        if first or status == ExitStatus.ERROR:
            self.status = status
        return first

    def left(self, rank: int) -> None:
        """All trainers of a rank have ended."""
        self._here.discard(rank)

    def complete(self) -> bool:
        """Whether no more can come."""
        return not self._here or self._clock() - self._begun > LIMIT_SECONDS
