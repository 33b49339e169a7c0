"""Facts on jobs from their events in a journal, and the last event in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from nnlc.wording import printable

PREDICATES = {
    "job": "began",
    "end": "ended",
    "lost": "ended without a word (killed, or its node was lost)",
    "trouble": "had a problem",
    "start": "began",
    "resume": "continued from its checkpoint",
    "checkpoint": "was saved",
    "aside": "had a checkpoint that can't be used",
    "attempt": "failed and may be tried again",
    "failure": "failed for good",
    "finish": "was finished",
    "retire": "gets no more networks",
    "node": "took its job down",
    "retry": "'nnlc retry' cleared failures",
    "code": "other code of the family was accepted",
}
"""Events that the history of a campaign consists of, each with its predicate in words."""

SCRIPT = "script"
"""Event of a job's script, which has the scheduler's ID of the job."""


@dataclass(frozen=True, slots=True)
class JobFacts:
    """Jobs of a journal."""

    began: tuple[str, ...] = ()
    """Start of each job, in words."""
    device: Literal["cpu", "cuda"] | None = None
    """Device of the last job."""
    device_names: frozenset[str] = frozenset()
    ranks: int = 0
    trainers: int = 0


def job_facts(starts: Sequence[dict[str, Any]]) -> JobFacts:
    """Return facts from the start events of jobs; values of a wrong type are skipped."""
    newest = starts[-1] if starts else {}
    ranks, device = dictionaries(newest.get("ranks")), newest.get("device")
    devices = [one for rank in ranks for one in dictionaries(rank.get("devices"))]
    return JobFacts(
        tuple(moment_words(event["time"]) for event in starts),
        device if device in ("cpu", "cuda") else None,
        frozenset(name for one in devices if isinstance(name := one.get("name"), str)),
        len(ranks),
        trainers_in(newest),
    )


def trainers_in(start: dict[str, Any]) -> int:
    """Return the number of trainers that a job's start event names, at least one for each rank."""
    counts = [rank.get("trainers") for rank in dictionaries(start.get("ranks"))]
    return sum(count if isinstance(count, int) and count > 0 else 1 for count in counts)


def moment_words(time: Any) -> str:
    """Return a journal's time to the minute."""
    try:
        moment = datetime.fromisoformat(time)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, TypeError, OverflowError):
        return "at an unknown time"


def job_words(start: dict[str, Any]) -> str:
    """Return which job a start event began: its scheduler's ID if known, or time; and its host."""
    process, id_ = start.get("process"), start.get("job")
    host = process.get("host") if isinstance(process, dict) else None
    on = f" on {host}" if isinstance(host, str) else ""
    if isinstance(id_, str) and id_:
        return f"job {id_}{on}"
    return f"the job of {moment_words(start['time'])}{on}"


def with_job_id(start: dict[str, Any], script: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a start event of a job with the ID in the event of its script, if there is one."""
    return start if script is None else {"job": script.get("job"), **start}


def event_words(event: dict[str, Any], start: dict[str, Any] | None) -> str:
    """Return an event in words: its time, what it was, and its job.

    Args:
        event: event of a journal.
        start: start event of its job; None for events of commands such as `nnlc retry`.
    """
    kind, job = event["event"], "" if start is None else job_words(start)
    subject, how, reason = event.get("id"), "in", event.get("reason")
    reason = " ".join(reason.split()) if isinstance(reason, str) else ""
    if kind in ("retire", "node"):
        subject = f"rank {event.get('rank')}" if kind == "retire" else f"node {event.get('host')}"
    elif kind == "lost":  # the reason is the job that was lost
        subject, how, reason = reason or "an earlier job", "found by", ""
    elif kind == "end" and not job:  # before the job's start is known
        subject = "a job"
    words = f"{subject or job} {PREDICATES[kind]}".strip()
    words += f", {how} {job}" if subject and job else ""
    words += f" ({reason})" if reason else ""
    return printable(f"{moment_words(event['time'])}: {words}")


def dictionaries(values: Any) -> list[dict[str, Any]]:
    """Return the dictionaries in a list; [] if it is no list."""
    return [one for one in values if isinstance(one, dict)] if isinstance(values, list) else []
