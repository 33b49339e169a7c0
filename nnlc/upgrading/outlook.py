"""Outlook of a results folder: networks that can continue, and training time that is lost.

A trainer reads the checkpoints, since only a trainer knows what their bits depend on. A starting
job and `nnlc upgrade` report the outlook in the same words.
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
    """Network whose checkpoints can't be used here, with the farthest of them."""

    id: str
    path: str
    differences: tuple[tuple[str, str, str], ...]
    """Differences as (dotted key, value in the checkpoint, value here), in words."""
    seconds: float
    """Training time of the network up to the checkpoint, in seconds."""
    nnlc: str
    """Version of the nnlc that wrote the checkpoint."""
    older_ways: tuple[str, ...] = ()
    """Settings that select the checkpoint's arithmetic (`nnlc.families.arithmetic.older_ways`)."""

    @property
    def reason(self) -> str:
        """Return the differences in words, such as another version of a library."""
        changed = [f"{_short(key)} was {there} and is {here}" for key, there, here in self._first]
        return ", ".join(changed) or "its file has another name"

    @property
    def wants(self) -> list[str]:
        """Return what is needed to continue from the checkpoint, such as nnlc 0.1.0."""
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
        """Return the outlook from a trainer's message about checkpoints."""
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
    """Return the warnings of a starting job: of training that it loses, and of mixed tables.

    Args:
        outlook: outlook of the networks without a table.
        mixture: mixture of the tables in the journal, if known.
        tables: number of tables.
        results: the folder.
        elsewhere: IDs of networks that other jobs train; their training is lost only if those
            jobs end before the tables exist.
    """
    theirs = Outlook(0, tuple(each for each in outlook.foreign if each.id in elsewhere))
    ours = tuple(each for each in outlook.foreign if each.id not in elsewhere)
    lines = _lines_of_losses(Outlook(outlook.go_on, ours), mixture, tables, results)
    if theirs.foreign:
        are = counted(len(theirs.foreign), "network is", "networks are")
        lines.append(
            f"warning: {are} under way in another job; if that job ends without the tables, this "
            f"job starts again, and {in_hours(theirs.seconds)} of training are lost: "
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
        "warning: to keep this training, end this job; the old checkpoints stay until their tables "
        f"exist, and need {', '.join(wants[:_SEVERAL])}; {tell_more}",
    ]


def in_hours(seconds: float) -> str:
    """Return a training time in hours, or in seconds if it is short."""
    return f"{seconds / _HOUR:,.1f} h" if seconds >= _HOUR / 10 else f"{seconds:.0f} s"


def _short(key: str) -> str:
    """Return the name of a checkpoint's key for users, such as torch for versions.torch."""
    part, _, name = key.partition(".")
    return name if part in ("versions", "settings") else key.replace(".", " ")
