"""Signals that ask a rank, and through it the job, to stop. Schedulers differ in which they send.

A terminal that is closed sends SIGHUP, a limit on processor time SIGXCPU, Ctrl-\\ SIGQUIT, and a
power supply that fails may send SIGPWR: they save too, unless who started this had them ignored, as
nohup does.

The first one lets every network be saved; a second one ends the job at once.
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
"""A launcher and a terminal may both pass one Ctrl-C on: that is no second signal."""
SCHEDULER_ECHO_SECONDS = 15.0
"""The same for what only schedulers send: to the script, to the launcher and to the ranks. LSF's
bkill has the script send it twice, 10 s apart, and the third time kills."""
_OF_SCHEDULERS = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGURG, signal.SIGHUP)


class Notices:
    """Listens from its making on.

    Attributes:
        on_second_signal: ends the job when a second signal comes.
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
        """The name of the signal that came, once; None before and after."""
        if self._first is None or self._told:
            return None
        self._told = True
        return signal.Signals(self._first).name

    def ignore(self) -> None:
        """The rank ends, with a status that no signal may change any more."""
        for notice in NOTICES:
            signal.signal(notice, signal.SIG_IGN)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first, self._time = number, now
        elif number != signal.SIGXCPU:  # which comes every second from its first time on
            echo = number == self._first and number in _OF_SCHEDULERS
            if now - self._time >= (SCHEDULER_ECHO_SECONDS if echo else ECHO_SECONDS):
                self.on_second_signal()
