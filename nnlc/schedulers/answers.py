"""Answers of schedulers' commands: states of jobs, and answers that nnlc can't read.

A job that is held for gone is submitted a second time. So only a scheduler's own words mean that a
job is not in the queue: an answer without any of them is one that nnlc can't read.
"""

import re
from collections import Counter
from collections.abc import Iterable

from nnlc.errors import SchedulerError
from nnlc.wording import one_line, some_of

_LONGEST_REASON = 160


class State(str):
    """State of a job or an array's element, as its scheduler names it, with the reason for it."""

    __slots__ = ("why",)
    why: str

    def __new__(cls, name: str, why: str = "") -> "State":
        """Return a state; the reason, in the scheduler's words, may be empty."""
        made = super().__new__(cls, name)
        made.why = one_line(" ".join(why.split()), _LONGEST_REASON)
        return made


def count_states(states: Iterable[str]) -> str:
    """Return the number of a job's elements in each state, and why they wait, in words."""
    counts, reasons = Counter[str](), dict[str, dict[str, None]]()
    for state in states:
        counts[str(state)] += 1
        if why := getattr(state, "why", ""):
            reasons.setdefault(str(state), {})[why] = None
    return ", ".join(
        f"{count} {state}" + (f" ({some_of(reasons[state], 2)})" if state in reasons else "")
        for state, count in sorted(counts.items())
    )


def unreadable(command: str, said: str, meaning: str = "") -> SchedulerError:
    """Return the error of an answer that nnlc can't read; its meaning follows a comma."""
    first = said.strip().partition("\n")[0]
    shown = repr(first[:200]) if first else "it said nothing"
    return SchedulerError(f"{command} answered in a form that nnlc can't read{meaning}: {shown}")


def unread_queue(command: str, said: str) -> SchedulerError:
    """Return the error of an answer without which it is unknown which jobs are in the queue."""
    meaning = f", so it is unknown which jobs are in the queue; see {command}"
    return unreadable(command, said, meaning)


def check_answered(command: str, said: str, header: re.Pattern[str], gone: Iterable[str]) -> None:
    """Check that a command has shown its table, or that there are no such jobs.

    Args:
        command: the command.
        said: its output.
        header: pattern of the table's first line.
        gone: messages that only mean that a job does not exist.

    Raises:
        SchedulerError: it has done neither.
    """
    lines = said.splitlines()
    if not any(header.match(line) or any(word in line for word in gone) for line in lines):
        raise unread_queue(command, said)


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
