"""How long tests wait. A limit guards against hanging only: no test may depend on speed.

Every other file takes its limits, its pauses and its clocks from here; `test_suite.py` sees to it.
"""

import os
import select
import subprocess
import time
from collections.abc import Callable
from typing import Any, TypeVar

Found = TypeVar("Found")

LONGEST_QUIET_SECONDS = 30.0
"""Longer than anything that a test waits for takes on a quiet machine, but for what says so."""

TIMES = 20
"""How many times that a limit is: beside other work everything takes longer."""

HANG_SECONDS = TIMES * LONGEST_QUIET_SECONDS


class Limit:
    """A limit that begins when this is made."""

    def __init__(self, seconds: float = HANG_SECONDS) -> None:
        self._end = time.monotonic() + seconds

    @property
    def over(self) -> bool:
        return time.monotonic() > self._end

    @property
    def left(self) -> float:
        return max(0.0, self._end - time.monotonic())


def patience(quiet_seconds: float) -> float:
    """Return the limit of what takes up to so many seconds on a quiet machine."""
    return max(HANG_SECONDS, TIMES * quiet_seconds)


def wait_until(
    look: Callable[[], Found],
    complaint: Callable[[], object] = lambda: "what a test waits for does not come",
    *,
    seconds: float = HANG_SECONDS,
    pause: float = 0.05,
    process: subprocess.Popen[Any] | None = None,
) -> Found:
    """Return what `look` finds once that is true; fail with the complaint at the limit.

    If a process is given that is to bring it about, fail as soon as that has ended.
    """
    limit = Limit(seconds)
    while not (found := look()):
        assert not limit.over, complaint()
        if process is not None and process.poll() is not None and not look():
            raise AssertionError(f"{complaint()}; status {process.returncode}: {_said(process)}")
        time.sleep(pause)
    return found


def same_length(one: float, other: float) -> bool:
    """Return True if two clocks agree on a job's seconds: within 5, or more beside other work."""
    return abs(one - other) <= 5 * max(1.0, os.getloadavg()[1] / (os.cpu_count() or 1))


def _said(process: subprocess.Popen[Any]) -> str:
    """What an ended process has printed into its pipe, which its children may hold open."""
    pipe = process.stdout
    if pipe is None or pipe.closed or not select.select([pipe], [], [], 0)[0]:
        return ""
    return os.read(pipe.fileno(), 1 << 16).decode(errors="replace")


def let_pass(seconds: float) -> None:
    """Sleep: for something that must not happen meanwhile, never for something that must."""
    time.sleep(seconds)
