"""Errors that a user can correct, and exit statuses.

Each message says what was wrong, where, and what to do next.
"""

from collections.abc import Iterable
from enum import IntEnum
from pathlib import Path
from types import UnionType


class NnlcError(Exception):
    """An error that the user can correct; shown without a traceback."""


class SpecError(NnlcError, ValueError):
    """A network's metadata contradicts itself."""


class SpaceError(NnlcError, ValueError):
    """A search space has no network, or none that fits its images."""


class CampaignError(NnlcError):
    """A campaign file is missing or malformed, or its settings are impossible."""


class FamilyError(CampaignError):
    """A family's code can't be loaded, or breaks a rule of families."""


class TableError(NnlcError):
    """A table is damaged.

    Attributes:
        path: the table's file, or None for text from elsewhere.
        line: line number from 1, or None for the whole file.
        column: field number within the line from 1, or None for the whole line.
        unread: True if a disk error prevents reading the file, which may be intact.
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
    """Images are missing, damaged or of an unexpected shape."""


class ResultsError(NnlcError):
    """A results folder can't be used for this campaign."""


class SiteError(NnlcError):
    """A site file or a job-script template is wrong."""


class SchedulerError(NnlcError):
    """A scheduler is not installed or refuses a request."""


class UnansweredError(SchedulerError):
    """A scheduler does not answer, or its answer does not say what it did."""


class DeviceError(NnlcError):
    """A GPU that the user asked for, or that other ranks have, is missing."""


class NodeError(DeviceError):
    """Some nodes of a job can't train, so that another job may do without them.

    Attributes:
        hosts: names of the nodes.
    """

    def __init__(self, problem: str, hosts: Iterable[str]) -> None:
        self.hosts = tuple(hosts)
        super().__init__(problem)


class LaunchError(NnlcError):
    """The MPI launcher and the Python environment don't fit together."""


class ExitStatus(IntEnum):
    """Exit status of a worker, the same on every rank of a job."""

    DONE = 0
    """Every network of the campaign has its table."""
    ERROR = 1
    """The user must correct something before the campaign can continue; see the message."""
    USAGE = 2
    """The command line is wrong."""
    DONE_WITH_FAILURES = 3
    """Nothing is left to train, but some networks failed, or files named like tables are damaged;
    `nnlc status` says why."""
    UNFINISHED = 75
    """The job stopped on a signal or before its time limit: start the same command again (BSD's
    EX_TEMPFAIL)."""


def check_kind(name: str, value: object, kind: type | UnionType, right: str) -> None:
    """Check an argument's kind; the NnlcError for another one says what to give: `right`."""
    if not isinstance(value, kind):
        raise NnlcError(f"{name} is of type {type(value).__name__}, but must be {right}")
