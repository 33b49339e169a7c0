"""Logs of jobs that 'nnlc submit' submitted, in the results folder's `logs/`."""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from nnlc.system.files import names_in, open_regular
from nnlc.wording import printable

_END_BYTES = 1 << 16
"""Bytes at the end of a log in which its job's last word is looked for."""
_LAST_WORD = re.compile(r"^job script: status (\d+): .*", re.MULTILINE)
"""Line that ends a job script, with its exit status."""
_FINE = ("0", "75")
"""Statuses of a job that is done, or goes on."""
MOST_READ = 100
"""Most logs of an array that are read."""


def job_number(job: str) -> int:
    """Return the number of a job, as its scheduler counts jobs."""
    return int(re.split(r"\D", job)[0] or 0)


def logs_of(folder: Path, job: str) -> list[Path]:
    """Return the logs of a job, or of its array's elements; a job as its scheduler names it."""
    return _logs(folder, str(job_number(job)))


def newest_log(folder: Path) -> Path | None:
    """Return the log that was written last, or None if there is none."""
    with suppress(OSError):
        return max(_logs(folder, r"\d+"), key=lambda log: log.stat().st_mtime, default=None)
    return None


def telling_log(logs: Sequence[Path]) -> tuple[Path, str]:
    """Return the log of a job that says most on its end, and the line that does; or "".

    Of an array it is the first element that failed, else the last.
    """
    found = [(log, _last_word(log)) for log in logs[:MOST_READ]]
    failed = (each for each in found if each[1] and each[1][1] not in _FINE)
    log, word = next(failed, found[-1])
    return log, printable(word[0]) if word else ""


def _last_word(log: Path) -> re.Match[str] | None:
    """Return the last word of a job script in its log; None if there is none, or no such log."""
    with suppress(OSError), open_regular(log) as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _END_BYTES))
        end = file.read(_END_BYTES).decode(errors="replace")
        return max(_LAST_WORD.finditer(end), key=re.Match.start, default=None)
    return None


def _logs(folder: Path, number: str) -> list[Path]:
    # Templates name the logs of Slurm and LSF; PBS names its own: ID.OU, where ID has a server.
    form = re.compile(rf"{number}(([_-]\d+)?\.out|(\[\d+\])?(\.[\w.-]+)?\.OU)")
    with suppress(OSError):
        return [folder / name for name in sorted(names_in(folder)) if form.fullmatch(name)]
    return []
