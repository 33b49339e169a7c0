"""What a person sees of a running job: a live display in a terminal, plain lines in a log."""

import contextlib
import time
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
"""A log gets a line at least so often while the work goes on."""
DISPLAY_SECONDS = 0.25
MAX_SECONDS = 1e10
"""Three centuries: more can be predicted for a network that no memory holds."""
# A pipe or terminal that is gone, on which rich leaves; a path that its encoding can't say.
_CONSOLE_ERRORS = (OSError, ValueError, SystemExit)
MAX_SHOWN = 12
"""Networks under way in the live display."""


class Progress:
    """Follows a job and shows it.

    Args:
        name: of the work.
        half_epochs: of each network.
        log: where plain lines go.
        live: show a live display on standard output instead, which is a terminal.
    """

    def __init__(self, name: str, half_epochs: int, log: TextIO, *, live: bool = False) -> None:
        self._name, self._half_epochs = name, half_epochs
        self._log, self._is_lost = log, False
        self._live = _live_display(half_epochs) if live else None
        self._under_way: dict[int, tuple[CampaignNetwork, int, Row]] = {}
        self._expected: Mapping[int, float] = {}
        self._finished: set[int] = set()
        self._resumed_shares: dict[int, float] = {}  # shares of networks, by index
        self._done, self._failed, self._total = 0, 0, 0
        self._start = self._shown = time.monotonic()

    def begin(self, waiting: Mapping[int, float], done: int, trainers: int) -> None:
        """The work begins: expected seconds of each network that waits, now and whenever asked."""
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

    def resumed(self, network: CampaignNetwork, rows: list[Row]) -> None:
        """A network goes on from a checkpoint: what it had is no work of this job."""
        self._resumed_shares.setdefault(network.index, len(rows) / self._half_epochs)
        if rows:
            self.row(network, len(rows), rows[-1])

    def row(self, network: CampaignNetwork, half_epoch: int, row: Row) -> None:
        """A half epoch of a network is over."""
        self._under_way[network.index] = (network, half_epoch, row)
        self._resumed_shares.setdefault(network.index, 0.0)  # what it resumes later is of this job

    def finished(
        self,
        network: CampaignNetwork,
        rows: list[Row],
        seconds: float,
        stop: Mapping[str, Any] | None = None,
    ) -> None:
        """A table stands; `stop`: what the stop rule said last, where the campaign has one."""
        self._under_way.pop(network.index, None)
        self._done += 1
        self._finished.add(network.index)
        last = rows[-1].val_accuracy_percent
        best = max(row.val_accuracy_percent or 0.0 for row in rows)
        self.message(
            f"{self._done}/{self._total} {network.images.name} {network.spec.id} in {seconds:.1f} s"
            f": accuracy {last:.1f} %, best {best:.1f} %{_stop_words(stop)}"
        )

    def failed(self, network: CampaignNetwork, reason: str, *, final: bool) -> None:
        """An attempt at a network ended badly."""
        self._under_way.pop(network.index, None)
        self._failed += final
        what = "failed for good" if final else "will be tried again"
        self.message(f"{network.images.name} {network.spec.id} {what}: {reason}")

    def message(self, text: str) -> None:
        """One line, above the live display or in the log."""
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
        """Refresh what needs it."""
        wait = DISPLAY_SECONDS if self._live else LOG_SECONDS
        if time.monotonic() - self._shown < wait:
            return
        self._shown = time.monotonic()
        if self._live:
            try:
                self._live.show(self._counts(), list(self._under_way.values())[:MAX_SHOWN])
            except _CONSOLE_ERRORS:
                self._drop_console()
        else:
            self.message(self._log_line())

    def end(self) -> None:
        """Nothing more comes: give the terminal back."""
        if self._live:
            with contextlib.suppress(*_CONSOLE_ERRORS):
                self._live.end()
            self._live = None

    def _drop_console(self) -> None:
        """Go on without: tables matter more than a log or a terminal."""
        self._live, self._is_lost = None, True
        stop_printing(errors=False)

    def _seconds_left(self) -> float | None:
        """From the share of the expected work that is done; None until some is."""
        expected = self._expected
        done = sum(expected[index] for index in self._finished) + sum(
            expected[index] * half_epoch / self._half_epochs
            for index, (_, half_epoch, _) in self._under_way.items()
        )
        here = done - sum(expected[index] * share for index, share in self._resumed_shares.items())
        if here <= 0:
            return None
        elapsed = time.monotonic() - self._start
        return elapsed * (sum(expected.values()) - done) / here

    def _time_left(self) -> str:
        seconds = self._seconds_left()
        if seconds is None:
            return ""
        return f", about {timedelta(seconds=round(min(seconds, MAX_SECONDS)))} left"

    def _counts(self) -> str:
        failed = f", {self._failed} failed" if self._failed else ""
        return f"{self._done} of {counted(self._total, 'network')} done{failed}{self._time_left()}"

    def _log_line(self) -> str:
        longest = sorted(self._under_way.values(), key=lambda entry: entry[1])[:3]
        shown = "; ".join(
            f"{network.spec.id} epoch {half_epoch / 2} accuracy {row.val_accuracy_percent:.1f} %"
            for network, half_epoch, row in longest
        )
        return f"{self._counts()}; {len(self._under_way)} under way" + (
            f": {shown}" if shown else ""
        )


def _live_display(half_epochs: int) -> "LiveDisplay":
    from nnlc.ranks.live_display import LiveDisplay  # a log needs nothing of it

    return LiveDisplay(half_epochs)


def _stop_words(stop: Mapping[str, Any] | None) -> str:
    if stop is None or not stop["stopped"]:
        return ""
    return (
        f"; stopped at epoch {stop['epoch']:g}, predicted {stop['predicted']:.1f} % at epoch "
        f"{stop['target']:g}"
    )
