"""Identity of processes, the check whether a recorded one still runs, and ends with a parent."""

import contextlib
import ctypes
import os
import platform
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnlc.system.files import read_regular


def this_process() -> dict[str, str]:
    """Return the identity of this process; `boot` is empty if others can't check that it runs."""
    pid = os.getpid()
    me = {"host": platform.node(), "pid": str(pid), "boot": "", "namespace": "", "started": ""}
    with contextlib.suppress(OSError):
        me["started"] = _state_and_start(pid)[1]
        me["namespace"] = str(Path("/proc/self/ns/pid").readlink())
        me["boot"] = read_regular("/proc/sys/kernel/random/boot_id").decode().strip()
    return me


def process_lives(its: Any, me: Mapping[str, str]) -> bool | None:
    """Return True if a process runs, False if it has ended, None if that can't be seen from here.

    Args:
        its: result of `this_process` in that process, read from a file that may be damaged.
        me: result of `this_process` here.
    """
    try:
        if not me["boot"] or any(its[key] != me[key] for key in ("host", "boot", "namespace")):
            return None
        pid = int(its["pid"])
        with contextlib.suppress(PermissionError):  # another user's process
            os.kill(pid, 0)
        state, started = _state_and_start(pid)
        return state not in "ZX" and started == its["started"]
    except ProcessLookupError:
        return False
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None  # hidden from other users, or damaged


def end_with_parent() -> None:
    """Ask Linux to kill this process when its parent ends for any reason."""
    if platform.system() == "Linux":
        set_parent_death_signal = 1  # PR_SET_PDEATHSIG, prctl(2)
        ctypes.CDLL(None).prctl(set_parent_death_signal, int(signal.SIGKILL))


def _state_and_start(pid: int) -> tuple[str, str]:
    """Return the state letter of a process, and its start in clock ticks since boot."""
    content = read_regular(f"/proc/{pid}/stat").decode("latin-1")  # its name may have any bytes
    fields = content.rpartition(")")[2].split()
    return fields[0], fields[19]
