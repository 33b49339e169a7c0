"""Which tables of a disturbed campaign came out as they should."""

from collections.abc import Iterable
from pathlib import Path

from worker_jobs import tables


class Ledger:
    """Compares tables with those of the undisturbed job, and keeps count.

    Args:
        expected: the tables of the undisturbed job.
        aside: a folder for tables that differ.

    Attributes:
        compared: tables that went through it to the end.
        different: those that were not as expected, torn and surplus ones too.
        missing: those that a job which said it was done had not made.
    """

    def __init__(self, expected: dict[str, bytes], aside: Path) -> None:
        self.expected, self._aside = expected, aside
        self.compared = 0
        self.different: list[str] = []
        self.missing: list[str] = []

    def look(self, results: Path) -> None:
        """At any time: each table that stands must be right. One that is not is moved aside."""
        for name, content in tables(results).items():
            if content != self.expected.get(name):
                self.different.append(name)
                self._aside.mkdir(exist_ok=True)
                place = self._aside / f"{len(self.different)}-{Path(name).name}"
                place.write_bytes(content)
                (results / name).unlink()

    def settle(self, results: Path, names: Iterable[str] | None = None) -> None:
        """When a campaign is finished: all tables must stand. Those named are then deleted."""
        self.look(results)
        standing = tables(results)
        self.missing += sorted(self.expected.keys() - standing.keys())
        leaving = standing.keys() & set(self.expected if names is None else names)
        self.compared += len(leaving)
        for name in leaving if names is not None else ():
            (results / name).unlink()

    @property
    def verdict(self) -> str:
        total, wrong = self.compared + len(self.different), len(self.different)
        return f"{wrong} of {total} tables differ, {len(self.missing)} missing"

    @property
    def all_right(self) -> bool:
        return not self.different and not self.missing and self.compared > 0
