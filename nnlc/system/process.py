"""Which process this is, and whether one that was written down still lives."""

import contextlib
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnlc.system.files import read_regular


def this_process() -> dict[str, str]:
    """Return what tells this process from every other; without `boot` none can see it live."""
    pid = os.getpid()
    me = {"host": platform.node(), "pid": str(pid), "boot": "", "namespace": "", "started": ""}
    with contextlib.suppress(OSError):
        me["started"] = _state_and_start(pid)[1]
        me["namespace"] = str(Path("/proc/self/ns/pid").readlink())
        me["boot"] = read_regular("/proc/sys/kernel/random/boot_id").decode().strip()
    return me


def process_lives(its: Any, me: Mapping[str, str]) -> bool | None:
    """Return whether a process lives; None where that can't be seen from here.

    Args:
        its: what `this_process` said in that process, or anything else that stood in its place.
        me: what it says here.
    """
    try:
        if not me["boot"] or any(its[key] != me[key] for key in ("host", "boot", "namespace")):
            return None
        pid = int(its["pid"])
        with contextlib.suppress(PermissionError):  # another user's
            os.kill(pid, 0)
        state, started = _state_and_start(pid)
        return state not in "ZX" and started == its["started"]
    except ProcessLookupError:
        return False
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None  # hidden from other users, or nothing that a process said


def _state_and_start(pid: int) -> tuple[str, str]:
    """Return state letter and start in ticks since boot. The name before may hold anything."""
    content = read_regular(f"/proc/{pid}/stat").decode("latin-1")
    fields = content.rpartition(")")[2].split()
    return fields[0], fields[19]
