"""Events of a campaign that its user is told of by a `notify` command, each once.

| event   | what has happened                                    | who tells                    |
| ---     | ---                                                  | ---                          |
| ended   | no network of the campaign is left to train          | rank 0, or the next start    |
| failed  | a job ended with an error, or its chain broke        | rank 0, or the job script    |
| lost    | an earlier job ended without a word                  | rank 0 of the next job       |
| node    | a node, or the GPU of a rank, gets no more networks  | rank 0, or the next start    |
| stalled | no job goes on, or no running one gets further       | `nnlc status --watch`        |

The journal has each event but `ended` and `stalled`, with its key as `tell`. Before the command
runs, a process claims the event: it writes the file `told-KEY.jsonl` into the journal's folder,
which can be written only once, so that of several processes one tells. When the command has ended,
the file says so. If it never does, since the process was killed, one other process claims the event
again, as `told-again-KEY.jsonl`: a word too many is better than none. An event without a file that
says so is told by the next start.
"""

import contextlib
import hashlib
import json
import platform
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nnlc.errors import NnlcError
from nnlc.results.folder import ResultsFolder
from nnlc.results.history import read_history
from nnlc.results.job_facts import SCRIPT, with_job_id
from nnlc.results.journal import Journal, event_line, seconds_of
from nnlc.results.status import Status, read_status
from nnlc.results.user_events import KINDS, TOLD, UserEvent, user_event
from nnlc.system.files import PrepareFolder, read_regular, write_atomically, write_once
from nnlc.system.notify_command import NOTIFY_SECONDS, run_notify
from nnlc.system.process import process_lives, this_process
from nnlc.tables.folder_names import EVENTS
from nnlc.wording import counted

_CLAIMS = ("told", "told-again")
"""Beginnings of the names of an event's files: at most so many processes tell of it."""
CLAIM_SECONDS = 4 * NOTIFY_SECONDS
"""Age of a claim at which its process counts as killed; clocks of nodes differ a little."""
_LONGEST_TEXT = 2000
"""Characters of an event's text, so that a pipe holds the event."""


class EventSender:
    """Sender of a results folder's events to the user's command.

    Args:
        command: the notify command.
        results: the folder.
        campaign: name of the campaign.
        ready: called with a folder before it is written to.
    """

    def __init__(
        self,
        command: str,
        results: ResultsFolder,
        campaign: str,
        ready: PrepareFolder = lambda _: None,
    ) -> None:
        self._command, self._ready = command, ready
        self._results, self._campaign = results, campaign
        self.deadline = float("inf")
        """Time of the monotonic clock after which nothing is told, and no command runs."""
        self._claimed_by_others: list[UserEvent] = []
        """Events that another process may be telling of, or was when it was killed."""

    def tell(self, event: UserEvent, *, others_ended: bool = False) -> str:
        """Tell of an event unless that was done; return what went wrong, or "".

        Args:
            event: the event.
            others_ended: True if every other process that may have claimed the event has ended.
        """
        if self.deadline <= time.monotonic():
            return ""
        claim = None
        with contextlib.suppress(OSError):  # a user with a full disk should know
            self._ready(self._results.journal_folder)
            claim = self._claim(event, others_ended=others_ended)
            if claim is None:
                return ""
        problem = self.send(event.kind, event.text, **event.facts)
        if claim is not None and time.monotonic() < self.deadline:
            with contextlib.suppress(OSError):
                write_atomically(claim, _line(TOLD, event))
        return problem

    def tell_again(self) -> str:
        """Tell of the events that other processes had claimed, unless they did or still may."""
        events, self._claimed_by_others = self._claimed_by_others, []
        return "; ".join(filter(None, map(self.tell, events)))

    def send(self, kind: str, text: str, **facts: Any) -> str:
        """Run the command for an event, told or not; return what went wrong, or ""."""
        return self._run(self._event(kind, text, **facts), shown=False)

    def try_out(self, text: str, show: Callable[[str], None]) -> str:
        """Run the command for a test event, and show both; return what went wrong, or "".

        Args:
            text: the event's text.
            show: prints a line.
        """
        event = self._event("test", text)
        show(f"sent: {json.dumps(event)}")
        return self._run(event, shown=True)

    def _event(self, kind: str, text: str, **facts: Any) -> dict[str, Any]:
        return {
            "event": kind,
            "text": text[:_LONGEST_TEXT],
            "campaign": self._campaign,
            "results": str(self._results.path.absolute()),
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "host": platform.node(),
            **facts,
        }

    def _run(self, event: dict[str, Any], *, shown: bool) -> str:
        seconds = min(NOTIFY_SECONDS, self.deadline - time.monotonic())
        folder = self._results.path
        problem = run_notify(self._command, event, seconds, folder, shown=shown)
        return f"the notify command {problem}: {self._command}" if problem else ""

    def tell_if_ended(self) -> str:
        """Tell that the campaign has ended, if it has; return what went wrong, or ""."""
        try:
            found = read_status(self._results)
        except NnlcError:
            return ""  # the next start says what is wrong
        if found.left:
            return ""
        done = sum(each.done for each in found.datasets.values())
        failed = len(found.failures) + len(found.not_whole)
        text = f"campaign {self._campaign} has ended: {counted(done, 'table')}"
        text += f", and {counted(failed, 'network')} without one" if failed else ""
        facts = {"tables": done, "without_table": failed}
        return self.tell(UserEvent("ended", f"ended-{_state(found)}", text, facts))

    def tell_stall(self, found: Status, text: str) -> str:
        """Tell that nothing goes on since a state was read; return what went wrong, or ""."""
        return self.tell(UserEvent("stalled", f"stalled-{_state(found)}", text))

    def tell_of_failure(self, job: str, reason: str, id: str = "") -> str:
        """Tell of a job that has failed, for its script; return what went wrong, or "".

        Events that nobody has told of follow, as far as the time of one command allows.

        Args:
            job: name of the job in its script.
            reason: the reason in the words of the script; those of rank 0 are used if it said any.
            id: ID of the scheduler's job; empty if unknown.
        """
        self.deadline = time.monotonic() + NOTIFY_SECONDS
        untold: dict[str, UserEvent] = {}
        with contextlib.suppress(NnlcError):  # the job may have failed for this reason
            found = read_history(self._results.journal_folder)
            untold = {event.key: event for event in found.untold}
        who = f"job {id}" if id else "a job"
        own = UserEvent("failed", failed_key(job), f"{who} failed: {reason}")
        problems = [self.tell(untold.pop(own.key, own), others_ended=True)]
        problems += map(self.tell, untold.values())
        return "; ".join(filter(None, problems))

    def _claim(self, event: UserEvent, *, others_ended: bool) -> Path | None:
        """Return the file by which this process alone tells of an event; None if another does.

        Raises:
            OSError: the journal's folder can't be written or read.
        """
        for name in _CLAIMS:
            path = self._results.journal_folder / f"{name}-{file_word(event.key)}{EVENTS}"
            if write_once(path, _line("telling", event)):
                return path
            if _is_told(path):
                return None
            if not (others_ended or _is_abandoned(path)):
                self._claimed_by_others.append(event)
                return None
        return None


