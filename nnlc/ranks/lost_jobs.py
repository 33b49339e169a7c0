"""Reporting of earlier jobs on the same results folder that were killed or crashed."""

from contextlib import suppress

from nnlc.ranks.job import Job
from nnlc.results.history import read_history
from nnlc.results.journal import SILENT_SECONDS
from nnlc.results.open_jobs import OpenJob
from nnlc.system.process import process_lives, this_process

LOOK_SECONDS = 10.0
"""Time between two checks of jobs that may still run."""


class LostJobs:
    """Earlier jobs whose journal had no end when this job began.

    A job is lost if its process was on this machine and has ended. A job of another machine is
    lost if its journal has not changed for `SILENT_SECONDS`, by this process's clock, since clocks
    of machines differ.
    """

    def __init__(self, job: Job) -> None:
        self._job, self._me = job, this_process()
        self._last_look = float("-inf")
        now = job.clock()
        self._watched = {each.name: (each, self._signs(each.name), now) for each in job.open_jobs}

    def report(self) -> None:
        """Check these jobs if a check is due; report each lost job once, also in the journal."""
        now = self._job.clock()
        if not self._watched or now - self._last_look < LOOK_SECONDS:
            return
        self._last_look = now
        silent = [each for each, _, _ in list(self._watched.values()) if self._is_silent(each)]
        if not silent:
            return
        folder = self._job.results.journal_folder
        still_open = {each.name: each for each in read_history(folder).open_jobs}
        for each in silent:
            del self._watched[each.name]
            if each.name in still_open:
                missing = (network.spec.id for network in self._job.work.networks)
                self._job.progress.message(still_open[each.name].how_it_ended(missing))
                self._job.journal.write("lost", ids=[each.name], reason=each.words)

    def _is_silent(self, job: OpenJob) -> bool:
        _, before, since = self._watched[job.name]
        signs, lives = self._signs(job.name), process_lives(job.process, self._me)
        if lives or signs != before:
            self._watched[job.name] = job, signs, self._job.clock()
            return False
        return lives is False or self._job.clock() - since >= SILENT_SECONDS

    def _signs(self, name: str) -> list[tuple[int, int]]:
        """Return sizes and times of a job's files, which change while the job runs."""
        found = []
        for kind in ("jsonl", "progress.json"):
            with suppress(OSError):
                about = (self._job.results.journal_folder / f"{name}.{kind}").stat()
                found.append((about.st_size, about.st_mtime_ns))
        return found
