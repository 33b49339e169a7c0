"""Detection of trainers that hang, judged by their own measured speed."""

import time
from collections.abc import Callable

SLOWEST_TIMES = 20
"""A trainer hangs if it is silent for this many times its longest silence between steps."""
DISK_TIMES = 6
"""Factor on the allowed silence while images are read or a checkpoint is written."""
STARTING_SECONDS = 1800.0
"""Time that a trainer has to start: importing torch is slow when a thousand read the same disk."""
ABSENCE_SECONDS = 5.0
"""Longest time between two checks, unless the agent itself was suspended or blocked."""


class Watchdog:
    """Watchdog of one trainer.

    Args:
        clock: returns seconds, monotonically.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_sign = self._last_look = clock()
        self._patience: float | None = STARTING_SECONDS
        self._least = 0.0
        self._slowest = 0.0
        self._measures = False  # not while loading or saving, which say nothing about steps

    def start_begins(self) -> None:
        """Allow `STARTING_SECONDS` of silence while the trainer checks its device and images."""
        self._sign()
        self._patience = STARTING_SECONDS

    def network_begins(self, hang_seconds: float, step_seconds: float) -> None:
        """Begin to watch the training of a network.

        Args:
            hang_seconds: silence that is always allowed.
            step_seconds: predicted seconds of a step.
        """
        self._sign()
        self._least, self._slowest = max(hang_seconds, SLOWEST_TIMES * step_seconds), 0.0
        self._patience, self._measures = DISK_TIMES * self._least, False

    def steps_done(self) -> None:
        """Note that the trainer reported steps."""
        attentive = self._clock() - self._last_look <= ABSENCE_SECONDS
        silence = self._sign()
        if self._measures and attentive:  # else the report may have waited to be read
            self._slowest = max(self._slowest, silence)
        self._patience = max(self._least, SLOWEST_TIMES * self._slowest)
        self._measures = True

    def save_begins(self) -> None:
        """Note that the trainer has begun to write a checkpoint."""
        self._sign()
        self._patience, self._measures = DISK_TIMES * self._least, False

    def save_ended(self) -> None:
        """Note that the trainer has written its checkpoint or failed to, and trains on."""
        self._sign()
        self._patience, self._measures = max(self._least, SLOWEST_TIMES * self._slowest), True

    def idle_begins(self) -> None:
        """Allow any silence: the trainer has nothing to do."""
        self._sign()
        self._patience = None

    def overlong_silence(self) -> float | None:
        """Return the seconds of a silence that is too long, or None."""
        now = self._clock()
        absence = now - self._last_look
        self._last_look = now
        if absence > ABSENCE_SECONDS:
            self._last_sign += absence  # messages from that time may wait to be read
        since = now - self._last_sign
        return since if self._patience is not None and since > self._patience else None

    def _sign(self) -> float:
        now = self._clock()
        since, self._last_sign = now - self._last_sign, now
        return since
