"""Printing: everything that the `nnlc` command and the worker print goes through this module."""

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
"""File descriptor of standard error, for signal handlers: a print may be in progress."""


_COMMANDS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters, which a terminal would obey instead of showing them."""


def prepare_output() -> None:
    """Set both output streams to replace characters that their encoding lacks by question marks.

    Every process that prints calls this first. So no character in a path or name raises an error,
    even when a library prints it.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None if closed at the start
            stream.reconfigure(errors="replace")


def harmless(text: str) -> str:
    """Return the text with a question mark for each control character."""
    return _COMMANDS.sub("?", text)


def say(text: str) -> None:
    """Print a line of a command's result, on standard output."""
    _print(harmless(text), sys.stdout, "\n")


def say_whole(text: str) -> None:
    """Print text for a file or program on standard output, with a note if characters were lost."""
    _print(text, sys.stdout, "")
    encoding = "utf-8" if sys.stdout is None else sys.stdout.encoding or "utf-8"
    if text.encode(encoding, "replace").decode(encoding) != text:
        say_aside(
            f"note: question marks replace characters that {encoding} lacks; set "
            "PYTHONIOENCODING=utf-8 to print all characters"
        )


def say_aside(text: str) -> None:
    """Print a line about the work, such as a warning or an error, on standard error.

    If the line can't be written, for example on a full disk, this line and all later lines are
    lost; the exit status stays the same.
    """
    try:
        _print(harmless(text), sys.stderr, "\n")
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:
        _silence(sys.stderr)


@cache
def say_once(text: str) -> None:
    """Print a line on standard error, unless this process has printed it before."""
    say_aside(text)


def standard_output() -> TextIO:
    """Return standard output, or a dummy stream if standard output is closed."""
    return io.StringIO() if sys.stdout is None else sys.stdout


@contextmanager
def printing_aside() -> Iterator[None]:
    """Send output of libraries to standard error in this context: it is not part of the result."""
    with redirect_stdout(sys.stderr):
        yield


def flush_output() -> None:
    """Flush standard output.

    Raises:
        OSError: the flush fails, such as BrokenPipeError if the reader has ended.
    """
    standard_output().flush()


def stop_printing(*, errors: bool = True) -> None:
    """Discard all further output, including Python's own errors at exit.

    Args:
        errors: True to discard standard error too.
    """
    _silence(sys.stdout, *([sys.stderr] if errors else []))


def _silence(*streams: TextIO | None) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        with suppress(AttributeError, OSError, ValueError):  # closed, or no file
            os.dup2(nowhere, stream.fileno())  # type: ignore[union-attr]


def make_console() -> "Console":
    """Return a rich console on standard output that prints strings literally.

    A path such as `a[old]b` is not taken for markup. Use `rich.text.Text` for styles.
    """
    from rich.console import Console

    return Console(markup=False, highlight=False, emoji=False, soft_wrap=True)


def _print(text: str, stream: TextIO | None, end: str) -> None:
    if stream is None:
        return
    encoding = stream.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), end=end, file=stream)
