"""Progress of a running job for a person: a live display in a terminal, plain lines in a log."""

import contextlib
import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TextIO

from nnlc.campaign.campaign import CampaignNetwork
from nnlc.console import harmless, stop_printing
from nnlc.tables import Row
from nnlc.wording import counted

if TYPE_CHECKING:
    from nnlc.ranks.live_display import LiveDisplay

LOG_SECONDS = 15.0
"""Time after which a log gets a line on the progress if it got no other line."""
DISPLAY_SECONDS = 0.25
"""Time between two updates of the live display."""
MAX_SECONDS = 1e10
"""Longest time left that is shown, about 300 years: predictions have no limit."""
# A closed pipe or terminal (rich raises SystemExit), or a character that the encoding lacks.
_CONSOLE_ERRORS = (OSError, ValueError, SystemExit)
_SHOWN_IN_LOG = 3
MAX_SHOWN = 12
"""Running networks in the live display."""


class Progress:
    """Progress of a job, shown in a log or a live display.

    Args:
        name: name of the job's work, such as "campaign smoke".
        half_epochs: number of half epochs of each network.
        log: stream for plain lines.
        kept: half epochs that are not expected to be trained again, by network index.
        live: True to show a live display on standard output, a terminal, instead.
    """

    def __init__(
        self,
        name: str,
        half_epochs: int,
        log: TextIO,
        kept: Mapping[int, int] | None = None,
        *,
        live: bool = False,
    ) -> None:
        self._name, self._half_epochs, self._kept = name, half_epochs, kept or {}
        self._log, self._is_lost = log, False
        self._live: LiveDisplay | None = None
        if live:
            from nnlc.ranks import live_display  # a log doesn't need it

            self._live = live_display.LiveDisplay(half_epochs)
        self._running: dict[int, tuple[CampaignNetwork, int, Row]] = {}
        self._expected: Mapping[int, float] = {}
        self._finished: set[int] = set()
        self._given_up: set[int] = set()
        self._resumed_shares: dict[int, float] = {}  # trained by earlier jobs, by network index
        self._lost_shares: defaultdict[int, float] = defaultdict(float)  # by failed attempts
        self._done, self._failed, self._total = 0, 0, 0
        self._start = self._shown = time.monotonic()

    def begin(self, waiting: Mapping[int, float], done: int, trainers: int) -> None:
        """Begin to show the progress.

        Args:
            waiting: expected seconds of each queued network; changes as the job learns.
            done: number of networks that earlier jobs finished.
            trainers: number of trainers.
        """
        self._expected, self._done, self._total = waiting, done, done + len(waiting)
        self._start = self._shown = time.monotonic()
        self.message(
            f"{self._name}: {counted(self._total, 'network')}, {done} done before, "
            f"{counted(trainers, 'trainer')}"
        )
        if self._live:
            try:
                self._live.start()
            except _CONSOLE_ERRORS:
                self._drop_console()
            self._refresh()

    def resumed(self, network: CampaignNetwork, rows: list[Row]) -> None:
        """Note that a network continues from a checkpoint: its rows are not this job's work."""
        share = self._share(network.index, len(rows))
        if network.index in self._lost_shares:  # a checkpoint of the failed attempt
            self._lost_shares[network.index] -= share
        self._resumed_shares.setdefault(network.index, share)
        if rows:
            self.row(network, len(rows), rows[-1])

    def row(self, network: CampaignNetwork, half_epoch: int, row: Row) -> None:
        """Note that a network has finished a half epoch."""
        self._running[network.index] = (network, half_epoch, row)
        self._resumed_shares.setdefault(network.index, 0.0)  # if it resumes, from this job's work

    def finished(
        self,
        network: CampaignNetwork,
        rows: list[Row],
        seconds: float,
        stop: Mapping[str, Any] | None = None,
    ) -> None:
        """Note that a table is written; `stop`: last decision of the stop rule, if there is one."""
        self._running.pop(network.index, None)
        self._done += 1
        self._finished.add(network.index)
        last = rows[-1].val_accuracy_percent
        best = max(row.val_accuracy_percent or 0.0 for row in rows)
        self.message(
            f"{self._done}/{self._total} {network.images.name} {network.spec.id} in {seconds:.1f} s"
            f": accuracy {last:.1f} %, best {best:.1f} %{_stop_words(stop)}"
        )

    def failed(self, network: CampaignNetwork, reason: str, *, final: bool) -> None:
        """Note that an attempt at a network failed."""
        if running := self._running.pop(network.index, None):
            self._lost_shares[network.index] += self._share(network.index, running[1])
        self._failed += final
        if final:
            self._given_up.add(network.index)
        what = "failed for good" if final else "will be tried again"
        self.message(f"{network.images.name} {network.spec.id} {what}: {reason}")

    def message(self, text: str) -> None:
        """Print a line above the live display or in the log."""
        if not self._live:
            self._shown = time.monotonic()
        if self._is_lost:
            return
        clock, text = time.strftime("%H:%M:%S "), harmless(text)
        try:
            if self._live:
                self._live.message(clock, text)
            else:
                self._log.write(f"{clock}{text}\n")
                self._log.flush()
        except _CONSOLE_ERRORS:
            self._drop_console()

    def tick(self) -> None:
        """Refresh the live display, or print a line on the progress, if that is due."""
        wait = DISPLAY_SECONDS if self._live else LOG_SECONDS
        if time.monotonic() - self._shown < wait:
            return
        if self._live:
            self._refresh()
        else:
            self.message(self._log_line())

    def end(self) -> None:
        """Close the live display."""
        if self._live:
            with contextlib.suppress(*_CONSOLE_ERRORS):
                self._live.end()
            self._live = None

    def _refresh(self) -> None:
        """Show the present state in the live display, if there is one."""
        self._shown = time.monotonic()
        if self._live:
            try:
                self._live.show(self._counts(), list(self._running.values())[:MAX_SHOWN])
            except _CONSOLE_ERRORS:
                self._drop_console()

    def _drop_console(self) -> None:
        """Print nothing more: a lost terminal or log must not end the job."""
        self._live, self._is_lost = None, True
        stop_printing(errors=False)

    def _seconds_left(self) -> float | None:
        """Estimate from this job's share of the expected work; return None before any is done."""
        expected = self._expected
        done = sum(expected[index] for index in self._finished) + sum(
            expected[index] * self._share(index, half_epoch)
            for index, (_, half_epoch, _) in self._running.items()
        )
        here = done - sum(expected[index] * share for index, share in self._resumed_shares.items())
        here += sum(expected[index] * share for index, share in self._lost_shares.items())
        if here <= 0:
            return None
        elapsed = time.monotonic() - self._start
        to_train = sum(value for index, value in expected.items() if index not in self._given_up)
        return elapsed * (to_train - done) / here

    def _share(self, index: int, half_epoch: int) -> float:
        """Return the share of a network's expected seconds that has passed at a half epoch."""
        kept = self._kept.get(index, 0)
        return max(0, half_epoch - kept) / (self._half_epochs - kept)

    def _counts(self) -> str:
        seconds, left = self._seconds_left(), ""
        if seconds is not None:
            left = f", about {timedelta(seconds=round(min(seconds, MAX_SECONDS)))} left"
        failed = f", {self._failed} failed" if self._failed else ""
        return f"{self._done} of {counted(self._total, 'network')} done{failed}{left}"

    def _log_line(self) -> str:
        running = sorted(self._running.values(), key=lambda entry: entry[1])
        if not running:  # as networks in their first half epoch are not known here
            return self._counts()
        shown = "; ".join(
            f"{network.spec.id} epoch {half_epoch / 2} accuracy {row.val_accuracy_percent:.1f} %"
            for network, half_epoch, row in running[:_SHOWN_IN_LOG]
        )
        more = len(running) - _SHOWN_IN_LOG
        return f"{self._counts()}; under way: {shown}" + (f"; and {more} more" if more > 0 else "")


def _stop_words(stop: Mapping[str, Any] | None) -> str:
    if stop is None or not stop["stopped"]:
        return ""
    return (
        f"; stopped at epoch {stop['epoch']:g}, predicted {stop['predicted']:.1f} % at epoch "
        f"{stop['target']:g}"
    )
