"""Verdicts of the check of a family, as a process of its own sends them to the command.

A family's code may do anything, even end its process. So that process says beforehand what it is
about to do, and the command can name the network at which it ended.
"""

import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from nnlc.errors import NnlcError
from nnlc.system.process import end_with_parent
from nnlc.wording import counted, exception_words, one_line

Send = Callable[[dict[str, Any]], None]

_MOST = 3
"""Wrong networks that are shown for each part of the check; the others are counted."""
_FRAMES = 3
"""Lines of a traceback that are shown."""
_ABOUT = re.compile(
    r"(family \S+?(, network \S+( \([^)]*\))?|, number \S+ of .*? for \S+)?: )?(network \S+: )?"
)
"""Beginning of messages that name family and network, as verdicts do by themselves."""


class Part:
    """A part of the check, which ends in one line, or in lines on what is wrong.

    Attributes:
        text: what its line says if nothing is wrong.
        wrong: number of faults.
    """

    def __init__(self, name: str, file: str, send: Send) -> None:
        self._name, self._file, self._send = name, file, send
        self.text, self.wrong = "", 0

    def begin(self, about: object = "") -> None:
        """Say what comes next, in case it ends the process."""
        self._send({"kind": "begin", "part": self._name, "about": str(about)})

    @contextmanager
    def judging(self, about: object) -> Iterator[None]:
        """Refuse what this context is about if it raises anything, but for Ctrl-C."""
        self.begin(about)
        try:
            yield
        except NnlcError as problem:
            self.refuse(about, str(problem), problem)
        except (Exception, SystemExit) as problem:  # whatever the family's code raises
            self.refuse(about, f"raised {exception_words(problem)}", problem)

    def refuse(self, about: object, text: str, problem: BaseException | None = None) -> None:
        """Say what is wrong with a network, and show the end of the author's traceback."""
        self.wrong += 1
        if self.wrong > _MOST:
            return
        where = f"{about}: " if str(about) else ""
        self._line("wrong", where + _ABOUT.sub("", text, count=1))
        for line in short_traceback(problem, self._file) if problem else ():
            self._send({"kind": "verdict", "text": f"       {line}", "is_wrong": False})

    def note(self, text: str) -> None:
        """Make a remark; it refuses nothing."""
        self._line("note", text)

    def end(self) -> None:
        """Say that nothing was wrong, or how much more was."""
        if not self.wrong:
            self._line("ok", self.text)
        elif self.wrong > _MOST:
            self._line("wrong", f"and {counted(self.wrong - _MOST, 'more fault')}")

    def _line(self, verdict: str, text: str) -> None:
        line = f"{verdict:<6} {self._name:<9} {text}"
        self._send({"kind": "verdict", "text": line, "is_wrong": verdict == "wrong"})


class Verdicts:
    """Parts of the check of a family.

    Args:
        send: sends a message to the command.
        file: file of the module that defines the family, if it is known.

    Attributes:
        wrong: number of faults in all parts so far.
    """

    def __init__(self, send: Send, file: str = "") -> None:
        self._send, self.file, self.wrong = send, file, 0

    @contextmanager
    def part(self, name: str) -> Iterator[Part]:
        """Check a part, whose verdict is sent at its end."""
        part = Part(name, self.file, self._send)
        part.begin()
        yield part
        part.end()
        self.wrong += part.wrong


def short_traceback(problem: BaseException, file: str) -> list[str]:
    """Return the last lines of a traceback that are in the family's module.

    Args:
        problem: an exception; of several that caused each other, the first is shown.
        file: file of the family's module.
    """
    while (cause := problem.__cause__ or problem.__context__) is not None:
        problem = cause
    frames = traceback.extract_tb(problem.__traceback__)
    return [
        one_line(f"{frame.filename}, line {frame.lineno}, in {frame.name}: {frame.line}")
        for frame in [frame for frame in frames if frame.filename == file][-_FRAMES:]
    ]


@contextmanager
def answering() -> Iterator[tuple[dict[str, Any], Send]]:
    """Give the request on standard input, and a function that sends messages.

    What the family's code prints goes to standard error.
    """
    end_with_parent()
    request = json.loads(sys.stdin.buffer.read())
    with os.fdopen(os.dup(1), "wb", buffering=0) as pipe:
        os.dup2(2, 1)

        def send(message: dict[str, Any]) -> None:
            pipe.write(json.dumps(message).encode() + b"\n")

        yield request, send
