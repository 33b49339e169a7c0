"""Whether the other ranks are still there: a launcher does not always end them all.

Every rank tells rank 0 that it lives, and rank 0 tells every rank. A rank that hears nothing for
long, from rank 0 or on rank 0 from any other, ends the job instead of waiting for ever.
"""

import time
from collections.abc import Callable

BEAT_SECONDS = 20.0
LOOK_SECONDS = 1.0
"""Between two looks: there may be thousands of ranks, and an agent asks at every turn."""
SILENT_SECONDS = 600.0
"""Rank 0 may be held up for minutes by a file system that is away."""
ABSENCE_SECONDS = 5.0
"""This rank itself was stopped or held up if it did not look for so long."""


class Heartbeat:
    """Keeps count of when each rank was last heard.

    Args:
        others: the ranks to hear from.
        clock: seconds.
    """

    def __init__(self, others: list[int], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        now = clock()
        self._heard = dict.fromkeys(others, now)
        self._last_beat, self._last_look = now, now

    def heard(self, rank: int) -> None:
        """A message came from this rank, whatever it says."""
        if rank in self._heard:
            self._heard[rank] = self._clock()

    def due(self) -> list[int]:
        """The ranks to tell that this one lives; none while the last time is not long ago."""
        now = self._clock()
        if now - self._last_beat < BEAT_SECONDS:
            return []
        self._last_beat = now
        return list(self._heard)

    def silent_rank(self) -> int | None:
        """A rank that is gone, or None."""
        now = self._clock()
        absence = now - self._last_look
        if absence < LOOK_SECONDS:
            return None
        self._last_look = now
        if absence > ABSENCE_SECONDS:
            self._heard = {rank: last + absence for rank, last in self._heard.items()}
        return next((r for r, last in self._heard.items() if now - last > SILENT_SECONDS), None)
