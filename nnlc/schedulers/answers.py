"""Answers of schedulers' commands in a form that nnlc can't read."""

import re
from collections.abc import Iterable

from nnlc.errors import SchedulerError


def unreadable(command: str, said: str, meaning: str = "") -> SchedulerError:
    """Return the error of an answer that nnlc can't read; its meaning follows a comma."""
    first = said.strip().partition("\n")[0]
    return SchedulerError(
        f"{command} answered in a form that nnlc can't read{meaning}: {first[:200]!r}"
    )


def unread_queue(command: str, said: str) -> SchedulerError:
    """Return the error of an answer without which it is unknown which jobs are in the queue."""
    meaning = f", so it is unknown which jobs are in the queue; see {command}"
    return unreadable(command, said, meaning)


def check_unread(command: str, text: str, about: Iterable[str], gone: Iterable[str]) -> None:
    """Check that text which could not be read names no job, which may be in the queue.

    Args:
        command: the command that said it.
        text: its output, or the part of it that has another form.
        about: jobs and marks that were asked for.
        gone: error messages that only mean that a job no longer exists.

    Raises:
        SchedulerError: it names one.
    """
    named = re.compile("|".join(rf"(?<!\w){re.escape(each)}(?!\w)" for each in about) or "(?!)")
    for line in text.splitlines():
        if named.search(line) and not any(word in line for word in gone):
            raise unread_queue(command, line)