class TellingJournal(Journal):
    """Journal that marks the events that users are told of, and passes them on.

    A node is passed on once, however many of its ranks get no more networks.

    Args:
        folder: folder of the file.
        ready: called with the folder before it is written to.
        failed: key of this job's failure, which its script knows too; None without a script.
        pass_on: called with each event to tell of.
    """

    def __init__(
        self,
        folder: Path,
        ready: PrepareFolder,
        failed: str | None,
        pass_on: Callable[[UserEvent], None],
    ) -> None:
        super().__init__(folder, ready)
        self._failed, self._pass_on = failed, pass_on
        self._start: dict[str, Any] | None = None
        self._passed: set[str] = set()

    def write(self, event: str, **facts: Any) -> None:
        """Append one event; pass it on if users are told of it."""
        told = event in KINDS and (event != "end" or facts.get("status") == "ERROR")
        if told:
            facts["tell"] = self._key(event, facts)
        super().write(event, **facts)
        whole = {"event": event, "time": datetime.now(UTC).isoformat(), **facts}
        if event in (SCRIPT, "job"):
            self._start = with_job_id(whole, self._start)
        elif told and facts["tell"] not in self._passed:
            self._passed.add(facts["tell"])
            self._pass_on(user_event(whole, self._start))

    def _key(self, event: str, facts: dict[str, Any]) -> str:
        """Return the key of an event; several jobs may find the same one lost."""
        if event == "end" and self._failed is not None:
            return self._failed
        if event == "lost":
            return f"lost-{'-'.join(facts['ids'])}"
        return f"{self.path.stem}-{facts.get('host', self._lines + 1)}"


def failed_key(job: str) -> str:
    """Return the key of the failure of a job that its script has named."""
    return f"failed-{job}"


def file_word(text: str) -> str:
    """Return a text without characters that a file name should not have, and not too long."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", text)
    if plain == text and len(text) < 100:
        return text
    return f"{plain[:80]}-{hashlib.sha256(text.encode(errors='replace')).hexdigest()[:12]}"


def _line(kind: str, event: UserEvent) -> bytes:
    """Return the content of the file by which a process tells, or has told, of an event."""
    about = {"key": event.key, "kind": event.kind, "process": this_process()}
    return event_line(kind, 1, about)


def _is_told(path: Path) -> bool:
    """Return True if the file of an event says that its command has ended."""
    return _content(path).get("event") == TOLD


def _is_abandoned(path: Path) -> bool:
    """Return True if the process that claimed an event was killed, as far as can be seen."""
    found = _content(path)
    lives = process_lives(found.get("process"), this_process())
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return lives is False or time.time() - seconds_of(found.get("time")) > CLAIM_SECONDS
    return True


def _content(path: Path) -> dict[str, Any]:
    """Return what the file of an event says; {} if that is nothing.

    Raises:
        OSError: it can't be read.
    """
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(read_regular(path, follow_link=False, most=1 << 16))
        return found if isinstance(found, dict) else {}
    return {}


def _state(found: Status) -> str:
    """Return a digest of what a campaign has reached, and of the jobs that began."""
    numbers = [(name, each.done, each.rows) for name, each in found.datasets.items()]
    failed = sorted([*found.failures, *found.not_whole])
    text = repr([numbers, failed, found.campaign.epochs, found.history.jobs.began])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
