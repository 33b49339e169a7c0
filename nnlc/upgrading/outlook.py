"""Which networks of a results folder go on from their checkpoints, and what the others lose.

A trainer says it of the networks that have any (`nnlc.wire`, `checkpoints`): it alone knows what
their bits depend on. The words are the same before a job and in `nnlc upgrade`.
"""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from nnlc.upgrading.mixture import Mixture
from nnlc.wording import counted

_HOUR = 3600.0
_SEVERAL = 3
"""So many reasons a line names."""


class Foreign(NamedTuple):
    """The farthest checkpoint of a network that can't go on from any."""

    id: str
    path: str
    differences: tuple[tuple[str, str, str], ...]
    """In what it is foreign: key, and the values there and here, in words."""
    seconds: float
    """Of training that are in it."""
    nnlc: str
    """The version that has written it."""

    @property
    def reason(self) -> str:
        """What is another there, such as the version of a library, in words."""
        changed = [f"{_short(key)} was {there} and is {here}" for key, there, here in self._first]
        return ", ".join(changed) or "its file has another name"

    @property
    def wants(self) -> list[str]:
        """What it would take to go on from it."""
        return [
            f"nnlc {self.nnlc}"
            if key in ("format", "versions.arithmetic")
            else f"{_short(key)} {there}"
            for key, there, _ in self._first
        ]

    @property
    def _first(self) -> Sequence[tuple[str, str, str]]:
        return self.differences[:_SEVERAL]


@dataclass(frozen=True, slots=True)
class Outlook:
    """What becomes of the networks that have checkpoints."""

    go_on: int
    foreign: tuple[Foreign, ...]

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> "Outlook":
        """As a trainer has told it."""
        foreign = (
            Foreign(
                each["id"],
                each["path"],
                tuple((key, there, here) for key, there, here in each["differences"]),
                each["seconds"],
                each["nnlc"] or "0.1.0",
            )
            for each in message.get("foreign", ())
        )
        return cls(len(message.get("go_on", ())), tuple(foreign))

    @property
    def seconds(self) -> float:
        """Of training that are lost where all that are foreign begin anew."""
        return sum(each.seconds for each in self.foreign)

    def reasons(self) -> str:
        """Why checkpoints are foreign, the most frequent first."""
        reasons = Counter(each.reason for each in self.foreign).most_common()
        words = [f"{reason} ({count})" if len(reasons) > 1 else reason for reason, count in reasons]
        more = f"; and {len(words) - _SEVERAL} more reasons" if len(words) > _SEVERAL else ""
        return "; ".join(words[:_SEVERAL]) + more


def start_lines(outlook: Outlook, mixture: Mixture | None, tables: int, results: Path) -> list[str]:
    """Return what a start says before it loses anything; nothing where it loses nothing.

    Args:
        outlook: of the networks that are left.
        mixture: of the tables that stand, if a journal tells of any.
        tables: how many stand.
        results: the folder.
    """
    others = mixture.words if mixture else ""
    if not outlook.foreign:
        return [f"warning: {others}"] if others else []
    tell_more = f"'nnlc upgrade {shlex.quote(str(results))} --dry-run' says more"
    wants = list(dict.fromkeys(want for each in outlook.foreign for want in each.wants))
    anew = counted(len(outlook.foreign), "network begins anew", "networks begin anew")
    return [
        f"warning: {counted(tables, 'table stands and stays', 'tables stand and stay')}"
        + (f"; {others}" if others else ""),
        f"warning: {counted(outlook.go_on, 'network goes on', 'networks go on')} from checkpoints; "
        f"{anew}, and {in_hours(outlook.seconds)} of training are lost: {outlook.reasons()}",
        "warning: to go on as before end this job; those checkpoints stay until their tables "
        f"stand, and want {', '.join(wants[:_SEVERAL])}; {tell_more}",
    ]


def in_hours(seconds: float) -> str:
    """Return a time of training, in hours unless it is short."""
    return f"{seconds / _HOUR:,.1f} h" if seconds >= _HOUR / 10 else f"{seconds:.0f} s"


def _short(key: str) -> str:
    """What a key of a checkpoint is called: `torch` for `versions.torch`."""
    part, _, name = key.partition(".")
    return name if part in ("versions", "settings") else key.replace(".", " ")
