"""Live page of a campaign: browsers ask for changes."""

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from nnlc.calibration.machines import machine_for
from nnlc.errors import ResultsError
from nnlc.networks.cost import predict_seconds
from nnlc.reporting.campaign_folder import READING_SHARE, CampaignFolder
from nnlc.reporting.network_state import NetworkState, State
from nnlc.reporting.page import build_page
from nnlc.reporting.payload import changed_payload, snapshot_payload, subject_payload, to_json
from nnlc.reporting.report import check_size
from nnlc.results.folder import ResultsFolder

POLL_SECONDS = 5.0
"""Interval between two readings of the folder; jobs record their progress as often."""
WINDOW_SECONDS = 1800.0
"""Length of the past period that an estimate uses."""
SHORTEST_SECONDS = 10.0
"""Shortest period from which an estimate is made."""


class LiveCampaign:
    """Live page of a results folder, for several browsers; nothing is read while none asks.

    Args:
        path: the results folder.
        clock: function that returns seconds, and never fewer than before.

    Raises:
        ResultsError: the path is no results folder.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._folder = CampaignFolder(ResultsFolder(path), clock)
        self._pace = TimeEstimate(self._folder)
        subject = self._folder.subject()
        check_size(subject, path)
        self._subject = subject_payload(subject)
        self._lock = threading.Lock()
        self._token = secrets.token_hex(8)
        """Token of this process, which begins its versions; versions of others are unknown."""
        self._version = 0
        self._trouble: str | None = None
        start = clock()
        self._snapshot = self._folder.look()
        self._changed_in = [0] * len(self._snapshot.states)
        self._left = self._pace.seconds_left(self._snapshot.states, clock())
        self._plan_next(start)

    def page(self) -> bytes:
        """Return the page as of now."""
        with self._lock:
            self._look()
            payload = self._subject | snapshot_payload(self._snapshot)
            return build_page(payload, live=self._live())

    def changes(self, since: str) -> bytes:
        """Return JSON of all that is new since a version; of everything if it is unknown."""
        with self._lock:
            self._look()
            known = self._read_version(since)
            changed = (
                (i, state)
                for i, state in enumerate(self._snapshot.states)
                if self._changed_in[i] > known
            )
            news = changed_payload(changed, self._snapshot)
            return to_json(news | {"live": self._live()}).encode("ascii")

    def _look(self) -> None:
        """Read what is new, unless that was done less than `POLL_SECONDS` ago."""
        start = self._clock()
        if start < self._next:
            return
        try:
            snapshot = self._folder.look()
        except (ResultsError, OSError) as problem:
            self._trouble = f"can't look at the folder: {problem}"
        else:
            self._trouble = None
            pairs = zip(self._snapshot.states, snapshot.states, strict=True)
            changed = [i for i, (old, new) in enumerate(pairs) if not new.same_as(old)]
            self._version += bool(changed)
            for i in changed:
                self._changed_in[i] = self._version
            self._snapshot = snapshot
            self._left = self._pace.seconds_left(snapshot.states, self._clock())
        self._plan_next(start)

    def _plan_next(self, start: float) -> None:
        now = self._clock()
        self._next = max(start + POLL_SECONDS, now + (now - start) / READING_SHARE) - 0.5

    def _live(self) -> dict[str, Any]:
        return {
            "version": f"{self._token}.{self._version}",
            "seconds": POLL_SECONDS,
            "left": None if self._left is None else round(self._left),
            "trouble": self._trouble,
        }

    def _read_version(self, text: str) -> int:
        token, _, number = text.partition(".")
        if token == self._token and number.isascii() and number.isdecimal():
            return int(number[:18])
        return -1


class TimeEstimate:
    """Estimate of a campaign's remaining time from its recent progress.

    Work is measured in predicted seconds, since networks differ in cost. The estimate assumes that
    all devices are busy until the end.

    Args:
        folder: folder of the campaign.
    """

    def __init__(self, folder: CampaignFolder) -> None:
        self._folder = folder
        self._seen: deque[tuple[float, float]] = deque()

    @cached_property
    def _weights(self) -> list[float]:
        """Return the predicted seconds of each network."""
        jobs, campaign = self._folder.jobs, self._folder.campaign
        known = machine_for(self._folder.results, jobs.device_names, jobs.device or "cuda")
        return [
            predict_seconds(network.spec, network.images, campaign.epochs, known.machine)
            for network in self._folder.networks
        ]

    def seconds_left(self, states: Sequence[NetworkState], now: float) -> float | None:
        """Return the seconds that a campaign still takes; None while unknown.

        Args:
            states: states of all networks.
            now: seconds of a clock that never jumps.
        """
        if not any(one.state == State.UNDER_WAY for one in states):
            self._seen.clear()
            return None
        done = left = 0.0
        for weight, one in zip(self._weights, states, strict=True):
            share = self._share(one)
            done += weight * share
            left += weight * (1 - share) * (one.state != State.FAILED)
        while self._seen and now - self._seen[0][0] > WINDOW_SECONDS:
            self._seen.popleft()
        self._seen.append((now, done))
        then, done_then = self._seen[0]
        if now - then < SHORTEST_SECONDS or done <= done_then:
            return None
        return left * (now - then) / (done - done_then)

    def _share(self, state: NetworkState) -> float:
        """Return the share of a network's training that is done; 1 if it was stopped early."""
        if state.state in (State.DONE, State.DAMAGED):
            return 1.0
        return state.half_epochs / self._folder.campaign.half_epochs
