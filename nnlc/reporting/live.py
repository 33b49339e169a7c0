"""Live page of a campaign: browsers ask for changes."""

import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nnlc.errors import FamilyError, ResultsError
from nnlc.reporting.campaign_folder import READING_SHARE, CampaignFolder
from nnlc.reporting.network_state import LEFT
from nnlc.reporting.page import build_page
from nnlc.reporting.payload import changed_payload, snapshot_payload, subject_payload, to_json
from nnlc.reporting.report import check_size
from nnlc.results.folder import ResultsFolder

POLL_SECONDS = 5.0
"""Interval between two readings of the folder; jobs record their progress as often."""


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
        try:
            self._folder = CampaignFolder(ResultsFolder(path), clock)
        except FamilyError as problem:
            raise FamilyError(f"{problem}; 'nnlc report' shows the tables as they are") from None
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
        self._plan_next(start)

    def _plan_next(self, start: float) -> None:
        now = self._clock()
        self._next = max(start + POLL_SECONDS, now + (now - start) / READING_SHARE) - 0.5

    def _live(self) -> dict[str, Any]:
        return {
            "version": f"{self._token}.{self._version}",
            "seconds": POLL_SECONDS,
            "over": not any(one.state in LEFT for one in self._snapshot.states),
            "trouble": self._trouble,
        }

    def _read_version(self, text: str) -> int:
        token, _, number = text.partition(".")
        if token == self._token and number.isascii() and number.isdecimal():
            return int(number[:18])
        return -1
