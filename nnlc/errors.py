"""What can go wrong on a user's side, and the exit status that says so.

Each message says what was wrong, where, and what to do next.
"""

from enum import IntEnum
from pathlib import Path


class NnlcError(Exception):
    """A mistake that the user can mend; shown without a traceback."""


class SpecError(NnlcError, ValueError):
    """A network's metadata contradicts itself."""


class SpaceError(NnlcError, ValueError):
    """A search space, or its meeting with a dataset, has nothing in it."""


class CampaignError(NnlcError):
    """A campaign file is missing, malformed or asks for the impossible."""


class TableError(NnlcError):
    """A table is damaged.

    Attributes:
        path: the table's file, or None for text that came from elsewhere.
        line: 1-based line, or None where the whole file is meant.
        column: 1-based field within the line, or None where the whole line is meant.
        unread: True if the file system refused to read the file, which may be whole all the same.
    """

    def __init__(
        self,
        problem: str,
        *,
        path: Path | None = None,
        line: int | None = None,
        column: int | None = None,
        column_name: str | None = None,
        unread: bool = False,
    ) -> None:
        self.path, self.line, self.column, self.unread = path, line, column, unread
        where = [str(path)] if path else []
        if line is not None:
            where.append(f"line {line}")
        if column is not None:
            where.append(f"column {column}" + (f" ({column_name})" if column_name else ""))
        super().__init__(", ".join(where) + (": " if where else "") + problem)


class ImagesError(NnlcError):
    """Images are missing, damaged or not of the promised shape."""


class ResultsError(NnlcError):
    """A results folder can't be used for this campaign."""


class SiteError(NnlcError):
    """A site file or a job-script template is wrong."""


class SchedulerError(NnlcError):
    """A scheduler is absent or refuses."""


class UnansweredError(SchedulerError):
    """A scheduler does not answer, or not in words that say what it did."""


class DeviceError(NnlcError):
    """A GPU that was asked for, or that other ranks have, is not there."""


class LaunchError(NnlcError):
    """The MPI launcher and the Python environment don't fit together."""


class ExitStatus(IntEnum):
    """How a worker leaves; every rank of a job leaves with the same one."""

    DONE = 0
    """Every network of the campaign has its table."""
    ERROR = 1
    """Something must be mended before the campaign can go on; the message says what."""
    USAGE = 2
    """The command line is wrong."""
    DONE_WITH_FAILURES = 3
    """Nothing is left to train, but some networks failed, or files in the place of tables are none;
    `nnlc status` says why."""
    UNFINISHED = 75
    """Stopped on notice or before its time was over: start the same command again (BSD's
    EX_TEMPFAIL)."""
