"""Run of a user's `notify` command, which gets an event and can't hold up its caller for long."""

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from nnlc.wording import one_line, reason_of

NOTIFY_SECONDS = 30.0
"""Time that the command has; then all of its processes are killed."""
_KILLED_SECONDS = 1.0
"""Time that a killed process has to be gone; one that waits for a dead disk stays."""


def run_notify(
    command: str,
    event: Mapping[str, Any],
    seconds: float = NOTIFY_SECONDS,
    folder: Path | None = None,
    *,
    shown: bool = False,
) -> str:
    """Run a command of the shell with an event as JSON on its standard input.

    Processes that it leaves behind are killed.

    Args:
        command: the command.
        event: the event.
        seconds: time that the command has.
        folder: folder to run it in, unless that is away; default: the current one.
        shown: True to let it print where this process prints. Otherwise what it prints goes
            nowhere, but for the last line of its errors if it fails.

    Returns:
        What went wrong, in words; "" if nothing did.
    """
    is_there = folder is not None and os.access(folder, os.X_OK)
    try:
        process = subprocess.Popen(  # noqa: S603  the user's own command
            ["/bin/sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=None if shown else subprocess.DEVNULL,
            stderr=None if shown else subprocess.PIPE,
            cwd=folder if is_there else None,
            start_new_session=True,  # so that all of its processes can be killed
        )
    except (OSError, ValueError) as problem:
        return f"can't be started: {reason_of(problem)}"
    # Not by `communicate`, which would keep all, and wait for processes that are left behind.
    errors, process.stderr = process.stderr, None
    last = deque[bytes](maxlen=2)
    reader = threading.Thread(target=_read, args=(errors, last), daemon=True)
    reader.start()
    try:
        process.communicate(json.dumps(event).encode() + b"\n", timeout=seconds)
        said = f"ended with status {process.returncode}" if process.returncode else ""
    except subprocess.TimeoutExpired:
        said = f"did not end within {seconds:.0f} s"
    finally:  # after Ctrl-C too
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired, OSError):
            process.wait(_KILLED_SECONDS)
            process.communicate()  # closes its input
    reader.join(_KILLED_SECONDS)
    word = _last_line(b"".join(last.copy())) if said else ""
    return f"{said} ({word})" if word else said


def _read(stream: IO[bytes] | None, last: deque[bytes]) -> None:
    """Read a stream to its end, and keep what comes last."""
    if stream is not None:
        with contextlib.suppress(OSError, ValueError), stream:
            while piece := os.read(stream.fileno(), 1 << 16):
                last.append(piece)


def _last_line(text: bytes) -> str:
    """Return the last line that is not empty, as one printable line."""
    lines = text.decode(errors="replace").strip().splitlines()
    return one_line(lines[-1].strip()) if lines else ""
