"""Check that all nodes of a job see the same results folder, and can write to it."""

import os
import platform
import time
from pathlib import Path

from nnlc.errors import ResultsError
from nnlc.system.files import write_atomically

VISIBLE_SECONDS = 30.0
"""Maximum time until a network file system shows a file to another node."""


def check_shared_folder(mark: Path) -> None:
    """Check that this node sees a file that rank 0 has made, and can write to its folder.

    Raises:
        ResultsError: the file is not visible within 30 s, or the folder can't be written to.
    """
    deadline = time.monotonic() + VISIBLE_SECONDS
    while not _is_listed(mark):
        if time.monotonic() > deadline:
            raise ResultsError(
                f"{platform.node()} does not see {mark}, which rank 0 has made: the results folder "
                "must lie on a file system that all nodes share; say where with --results"
            )
        time.sleep(0.1)
    probe = mark.with_name(f"{mark.name}.{platform.node()}.{os.getpid()}")
    try:
        write_atomically(probe, b"")
        probe.unlink(missing_ok=True)
    except OSError as problem:
        raise ResultsError(
            f"{mark.parent} can't be written on {platform.node()}: {problem.strerror}; give "
            "another folder with --results"
        ) from None


def _is_listed(path: Path) -> bool:
    """Return True if a folder lists a file; unlike stat, listing is not answered from a cache."""
    try:
        return path.name in os.listdir(path.parent)  # noqa: PTH208  names are wanted
    except OSError:
        return False
