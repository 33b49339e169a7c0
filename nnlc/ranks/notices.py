"""Signals that ask a rank, and through it the job, to stop.

The first signal has every network saved; a second one ends the job immediately. Schedulers differ
in which signals they send. A closed terminal sends SIGHUP, a limit on processor time SIGXCPU,
Ctrl-\\ SIGQUIT, a failing power supply SIGPWR; these four stay ignored if they were ignored at the
start, as under nohup.
"""

import os
import signal
import time
from collections.abc import Callable
from types import FrameType

from nnlc.errors import ExitStatus

_ALWAYS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGURG)
_UNLESS_IGNORED = tuple(
    getattr(signal, name)
    for name in ("SIGHUP", "SIGQUIT", "SIGXCPU", "SIGPWR")
    if hasattr(signal, name)  # not every system has each
)
NOTICES = (*_ALWAYS, *_UNLESS_IGNORED)

ECHO_SECONDS = 1.0
"""Time within which a second signal counts as an echo: a launcher and a terminal may both pass on
one Ctrl-C."""
SCHEDULER_ECHO_SECONDS = 15.0
"""Time within which the same signal of a scheduler counts as an echo: it may reach the script, the
launcher and the ranks. After LSF's bkill the script sends it twice, 10 s apart, then kills."""
_OF_SCHEDULERS = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGURG, signal.SIGHUP)


class Notices:
    """Handler of the stop signals, from construction on.

    Attributes:
        on_second_signal: called when a second signal comes, to end the job.
    """

    def __init__(self) -> None:
        self._first: int | None = None
        self._told = False
        self._time = 0.0
        self.on_second_signal: Callable[[], None] = lambda: os._exit(ExitStatus.UNFINISHED)
        for notice in NOTICES:
            if notice in _ALWAYS or signal.getsignal(notice) != signal.SIG_IGN:
                signal.signal(notice, self._on_signal)

    def take_signal(self) -> str | None:
        """Return the name of the first stop signal, at the first call after it came; else None."""
        if self._first is None or self._told:
            return None
        self._told = True
        return signal.Signals(self._first).name

    def ignore(self) -> None:
        """Ignore all stop signals: the rank is ending, and its exit status is final."""
        for notice in NOTICES:
            signal.signal(notice, signal.SIG_IGN)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first, self._time = number, now
        elif number != signal.SIGXCPU:  # the kernel repeats it every second
            echo = number == self._first and number in _OF_SCHEDULERS
            if now - self._time >= (SCHEDULER_ECHO_SECONDS if echo else ECHO_SECONDS):
                self.on_second_signal()
