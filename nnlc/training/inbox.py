"""The pipe on which a trainer receives its agent's messages."""

import os
import select
from collections import deque
from collections.abc import Iterator

from nnlc.system import messages

_CHUNK = 1 << 16


class Inbox:
    """Messages from a pipe: an idle trainer waits for them, a busy trainer polls between steps.

    Args:
        handle: the pipe's file descriptor.
    """

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._buffer = messages.LineBuffer()
        self._messages: deque[messages.Message] = deque()
        self._poller = select.poll()
        self._poller.register(handle, select.POLLIN)
        self.ended = False
        """True if the agent has closed the pipe or has ended."""

    def __iter__(self) -> Iterator[messages.Message]:
        """Yield every message, in order, until the pipe ends; sleep while there is none."""
        while True:
            while self._messages:
                yield self._messages.popleft()
            if self.ended:
                return
            self._read()

    def poll(self) -> messages.Message | None:
        """Return the next message, or None at once if none has come (about 1 µs)."""
        if not self._messages and not self.ended and self._poller.poll(0):
            self._read()
        return self._messages.popleft() if self._messages else None

    def _read(self) -> None:
        data = os.read(self._handle, _CHUNK)
        self.ended = not data
        self._messages.extend(messages.decode_all(self._buffer.feed(data)))
