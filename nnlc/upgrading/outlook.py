"""Outlook of a results folder: networks that continue, and training that others lose.

A trainer reads the checkpoints, since it alone knows what their bits depend on. A job's start and
`nnlc upgrade` report it in the same words.
"""

import shlex
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from nnlc.results.mixture import Mixture
from nnlc.wording import counted

_HOUR = 3600.0
_SEVERAL = 3
"""Number of reasons that a line names."""


class Foreign(NamedTuple):
    """Farthest checkpoint of a network that can't continue from any."""

    id: str
    path: str
    differences: tuple[tuple[str, str, str], ...]
    """Differences as (dotted key, value there, value here), in words."""
    seconds: float
    """Seconds that its network had been trained."""
    nnlc: str
    """Version that wrote it."""
    older_ways: tuple[str, ...] = ()
    """Settings that bring its arithmetic back, by `nnlc.networks.arithmetic.older_ways`."""

    @property
    def reason(self) -> str:
        """Return what has changed since, such as the version of a library, in words."""
        changed = [f"{_short(key)} was {there} and is {here}" for key, there, here in self._first]
        return ", ".join(changed) or "its file has another name"

    @property
    def wants(self) -> list[str]:
        """Return the requirement for continuing from it, such as nnlc 0.1.0."""
        wants: list[str] = []
        for key, there, _ in self._first:
            if key == "versions.arithmetic":
                wants += self.older_ways or [f"nnlc {self.nnlc}"]
            else:
                wants.append(f"nnlc {self.nnlc}" if key == "format" else f"{_short(key)} {there}")
        return wants or ["the former name of its file"]

    @property
    def _first(self) -> Sequence[tuple[str, str, str]]:
        return self.differences[:_SEVERAL]


@dataclass(frozen=True, slots=True)
class Outlook:
    """Outlook of the networks that have checkpoints."""

    go_on: int
    foreign: tuple[Foreign, ...]

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> "Outlook":
        """Return what a trainer has told of checkpoints."""
        foreign = (
            Foreign(
                each["id"],
                each["path"],
                tuple((key, there, here) for key, there, here in each["differences"]),
                each["seconds"],
                each["nnlc"] or "0.1.0",
                tuple(each["older_ways"]),
            )
            for each in message.get("foreign", ())
        )
        return cls(len(message.get("go_on", ())), tuple(foreign))

    @property
    def seconds(self) -> float:
        """Return the training time that networks with foreign checkpoints lose."""
        return sum(each.seconds for each in self.foreign)

    def reasons(self) -> str:
        """Return why checkpoints are foreign, the most frequent reason first."""
        reasons = Counter(each.reason for each in self.foreign).most_common()
        words = [f"{reason} ({count})" if len(reasons) > 1 else reason for reason, count in reasons]
        more = f"; and {len(words) - _SEVERAL} more reasons" if len(words) > _SEVERAL else ""
        return "; ".join(words[:_SEVERAL]) + more


def start_lines(
    outlook: Outlook,
    mixture: Mixture | None,
    tables: int,
    results: Path,
    elsewhere: Container[str] = (),
) -> list[str]:
    """Return what a start says before it loses training; only of the tables if it loses none.

    Args:
        outlook: outlook of the networks that are left.
        mixture: mixture of the tables, as far as the journal knows them.
        tables: number of tables.
        results: the folder.
        elsewhere: IDs of networks that other jobs have: lost only if those end too early.
    """
    theirs = Outlook(0, tuple(each for each in outlook.foreign if each.id in elsewhere))
    ours = tuple(each for each in outlook.foreign if each.id not in elsewhere)
    lines = _lines_of_losses(Outlook(outlook.go_on, ours), mixture, tables, results)
    if theirs.foreign:
        are = counted(len(theirs.foreign), "network is", "networks are")
        lines.append(
            f"warning: {are} under way in another job; should that end without the tables, this "
            f"one starts again, and {in_hours(theirs.seconds)} of training are lost: "
            f"{theirs.reasons()}"
        )
    return lines


def _lines_of_losses(
    outlook: Outlook, mixture: Mixture | None, tables: int, results: Path
) -> list[str]:
    others = mixture.words if mixture else ""
    if not outlook.foreign:
        return [f"warning: {others}"] if others else []
    tell_more = f"nnlc upgrade {shlex.quote(str(results))} --dry-run says more"
    wants = list(dict.fromkeys(want for each in outlook.foreign for want in each.wants))
    anew = counted(len(outlook.foreign), "network starts again", "networks start again")
    return [
        f"warning: {counted(tables, 'table stays valid', 'tables stay valid')}"
        + (f"; {others}" if others else ""),
        f"warning: {counted(outlook.go_on, 'network continues', 'networks continue')} from "
        f"checkpoints; {anew}, and {in_hours(outlook.seconds)} of training are lost: "
        f"{outlook.reasons()}",
        "warning: to keep this training, end this job; those checkpoints stay until their tables "
        f"exist, and need {', '.join(wants[:_SEVERAL])}; {tell_more}",
    ]


def in_hours(seconds: float) -> str:
    """Return a training time in hours, or in seconds if it is short."""
    return f"{seconds / _HOUR:,.1f} h" if seconds >= _HOUR / 10 else f"{seconds:.0f} s"


def _short(key: str) -> str:
    """Return what a key of a checkpoint is called, such as torch for versions.torch."""
    part, _, name = key.partition(".")
    return name if part in ("versions", "settings") else key.replace(".", " ")
