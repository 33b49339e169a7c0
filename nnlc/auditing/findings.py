"""What an audit finds: a place, the rule that is broken there, what was found, what is right."""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnlc.auditing.rule_list import RULES, Rule, Severity
from nnlc.errors import TableError
from nnlc.tables import COLUMNS

MOST_ALIKE = 20
"""So many findings of one rule in one file are told one by one; the rest are counted."""
_LONGEST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that an audit has to say of a file or folder."""

    rule: Rule
    path: Path
    line: int | None = None
    """1-based; None where the whole file or folder is meant."""
    column: int | None = None
    """1-based field within the line; None where the whole line is meant."""
    found: str
    """In words, on one line that any terminal can show."""
    right: str
    """What would be right."""
    times: int = 1
    """It stands for so many findings of its rule in the file."""

    @property
    def severity(self) -> Severity:
        return self.rule.severity

    @property
    def column_name(self) -> str | None:
        in_table = self.column is not None and self.column <= len(COLUMNS)
        return COLUMNS[self.column - 1].name if self.column and in_table else None

    @property
    def place(self) -> str:
        """The path, and the line and column as far as they are known."""
        where = [shown(self.path)]
        if self.line is not None:
            where.append(f"line {self.line}")
        if self.column is not None:
            name = f" ({self.column_name})" if self.column_name else ""
            where.append(f"column {self.column}{name}")
        return ", ".join(where)

    def __str__(self) -> str:
        return f"{self.place}: {self.found}" + (f"; right: {self.right}" if self.right else "")

    def to_json(self) -> dict[str, Any]:
        """Plain values by the names of the fields; severity, source and column_name of the rule."""
        return {
            "path": shown(self.path),
            "line": self.line,
            "column": self.column,
            "column_name": self.column_name,
            "rule": self.rule.name,
            "severity": self.severity.word,
            "found": self.found,
            "right": self.right,
            "times": self.times,
            "source": self.rule.source,
        }


class Findings:
    """Findings of one file or folder, as they come: of a rule `MOST_ALIKE`, the rest counted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found: list[Finding] = []
        self._counts: Counter[str] = Counter()

    def add(
        self,
        rule: str,
        found: str,
        right: str = "",
        *,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        """Note a finding of the rule of this name."""
        self._counts[rule] += 1
        if self._counts[rule] <= MOST_ALIKE + 1:
            place = (line, column)
            self._found.append(make_finding(rule, self.path, found, right, place))

    def explain_or_add(self, rule: str, problem: TableError, right: str = "") -> None:
        """Note a problem, unless an error is noted of its place or of all of its line."""
        line, column = problem.line, problem.column
        if not any(
            one.severity is Severity.ERROR
            and line in (None, one.line)
            and (column is None or one.column in (None, column))
            for one in self._found
        ):
            self.add(rule, words_of(problem, self.path), right, line=line, column=column)

    def told(self) -> list[Finding]:
        """Up to `MOST_ALIKE` of each rule in the order of their coming; one more for the rest."""
        told: list[Finding] = []
        seen: Counter[str] = Counter()
        for one in self._found:
            seen[one.rule.name] += 1
            rest = self._counts[one.rule.name] - MOST_ALIKE
            if seen[one.rule.name] > MOST_ALIKE and rest > 1:
                found = f"{one.found}; and {rest - 1} more of this rule"
                one = replace(one, found=found, times=rest)
            told.append(one)
        return told


def make_finding(
    rule: str,
    path: Path,
    found: str,
    right: str = "",
    place: tuple[int | None, int | None] = (None, None),
) -> Finding:
    """A finding of the rule of this name, at a line and column."""
    line, column = place
    return Finding(rule=RULES[rule], path=path, line=line, column=column, found=found, right=right)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """By path, line and column, each told once."""
    return sorted(dict.fromkeys(findings), key=_key)


def _key(one: Finding) -> tuple[Any, ...]:
    return (os.fsencode(one.path), one.line or 0, one.column or 0, one.rule.name, one.found)


def shown(value: object) -> str:
    """Text of any origin on one line of printable ASCII or letters, whatever it holds."""
    text = os.fsencode(value) if isinstance(value, Path) else str(value)
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def words_of(problem: Exception, path: Path) -> str:
    """What an error says, but for the place that it names first."""
    text = str(problem)
    return cut(text.removeprefix(str(path)).partition(": ")[2] or text)


def quoted(text: object) -> str:
    """A value of a table between quotes, cut where it is long."""
    return f"'{cut(text)}'"


def cut(text: object) -> str:
    """Words of any origin on one line, cut where they are long."""
    words = shown(text)
    return f"{words[:_LONGEST]}…" if len(words) > _LONGEST else words
