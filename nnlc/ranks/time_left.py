"""How long this job may still run, as the user or the scheduler says."""

import time
from collections.abc import Callable, Mapping

MARGIN_SECONDS = 90.0
"""A job leaves so long before its end, for trainers to save and ranks to part."""
MOST_SAVE_SECONDS = 60.0
"""What took longer was held up by a disk, and is no measure."""
MARGIN_SHARE = 0.1
"""Of a job so short that a minute would be most of it."""


class TimeLeft:
    """Counts down on a clock that never jumps.

    Args:
        seconds: until the job's end; None where nothing ends it.
        clock: seconds.
        since: when, on that clock, so many seconds were left; default now.
    """

    def __init__(
        self,
        seconds: float | None,
        clock: Callable[[], float] = time.monotonic,
        *,
        since: float | None = None,
    ) -> None:
        self._clock = clock
        self._end = None if seconds is None else (clock() if since is None else since) + seconds
        self._margin = 0.0 if seconds is None else min(MARGIN_SECONDS, MARGIN_SHARE * seconds)
        self._slowest_save = 0.0

    def record_save(self, seconds: float) -> None:
        """A checkpoint took so long to be saved."""
        self._slowest_save = min(max(self._slowest_save, seconds), MOST_SAVE_SECONDS)

    def work_seconds(self) -> float:
        """Seconds until the job must leave; negative when it should have, infinite without end."""
        if self._end is None:
            return float("inf")
        return self._end - self._margin - 2 * self._slowest_save - self._clock()


def seconds_left(asked_minutes: float | None, environment: Mapping[str, str]) -> float | None:
    """Return the seconds until this job's end, as the user or else its scheduler says, if any."""
    if asked_minutes is not None:
        return 60 * asked_minutes
    from nnlc.schedulers.registry import seconds_left as told  # rendered scripts say --time-left

    return told(environment)
