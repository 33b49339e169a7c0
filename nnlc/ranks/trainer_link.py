"""The agent's connection to one trainer process: starts it, exchanges messages, notices its end."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import IO, cast

from nnlc.ranks.mps import end_client
from nnlc.ranks.notices import NOTICES
from nnlc.ranks.watchdog import Watchdog
from nnlc.system import messages
from nnlc.system.environment import trainer_environment

COMMAND: tuple[str, ...] = (sys.executable, "-m", "nnlc.training", "nnlc.training.trainer")
"""Command that starts a trainer; benchmarks replace it."""
_CHUNK = 1 << 16
_LAST_SECONDS = 10.0
"""Time that a trainer has to end after closing its output; releasing its device may take long."""
LEAVE_SECONDS = 12.0
"""Time that a trainer has to finish its current step when told to leave."""
SAVE_SECONDS = 60.0
"""Time that a trainer has to finish a save that it has begun."""


class TrainerLink:
    """Connection to one trainer process of this agent.

    Args:
        number: the trainer's number among those of this agent.
        local_rank: the agent's rank on its node.
        device: the device that the user asked for: "auto", "cpu" or "cuda".

    Attributes:
        network: index of the network in training, or None.
        ready: True once the trainer has sent "ready".
        leaving: True once the trainer has reported why it ends.
        has_worked: True once the trainer has finished work on a network.
        watchdog: detects that the trainer hangs.
    """

    def __init__(self, number: int, local_rank: int, device: str = "auto") -> None:
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
        # Slurm and LSF signal every process of a job, but only agents decide when trainers end.
        # So trainers inherit these signals blocked.
        kept = signal.pthread_sigmask(signal.SIG_BLOCK, NOTICES)
        self._process = subprocess.Popen(  # noqa: S603  (no user input)
            [*COMMAND, str(local_rank)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # no message stays in a buffer
            env=trainer_environment(os.environ, device),
        )
        signal.pthread_sigmask(signal.SIG_SETMASK, kept)
        os.set_blocking(self.fileno(), False)

    def fileno(self) -> int:
        """Return the descriptor of the trainer's output, for `selectors`."""
        return cast(IO[bytes], self._process.stdout).fileno()

    def send(self, message: messages.Message) -> None:
        """Send a message; do nothing if the trainer has ended, which `receive` reports."""
        pipe = cast(IO[bytes], self._process.stdin)
        with contextlib.suppress(BrokenPipeError):
            pipe.write(messages.encode(message))

    def receive(self) -> list[bytes] | None:
        """Return the received message lines, or None if the trainer has closed its output."""
        try:
            data = os.read(self.fileno(), _CHUNK)
        except BlockingIOError:
            return []
        return self._buffer.feed(data) if data else None

    def kill_if_hung(self) -> None:
        """Kill the trainer if it has been silent for too long or has not left in time."""
        silence = self.watchdog.overlong_silence()
        if self._killed_for is not None:
            return
        if time.monotonic() > self._leave_by:
            self._kill("it did not leave when told to")
        elif silence is not None:
            doing = "no progress: its trainer did no step" if self.ready else "it did not start"
            self._kill(f"{doing} for {silence:.0f} s and was killed")

    def how_it_ended(self) -> str:
        """Wait for the process, whose output is closed, and return in words how it ended."""
        self.wait(_LAST_SECONDS)
        if self._killed_for is not None:
            return self._killed_for
        status = self._process.returncode
        if status is None:
            return "its trainer closed its output and can't be ended"
        return messages.end_in_words(status)

    def leave(self) -> None:
        """Have the trainer save its network, if it has one, and end."""
        patience = SAVE_SECONDS if self._saving else LEAVE_SECONDS
        self._leave_by = time.monotonic() + patience
        if self.network is not None:
            self.send({"kind": "save"})
        else:
            self.end()

    def save_begins(self) -> None:
        """Note that the trainer has begun to save a checkpoint."""
        self.watchdog.save_begins()
        self._saving = True
        if self._leave_by < float("inf"):
            self._leave_by = max(self._leave_by, time.monotonic() + SAVE_SECONDS)

    def save_ended(self) -> None:
        """Note that the trainer has finished saving, successfully or not."""
        self.watchdog.save_ended()
        self._saving = False

    def end(self) -> None:
        """Have the trainer end: an idle one by closing its input, a busy one by killing it."""
        with contextlib.suppress(BrokenPipeError):
            cast(IO[bytes], self._process.stdin).close()
        if self.network is not None or not self.ready:
            self._kill("it was no longer needed")

    def wait(self, patience_seconds: float) -> None:
        """Wait until the trainer has ended; kill it after `patience_seconds`.

        A process that survives the kill, perhaps inside a device driver, is left to the system.
        """
        process = self._process
        try:
            process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            end_client(process.pid)
            process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_LAST_SECONDS)
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                cast(IO[bytes], pipe).close()

    def _kill(self, reason: str) -> None:
        self._killed_for = reason
        end_client(self._process.pid)
        self._process.kill()
