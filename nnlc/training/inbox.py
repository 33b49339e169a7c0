"""A trainer's end of the pipe from its agent: waited for when idle, looked into between steps."""

import os
import select
from collections import deque
from collections.abc import Iterator

from nnlc.system import messages

_CHUNK = 1 << 16


class Inbox:
    """Messages that come over a pipe.

    Args:
        handle: its file descriptor.
    """

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._buffer = messages.LineBuffer()
        self._messages: deque[messages.Message] = deque()
        self._poll = select.poll()
        self._poll.register(handle, select.POLLIN)
        self.ended = False
        """The agent has closed the pipe, or is gone."""

    def __iter__(self) -> Iterator[messages.Message]:
        """Every message, in order, until the pipe ends; sleeps in between."""
        while True:
            while self._messages:
                yield self._messages.popleft()
            if self.ended:
                return
            self._read()

    def look(self) -> messages.Message | None:
        """The next message if one has come. About a microsecond if none has."""
        if not self._messages and not self.ended and self._poll.poll(0):
            self._read()
        return self._messages.popleft() if self._messages else None

    def _read(self) -> None:
        data = os.read(self._handle, _CHUNK)
        self.ended = not data
        self._messages.extend(messages.decode_all(self._buffer.feed(data)))
