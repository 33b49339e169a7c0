"""An agent's end of one trainer process: starting it, talking to it, and noticing its end."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import IO, cast

from nnlc.ranks.notices import NOTICES
from nnlc.ranks.watchdog import Watchdog
from nnlc.system import messages
from nnlc.system.environment import trainer_environment

COMMAND: tuple[str, ...] = (sys.executable, "-m", "nnlc.training.trainer")
"""What a trainer is; a benchmark sets another one here."""
_CHUNK = 1 << 16
_LAST_SECONDS = 10.0
"""For a trainer whose output has ended to end itself; its device may need a moment."""
LEAVE_SECONDS = 12.0
"""For a trainer that was told to leave to reach the end of a step."""
SAVE_SECONDS = 60.0
"""For one that has begun to save."""


class TrainerLink:
    """One trainer process of this agent.

    Attributes:
        network: index of the network that it trains, or None.
        ready: it has said that it is there.
        leaving: it said why it ends, so that its end is no news.
        done: it has worked on a network.
        watchdog: told of every sign of life.
    """

    def __init__(self, number: int, local_rank: int) -> None:
        self.number = number
        self.network: int | None = None
        self.ready = False
        self.leaving = False
        self.has_worked = False
        self.watchdog = Watchdog()
        self._killed_for: str | None = None
        self._leave_by = float("inf")
        self._saving = False
        self._buffer = messages.LineBuffer()
        # A trainer hears no notice: Slurm and LSF signal every process of a job, and it is for the
        # agents to decide what ends when. Blocked signals stay blocked in the child.
        kept = signal.pthread_sigmask(signal.SIG_BLOCK, NOTICES)
        self._process = subprocess.Popen(  # noqa: S603  (nothing of a user's in it)
            [*COMMAND, str(local_rank)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # a message that could not be sent is not kept
            env=trainer_environment(os.environ),
        )
        signal.pthread_sigmask(signal.SIG_SETMASK, kept)
        os.set_blocking(self.fileno(), False)

    def fileno(self) -> int:
        """For `selectors`: readable when a message or the trainer's end has come."""
        return cast(IO[bytes], self._process.stdout).fileno()

    def send(self, message: messages.Message) -> None:
        """Send a message; a trainer that is gone is noticed by `receive`."""
        pipe = cast(IO[bytes], self._process.stdin)
        with contextlib.suppress(BrokenPipeError):
            pipe.write(messages.encode(message))

    def receive(self) -> list[bytes] | None:
        """The lines of messages that have come, or None when the trainer has ended."""
        try:
            data = os.read(self.fileno(), _CHUNK)
        except BlockingIOError:
            return []
        return self._buffer.feed(data) if data else None

    def kill_if_hung(self) -> None:
        """End a trainer that has been silent for too long, or does not leave when told to."""
        silence = self.watchdog.overlong_silence()
        if self._killed_for is not None:
            return
        if time.monotonic() > self._leave_by:
            self._kill("it did not leave when told to")
        elif silence is not None:
            doing = "no progress: its trainer did no step" if self.ready else "it did not start"
            self._kill(f"{doing} for {silence:.0f} s and was killed")

    def how_it_ended(self) -> str:
        """In words; waits a little for the process, whose output has ended."""
        self.wait(_LAST_SECONDS)
        if self._killed_for is not None:
            return self._killed_for
        status = self._process.returncode
        if status is None:
            return "its trainer closed its output and can't be ended"
        return messages.end_in_words(status)

    def leave(self) -> None:
        """Have the trainer save and end; one without a network just ends."""
        patience = SAVE_SECONDS if self._saving else LEAVE_SECONDS
        self._leave_by = time.monotonic() + patience
        if self.network is not None:
            self.send({"kind": "save"})
        else:
            self.end()

    def save_begins(self) -> None:
        """It has begun to save a checkpoint."""
        self.watchdog.save_begins()
        self._saving = True
        if self._leave_by < float("inf"):
            self._leave_by = max(self._leave_by, time.monotonic() + SAVE_SECONDS)

    def save_ended(self) -> None:
        """It has ended that, well or not."""
        self.watchdog.save_ended()
        self._saving = False

    def end(self) -> None:
        """Have the trainer end: by the end of its input where it waits for some, else by force."""
        with contextlib.suppress(BrokenPipeError):
            cast(IO[bytes], self._process.stdin).close()
        if self.network is not None or not self.ready:
            self._kill("it was no longer needed")

    def wait(self, patience_seconds: float) -> None:
        """Wait until it has ended; one that does not listen is killed.

        One that even then does not end, as in a device's driver, is left to the system.
        """
        process = self._process
        try:
            process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_LAST_SECONDS)
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                cast(IO[bytes], pipe).close()

    def _kill(self, reason: str) -> None:
        self._killed_for = reason
        self._process.kill()
