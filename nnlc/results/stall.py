"""Stalls of a campaign, as `nnlc status --watch` sees them."""

import time
from collections.abc import Callable

from nnlc.results.status import Status
from nnlc.wording import counted

IDLE_SECONDS = 300.0
"""Time without any job after which a campaign stalls; a job of a chain follows sooner."""
STILL_SECONDS = 3600.0
"""Least time after which running jobs stall, if none of their networks gets further."""
_PACES = 10
"""Half epochs of the slowest network that running jobs have as well."""


class StallWatch:
    """State of a campaign since its last progress.

    Args:
        clock: returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._state: object = None
        self._since = clock()
        self._said = False

    def look(self, found: Status, *, is_busy: bool, is_running: bool) -> str:
        """Return why the campaign stalls, in words, once for each stall; "" if it does not.

        Args:
            found: the campaign's state now.
            is_busy: True if a job runs or may be in the queue.
            is_running: True if a job runs.
        """
        rows = sum(each.rows for each in found.datasets.values())
        state = rows, len(found.history.jobs.began), is_busy, is_running
        if state != self._state:
            self._state, self._since, self._said = state, self._clock(), False
        if self._said or not found.left or (is_busy and not is_running):
            return ""
        slowest = max((each.pace or 0.0 for each in found.left.values()), default=0.0)
        patience = max(STILL_SECONDS, _PACES * slowest) if is_running else IDLE_SECONDS
        if self._clock() - self._since < patience:
            return ""
        self._said = True
        left = counted(len(found.left), "network is", "networks are")
        if not is_running:
            return f"{left} left, and no job is running or in the queue"
        return f"{left} left, and none has got further for {patience / 60:.0f} minutes"
