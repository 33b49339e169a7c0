"""Heartbeats between ranks, since a launcher does not always end the job when one rank dies.

Every rank sends rank 0 heartbeats, and rank 0 sends them to every rank. A rank that receives
nothing from rank 0 for `SILENT_SECONDS` ends the job. Rank 0 does so if any rank is silent for as
long.
"""

import time
from collections.abc import Callable

BEAT_SECONDS = 20.0
"""Time between two heartbeats."""
LOOK_SECONDS = 1.0
"""Time between two checks: a job may have thousands of ranks, and the agent asks several times a
second."""
SILENT_SECONDS = 600.0
"""Silence after which a rank counts as dead. A slow file system may block rank 0 for minutes."""
ABSENCE_SECONDS = 5.0
"""Longest time between two checks, unless this rank itself was suspended or blocked."""


class Heartbeat:
    """Record of when each other rank was last heard.

    Args:
        others: ranks that send heartbeats to this one.
        clock: returns seconds.
    """

    def __init__(self, others: list[int], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        now = clock()
        self._heard = dict.fromkeys(others, now)
        self._last_beat, self._last_look = now, now

    def heard(self, rank: int) -> None:
        """Note that a message came from this rank."""
        if rank in self._heard:
            self._heard[rank] = self._clock()

    def due(self) -> list[int]:
        """Return the ranks to send a heartbeat to now; none if the last one is recent."""
        now = self._clock()
        if now - self._last_beat < BEAT_SECONDS:
            return []
        self._last_beat = now
        return list(self._heard)

    def silent_rank(self) -> int | None:
        """Return a rank that has been silent for too long, or None."""
        now = self._clock()
        absence = now - self._last_look
        if absence < LOOK_SECONDS:
            return None
        self._last_look = now
        if absence > ABSENCE_SECONDS:
            self._heard = {rank: last + absence for rank, last in self._heard.items()}
        return next((r for r, last in self._heard.items() if now - last > SILENT_SECONDS), None)
