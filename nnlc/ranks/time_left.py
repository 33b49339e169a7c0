"""Time left until the job's time limit, from the user or the scheduler."""

import time
from collections.abc import Callable, Mapping
from math import inf

MARGIN_SECONDS = 90.0
"""Time before its limit at which a job begins to shut down: trainers save, and ranks leave."""
MOST_SAVE_SECONDS = 60.0
"""Longest save that is considered: longer ones waited for a disk."""
MARGIN_SHARE = 0.1
"""Largest margin as a share of the job's time, for short jobs."""


class TimeLeft:
    """Countdown to the job's time limit.

    Args:
        seconds: time left at `since`; None without a limit.
        clock: returns seconds, monotonically.
        since: time on this clock; default now.
    """

    def __init__(
        self,
        seconds: float | None,
        clock: Callable[[], float] = time.monotonic,
        *,
        since: float | None = None,
    ) -> None:
        self._clock = clock
        left = inf if seconds is None else seconds
        self._end = (clock() if since is None else since) + left
        self._margin = min(MARGIN_SECONDS, MARGIN_SHARE * left)
        self._slowest_save = 0.0

    def record_save(self, seconds: float) -> None:
        """Note how many seconds a checkpoint took to be saved."""
        self._slowest_save = min(max(self._slowest_save, seconds), MOST_SAVE_SECONDS)

    def work_seconds(self) -> float:
        """Return the seconds until the job must shut down; infinite without a limit."""
        return self._end - self._margin - 2 * self._slowest_save - self._clock()


def seconds_left(asked_minutes: float | None, environment: Mapping[str, str]) -> float | None:
    """Return the seconds until this job's time limit, from the user or its scheduler, or None."""
    if asked_minutes is not None:
        return 60 * asked_minutes
    from nnlc.schedulers.scheduler_registry import seconds_left as told  # not for rendered scripts

    return told(environment)
