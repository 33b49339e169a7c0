"""Logs of jobs that 'nnlc submit' submitted, in the results folder's `logs/`."""

import re
from contextlib import suppress
from pathlib import Path

from nnlc.system.files import names_in


def logs_of(folder: Path, job: str) -> list[Path]:
    """Return the logs of a job, or of its array's elements; a job as its scheduler names it."""
    number = re.match(r"\d*", job)
    job = number[0] if number else ""
    with suppress(OSError):
        return [folder / n for n in sorted(names_in(folder)) if re.match(rf"{job}([_-]\d+)?\.", n)]
    return []


def newest_log(folder: Path) -> Path | None:
    """Return the log that was written last, or None if there is none."""
    with suppress(OSError):
        logs = [folder / name for name in names_in(folder) if name[0].isdigit()]
        return max(logs, key=lambda log: log.stat().st_mtime, default=None)
    return None
