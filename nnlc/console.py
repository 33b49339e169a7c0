"""All that is printed, by the command and by the worker: the one way from text to a terminal."""

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from functools import cache
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console


STANDARD_ERROR = 2
"""Its descriptor, for what must be said while another line may be half printed."""


_COMMANDS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that a terminal obeys in place of showing them, from whatever file they come."""


def prepare_output() -> None:
    """Have what a terminal or a log can't show printed as question marks.

    Called first by every process that prints, so that it holds for what libraries print too: no
    letter of a path or a name ever ends the work.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None where it was closed by who started this
            stream.reconfigure(errors="replace")


def harmless(text: str) -> str:
    """Return a text in which nothing commands the terminal that it is printed on."""
    return _COMMANDS.sub("?", text)


def say(text: str) -> None:
    """Print a line of what was asked for, on standard output."""
    _print(harmless(text), sys.stdout, "\n")


def say_whole(text: str) -> None:
    """Print what is meant for a file or a program, and tell if that lost any letter."""
    _print(text, sys.stdout, "")
    encoding = "utf-8" if sys.stdout is None else sys.stdout.encoding or "utf-8"
    if text.encode(encoding, "replace").decode(encoding) != text:
        say_aside(
            f"note: question marks stand for letters that {encoding} lacks; with "
            "PYTHONIOENCODING=utf-8 all are printed"
        )


def say_aside(text: str) -> None:
    """Print a line about the work, such as a warning or an error, on standard error, at once.

    One that can't be written, as on a full disk, is lost, and those after it: no status changes.
    """
    try:
        _print(harmless(text), sys.stderr, "\n")
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:
        _silence(sys.stderr)


@cache
def say_once(text: str) -> None:
    """Print a line on standard error, unless this process has done so already."""
    say_aside(text)


def standard_output() -> TextIO:
    """Return standard output, for what writes more than lines; nowhere, if that was closed."""
    return io.StringIO() if sys.stdout is None else sys.stdout


@contextmanager
def printing_aside() -> Iterator[None]:
    """Have what others print meanwhile go to standard error: it is none of what was asked for."""
    with redirect_stdout(sys.stderr):
        yield


def flush_output() -> None:
    """Have all that was printed reach its reader.

    Raises:
        OSError: it can't, such as BrokenPipeError where the reader has gone.
    """
    standard_output().flush()


def stop_printing(*, errors: bool = True) -> None:
    """Print nothing more, not even complaints at the end, for a reader that has gone.

    Args:
        errors: on standard error either.
    """
    _silence(sys.stdout, *([sys.stderr] if errors else []))


def _silence(*streams: TextIO | None) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        with suppress(AttributeError, OSError, ValueError):  # closed, or no file
            os.dup2(nowhere, stream.fileno())  # type: ignore[union-attr]


def make_console() -> "Console":
    """Return a rich console on standard output in which all text stands for itself.

    A path such as `a[old]b` is no markup. What is to be styled is styled by `rich.text.Text`.
    """
    from rich.console import Console

    return Console(markup=False, highlight=False, emoji=False, soft_wrap=True)


def _print(text: str, stream: TextIO | None, end: str) -> None:
    if stream is None:
        return
    encoding = stream.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), end=end, file=stream)
