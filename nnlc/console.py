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
"""Descriptor of standard error, for a message while another line may be half printed."""


_COMMANDS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters, which a terminal would obey instead of showing them."""


def prepare_output() -> None:
    """Have characters that the output's encoding lacks printed as question marks.

    Every process that prints calls this first, so that it covers what libraries print too: no
    character of a path or a name raises an error.
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
    """Print text for a file or a program on standard output; say so if characters were lost."""
    _print(text, sys.stdout, "")
    encoding = "utf-8" if sys.stdout is None else sys.stdout.encoding or "utf-8"
    if text.encode(encoding, "replace").decode(encoding) != text:
        say_aside(
            f"note: question marks stand for letters that {encoding} lacks; with "
            "PYTHONIOENCODING=utf-8 all are printed"
        )


def say_aside(text: str) -> None:
    """Print a line about the work, such as a warning or an error, on standard error.

    If it can't be written, as on a full disk, this line and all later ones are lost; the exit
    status stays the same.
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
    """Return standard output, or a dummy stream if that was closed."""
    return io.StringIO() if sys.stdout is None else sys.stdout


@contextmanager
def printing_aside() -> Iterator[None]:
    """Send what libraries print meanwhile to standard error: it is not part of the result."""
    with redirect_stdout(sys.stderr):
        yield


def flush_output() -> None:
    """Flush standard output.

    Raises:
        OSError: that fails, such as BrokenPipeError if the reader has gone.
    """
    standard_output().flush()


def stop_printing(*, errors: bool = True) -> None:
    """Discard all further output, Python's own complaints at exit included.

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
