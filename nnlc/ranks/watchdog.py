"""When a trainer that says nothing has hung: judged by its own measured speed."""

import time
from collections.abc import Callable

SLOWEST_TIMES = 20
"""Silence of so many times the longest so far is no longer a slow step."""
DISK_TIMES = 6
"""As much longer may it take to read images before the first step, or to write a checkpoint."""
STARTING_SECONDS = 1800.0
"""For a trainer to import torch and find its device; slow where a thousand read the same disk."""
ABSENCE_SECONDS = 5.0
"""The watcher itself was stopped or held up if it did not look for so long."""


class Watchdog:
    """Watches one trainer; all times come from one clock that never jumps.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_sign = self._last_look = clock()
        self._patience: float | None = STARTING_SECONDS
        self._least = 0.0
        self._slowest = 0.0
        self._measures = False  # what loading and saving take says nothing of steps

    def start_begins(self) -> None:
        """It sets up its device and looks at images, for as long as a start may take."""
        self._sign()
        self._patience = STARTING_SECONDS

    def network_begins(self, hang_seconds: float, step_seconds: float) -> None:
        """A network begins.

        Args:
            hang_seconds: silence that is always allowed.
            step_seconds: predicted length of a step.
        """
        self._sign()
        self._least, self._slowest = max(hang_seconds, SLOWEST_TIMES * step_seconds), 0.0
        self._patience, self._measures = DISK_TIMES * self._least, False

    def steps_done(self) -> None:
        """Steps were done."""
        attentive = self._clock() - self._last_look <= ABSENCE_SECONDS
        silence = self._sign()
        if self._measures and attentive:  # else it may have lain unread
            self._slowest = max(self._slowest, silence)
        self._patience = max(self._least, SLOWEST_TIMES * self._slowest)
        self._measures = True

    def save_begins(self) -> None:
        """A checkpoint is being written."""
        self._sign()
        self._patience, self._measures = DISK_TIMES * self._least, False

    def save_ended(self) -> None:
        """It is written, or can't be: on with the steps."""
        self._sign()
        self._patience, self._measures = max(self._least, SLOWEST_TIMES * self._slowest), True

    def idle_begins(self) -> None:
        """Nothing to do: silence is right."""
        self._sign()
        self._patience = None

    def overlong_silence(self) -> float | None:
        """Seconds of a silence that is too long; None while all is well."""
        now = self._clock()
        absence = now - self._last_look
        self._last_look = now
        if absence > ABSENCE_SECONDS:
            self._last_sign += absence  # signs may have come meanwhile, and lie unread
        since = now - self._last_sign
        return since if self._patience is not None and since > self._patience else None

    def _sign(self) -> float:
        now = self._clock()
        since, self._last_sign = now - self._last_sign, now
        return since
