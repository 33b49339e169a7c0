"""What the command line prints and writes."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nnlc.errors import NnlcError


def say(text: str) -> None:
    """Print a line; a character that the terminal's encoding lacks becomes a question mark."""
    if sys.stdout is None:  # closed by who started this
        return
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding))


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the file system refuses becomes one message that names the file."""
    try:
        yield
    except OSError as problem:
        raise NnlcError(f"{path}: can't be written: {problem.strerror}") from None
