"""Code of other packages: finds entry points, and runs code so that it ends no program."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from types import FrameType
from typing import Any, cast

from nnlc.console import printing_aside
from nnlc.errors import NnlcError
from nnlc.wording import exception_words, one_line


class ForeignCodeError(Exception):
    """Any exception that code of another package raised, as text.

    Attributes:
        raised: the exception.
    """

    def __init__(self, raised: BaseException) -> None:
        self.raised = raised
        super().__init__(exception_words(raised))


@contextmanager
def running_foreign_code() -> Iterator[None]:
    """Run code: redirect its output to stderr, and convert its exceptions except Ctrl-C.

    Raises:
        ForeignCodeError: the code raised an exception.
    """
    pressed: list[int] = []
    handler = signal.getsignal(signal.SIGINT)

    def record_press(number: int, frame: FrameType | None) -> None:
        pressed.append(number)
        cast(Any, handler)(number, frame)

    is_handled = callable(handler) and threading.current_thread() is threading.main_thread()
    if is_handled:
        signal.signal(signal.SIGINT, record_press)
    try:
        with printing_aside():
            yield
    except BaseException as problem:
        if pressed and isinstance(problem, KeyboardInterrupt):
            raise
        raise ForeignCodeError(problem) from None
    finally:
        if is_handled:
            signal.signal(signal.SIGINT, handler)


def installed_entry_points(group: str) -> list[EntryPoint]:
    """Return the entry points of a group, of all installed packages.

    Raises:
        NnlcError: the metadata of a package can't be read.
    """
    try:
        return list(entry_points(group=group))
    except Exception as problem:  # damaged metadata of a package may raise anything
        raise NnlcError(
            "the entry points of an installed Python package can't be read: "
            f"{exception_words(problem)}; 'pip check' may tell which package; install it again"
        ) from None


def package_of(entry: EntryPoint) -> str:
    """Return the package of an entry point, and what it names there."""
    package = entry.dist.name if entry.dist else "an unknown package"
    return f"{one_line(package)} ({one_line(entry.value)})"
