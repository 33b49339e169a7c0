"""Run of a user's `notify` command, which gets an event and can't hold up its caller for long."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Mapping
from typing import Any

from nnlc.wording import reason_of

NOTIFY_SECONDS = 30.0
"""Time that the command has; then all of its processes are killed."""
_KILLED_SECONDS = 1.0
"""Time that a killed process has to be gone; one that waits for a dead disk stays."""


def run_notify(command: str, event: Mapping[str, Any], seconds: float = NOTIFY_SECONDS) -> str:
    """Run a command of the shell with an event as JSON on its standard input.

    What it prints goes nowhere. Processes that it leaves behind are killed.

    Args:
        command: the command.
        event: the event.
        seconds: time that the command has.

    Returns:
        What went wrong, in words; "" if nothing did.
    """
    try:
        process = subprocess.Popen(  # noqa: S603  the user's own command
            ["/bin/sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # so that all of its processes can be killed
        )
    except (OSError, ValueError) as problem:
        return f"can't be started: {reason_of(problem)}"
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
    return said
