"""Logs of jobs that 'nnlc submit' submitted, in the results folder's `logs/`."""

import re
from contextlib import suppress
from pathlib import Path

from nnlc.system.files import names_in


def logs_of(folder: Path, job: str) -> list[Path]:
    """Return the logs of a job, or of its array's elements; a job as its scheduler names it."""
    return _logs(folder, re.split(r"\D", job)[0])


def newest_log(folder: Path) -> Path | None:
    """Return the log that was written last, or None if there is none."""
    with suppress(OSError):
        return max(_logs(folder, r"\d+"), key=lambda log: log.stat().st_mtime, default=None)
    return None


def _logs(folder: Path, number: str) -> list[Path]:
    form = re.compile(rf"{number}([_-]\d+)?\.out")
    with suppress(OSError):
        return [folder / name for name in sorted(names_in(folder)) if form.fullmatch(name)]
    return []
