"""Events of a journal that a job's user is told of, and those that nobody has told of yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nnlc.results.job_facts import event_words

KINDS = {"lost": "lost", "node": "node", "retire": "node", "end": "failed"}
"""Events of the journal that users are told of, and what the command calls them."""
TOLD = "told"
"""Event that a user was told of another, whose key it has."""


@dataclass(frozen=True, slots=True)
class UserEvent:
    """Event that a user is told of."""

    kind: str
    key: str
    """Identity of the event, by which it is told once."""
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    """More values for the command."""


def user_event(event: dict[str, Any], start: dict[str, Any] | None) -> UserEvent:
    """Return an event of the journal as the user is told of it.

    Args:
        event: the event, with its key.
        start: the start event of its job, if it is known.
    """
    host = event.get("host")
    about = {"node": host} if isinstance(host, str) else {}
    return UserEvent(
        KINDS[event["event"]], str(event["tell"]), event_words(dict(event), start), about
    )


class UntoldEvents:
    """Events that nobody has told of, collected from a journal in order of time."""

    def __init__(self) -> None:
        self._events: dict[str, tuple[str, dict[str, Any]]] = {}
        self._told: set[str] = set()

    def follow(self, name: str, event: dict[str, Any]) -> None:
        """Add the next event, from the file of this name."""
        if event["event"] == TOLD:
            self._told.add(str(event.get("key")))
        elif isinstance(key := event.get("tell"), str) and event["event"] in KINDS:
            self._events.setdefault(key, (name, event))

    def all(self, starts: Mapping[str, dict[str, Any]]) -> list[UserEvent]:
        """Return the events, the oldest first.

        Args:
            starts: start events of jobs by the names of their files.
        """
        found = (each for key, each in self._events.items() if key not in self._told)
        return [user_event(event, starts.get(name)) for name, event in found]
