"""Events of a campaign that its user is told of by a `notify` command, each once.

| event   | what has happened                                    | who tells                    |
| ---     | ---                                                  | ---                          |
| ended   | no network of the campaign is left to train          | rank 0, or the next start    |
| failed  | a job ended with an error, or its chain broke        | rank 0, or the job script    |
| lost    | an earlier job ended without a word                  | rank 0 of the next job       |
| node    | a node, or the GPU of a rank, gets no more networks  | rank 0, or the next start    |
| stalled | no job goes on, or no running one gets further       | `nnlc status --watch`        |

The journal has each event but `ended` and `stalled`, with its key as `tell`. Before the command
runs, a file `told-KEY.jsonl` is written into the journal's folder. It can be written only once, so
that of several processes one tells. An event without this file is told by the next start.
"""

import contextlib
import hashlib
import platform
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nnlc.errors import NnlcError
from nnlc.results.folder import ResultsFolder
from nnlc.results.job_facts import event_words
from nnlc.results.journal import Journal, event_line, read_files
from nnlc.results.status import Status, read_status
from nnlc.system.files import PrepareFolder, write_once
from nnlc.system.notify_command import NOTIFY_SECONDS, run_notify
from nnlc.tables.folder_names import EVENTS
from nnlc.wording import counted

KINDS = {"lost": "lost", "node": "node", "retire": "node", "end": "failed"}
"""Events of the journal that users are told of, and what the command calls them."""
_LONGEST_TEXT = 2000
"""Characters of an event's text, so that a pipe holds the event."""


class Notices:
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

    def tell(self, kind: str, key: str, text: str, **facts: Any) -> str:
        """Tell of an event unless that was done; return what went wrong, or "".

        Args:
            kind: name of the event.
            key: its identity.
            text: the event in words.
            facts: more values for the command.
        """
        if self.deadline <= time.monotonic():
            return ""
        folder = self._results.journal_folder
        path = folder / f"told-{file_word(key)}{EVENTS}"
        with contextlib.suppress(OSError):  # a user with a full disk should know
            self._ready(folder)
            if not write_once(path, event_line("told", 1, {"key": key, "kind": kind})):
                return ""
        return self.send(kind, text, **facts)

    def send(self, kind: str, text: str, **facts: Any) -> str:
        """Run the command for an event, told or not; return what went wrong, or ""."""
        event = {
            "event": kind,
            "text": text[:_LONGEST_TEXT],
            "campaign": self._campaign,
            "results": str(self._results.path.absolute()),
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "host": platform.node(),
            **facts,
        }
        seconds = min(NOTIFY_SECONDS, self.deadline - time.monotonic())
        problem = run_notify(self._command, event, seconds)
        return f"the notify command {problem}: {self._command}" if problem else ""

    def tell_of(self, event: dict[str, Any], start: dict[str, Any] | None) -> str:
        """Tell of an event of the journal; return what went wrong, or "".

        Args:
            event: the event, with its key.
            start: the start event of its job, if it is known.
        """
        host = event.get("host")
        about = {"node": host} if isinstance(host, str) else {}
        words = event_words(event, start)
        return self.tell(KINDS[event["event"]], str(event["tell"]), words, **about)

    def tell_rest(self) -> Iterator[str]:
        """Tell of the journal's events that nobody told of; yield what went wrong."""
        starts: dict[str, dict[str, Any]] = {}
        told, untold = set[str](), list[tuple[str, dict[str, Any]]]()
        for name, event in read_files(self._results.journal_folder, {*KINDS, "job", "told"}):
            if event["event"] == "job":
                starts[name] = event
            elif event["event"] == "told":
                told.add(str(event.get("key")))
            elif isinstance(event.get("tell"), str):
                untold.append((name, event))
        for name, event in untold:
            if event["tell"] not in told:
                yield from filter(None, [self.tell_of(event, starts.get(name))])

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
        key = f"ended-{_state(found)}"
        return self.tell("ended", key, text, tables=done, without_table=failed)

    def tell_stall(self, found: Status, text: str) -> str:
        """Tell that nothing goes on since a state was read; return what went wrong, or ""."""
        return self.tell("stalled", f"stalled-{_state(found)}", text)


class TellingJournal(Journal):
    """Journal that marks the events that users are told of, and passes them on.

    Args:
        folder: folder of the file.
        ready: called with the folder before it is written to.
        failed: key of this job's failure, which its script knows too; None without a script.
        pass_on: called with each event to tell of, and the start event of this job.
    """

    def __init__(
        self,
        folder: Path,
        ready: PrepareFolder,
        failed: str | None,
        pass_on: Callable[[dict[str, Any], dict[str, Any] | None], None],
    ) -> None:
        super().__init__(folder, ready)
        self._failed, self._pass_on = failed, pass_on
        self._start: dict[str, Any] | None = None

    def write(self, event: str, **facts: Any) -> None:
        """Append one event; pass it on if users are told of it."""
        told = event in KINDS and (event != "end" or facts.get("status") == "ERROR")
        if told:
            key = self._failed if event == "end" else None
            facts["tell"] = key or f"{self.path.stem}-{self._lines + 1}"
        super().write(event, **facts)
        whole = {"event": event, "time": datetime.now(UTC).isoformat(), **facts}
        if event == "job":
            self._start = whole
        elif told:
            self._pass_on(whole, self._start)


def failed_key(job: str) -> str:
    """Return the key of the failure of a job that its script has named."""
    return f"failed-{job}"


def file_word(text: str) -> str:
    """Return a text without characters that a file name should not have, and not too long."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", text)
    if plain == text and len(text) < 100:
        return text
    return f"{plain[:80]}-{hashlib.sha256(text.encode(errors='replace')).hexdigest()[:12]}"


def _state(found: Status) -> str:
    """Return a digest of what a campaign has reached, and of the jobs that began."""
    numbers = [(name, each.done, each.rows) for name, each in found.datasets.items()]
    failed = sorted([*found.failures, *found.not_whole])
    text = repr([numbers, failed, found.campaign.epochs, found.history.jobs.began])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
