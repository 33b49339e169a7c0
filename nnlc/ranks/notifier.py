"""Telling of a job's user by the notify command, beside the work of rank 0."""

import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

from nnlc.console import say_aside
from nnlc.errors import ExitStatus
from nnlc.results.journal import Journal
from nnlc.results.notices import Notices, TellingJournal, failed_key
from nnlc.system.files import PrepareFolder
from nnlc.system.notify_command import NOTIFY_SECONDS

_OVER = {ExitStatus.DONE, ExitStatus.DONE_WITH_FAILURES}


class Notifier:
    """Thread that runs the notify command for one event after the other.

    Nothing of a job waits for it but the end of rank 0, when all ranks have left: for the command's
    time limit at most. Events that are not told by then are told by the next start.
    """

    def __init__(self, notices: Notices) -> None:
        self._notices = notices
        self._work: queue.SimpleQueue[Callable[[], str] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._work.put(lambda: "\n".join(notices.tell_rest()))
        self._thread.start()

    def journal(self, folder: Path, ready: PrepareFolder, job: str | None) -> Journal:
        """Return a journal whose events are told.

        Args:
            folder: folder of the journal.
            ready: called with the folder before it is written to.
            job: name of this job in its script; None without one.
        """
        return TellingJournal(
            folder,
            ready,
            None if job is None else failed_key(job),
            lambda event, start: self._work.put(lambda: self._notices.tell_of(event, start)),
        )

    def finish(self, status: int) -> None:
        """Tell that the campaign has ended, if it has; wait for the command, but not for long."""
        self._notices.deadline = time.monotonic() + NOTIFY_SECONDS
        if status in _OVER:
            self._work.put(self._notices.tell_if_ended)
        self._work.put(None)
        self._thread.join(NOTIFY_SECONDS + 5)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                problem = work()
            except Exception as error:  # nothing of a job fails for this
                problem = f"the notify command was not run: {type(error).__name__}: {error}"
            if problem:
                say_aside(f"warning: {problem}")
