"""Telling of a job's user by the notify command, beside the work of rank 0."""

import queue
import threading
import time
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path

from nnlc.console import say_aside
from nnlc.errors import ExitStatus
from nnlc.results.event_sender import EventSender, TellingJournal, failed_key
from nnlc.results.journal import Journal
from nnlc.results.user_events import UserEvent
from nnlc.system.files import PrepareFolder
from nnlc.system.notify_command import NOTIFY_SECONDS

_Work = Callable[[], str]
"""Work of the thread; it returns what went wrong, or ""."""
_OVER = {ExitStatus.DONE, ExitStatus.DONE_WITH_FAILURES}
_ENDS, _OTHERS, _STOP = range(3)
"""Order of what waits: the end of the campaign or job is told first."""
_SLACK_SECONDS = 5.0
"""Time in which the thread notices that its command's time is over."""


class Notifier:
    """Thread that runs the notify command for one event after the other.

    Nothing of a job waits for it but the end of rank 0, when all ranks have left: for the command's
    time limit at most. Events that are not told by then are told by the next start.

    Args:
        sender: what runs the command.
        untold: events of earlier jobs that nobody has told of.
    """

    def __init__(self, sender: EventSender, untold: Iterable[UserEvent] = ()) -> None:
        self._sender = sender
        self._work: queue.PriorityQueue[tuple[int, int, _Work | None]] = queue.PriorityQueue()
        self._numbers = count()
        self._thread = threading.Thread(target=self._run, daemon=True)
        for event in untold:
            self._tell(event, _OTHERS)
        self._thread.start()

    def journal(self, folder: Path, ready: PrepareFolder, job: str | None) -> Journal:
        """Return a journal whose events are told.

        Args:
            folder: folder of the journal.
            ready: called with the folder before it is written to.
            job: name of this job in its script; None without one.
        """
        failed = None if job is None else failed_key(job)
        return TellingJournal(folder, ready, failed, self._tell)

    def finish(self, status: int) -> None:
        """Tell that the campaign has ended, if it has; wait for the command, but not for long."""
        self._sender.deadline = time.monotonic() + NOTIFY_SECONDS
        if status in _OVER:
            self._add(_ENDS, self._sender.tell_if_ended)
        self._add(_OTHERS, self._sender.tell_again)
        self._add(_STOP, None)
        self._thread.join(NOTIFY_SECONDS + _SLACK_SECONDS)

    def _tell(self, event: UserEvent, order: int | None = None) -> None:
        if order is None:
            order = _ENDS if event.kind == "failed" else _OTHERS
        self._add(order, lambda: self._sender.tell(event))

    def _add(self, order: int, work: _Work | None) -> None:
        self._work.put((order, next(self._numbers), work))

    def _run(self) -> None:
        while (work := self._work.get()[2]) is not None:
            try:
                problem = work()
            except Exception as error:  # nothing of a job fails for this
                problem = f"the notify command was not run: {type(error).__name__}: {error}"
            if problem:
                say_aside(f"warning: {problem}")
