"""Findings of an audit: a place, the broken rule, what was found, what is right."""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from nnlc.auditing.rule_list import RULES, Rule, Severity
from nnlc.errors import TableError
from nnlc.families.layouts import article_layout
from nnlc.networks.columns import Layout
from nnlc.tables.columns import columns_of

MOST_ALIKE = 20
"""Number of findings listed for each rule and file; the rest are counted."""
_LONGEST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Finding on a file or folder."""

    rule: Rule
    path: Path
    line: int | None = None
    """1-based line; None for the whole file or folder."""
    column: int | None = None
    """1-based field within the line; None for the whole line."""
    column_name: str | None = None
    """Name of the table's column; None for a column that no such table has."""
    found: str
    """Description of the fault, on one printable line."""
    right: str
    """Value or state that would be right."""
    times: int = 1
    """Number of findings that this one represents, all of the same rule and file."""

    @property
    def severity(self) -> Severity:
        return self.rule.severity

    @property
    def place(self) -> str:
        """Return the path, and line and column as far as they are known."""
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
        """Return the fields by name as plain values, with column name, severity and source."""
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
    """Findings of one file or folder: `MOST_ALIKE` of each rule, the rest counted.

    Attributes:
        layout: columns of metadata of the table, as far as they are known yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.layout = article_layout()
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
        """Add a finding of the rule with this name."""
        self._counts[rule] += 1
        if self._counts[rule] <= MOST_ALIKE + 1:
            place = (line, column)
            self._found.append(make_finding(rule, self.path, found, right, place))

    def refuse(self, rule: str, field: str, found: str, right: str) -> None:
        """Add a finding on a field of the metadata."""
        self.add(rule, found, right, line=2, column=column_numbers(self.layout).get(field))

    def explain_or_add(self, rule: str, problem: TableError, right: str = "") -> None:
        """Add a finding on a problem, unless there is an error at its place or on its line."""
        line, column = problem.line, problem.column
        if not any(
            one.severity is Severity.ERROR
            and line in (None, one.line)
            and (column is None or one.column in (None, column))
            for one in self._found
        ):
            self.add(rule, words_of(problem, self.path), right, line=line, column=column)

    def told(self) -> list[Finding]:
        """Return up to `MOST_ALIKE` findings of each rule, and one that counts the rest."""
        told: list[Finding] = []
        names = [column.name for column in columns_of(self.layout)]
        seen: Counter[str] = Counter()
        for one in self._found:
            seen[one.rule.name] += 1
            rest = self._counts[one.rule.name] - MOST_ALIKE
            if seen[one.rule.name] > MOST_ALIKE and rest > 1:
                found = f"{one.found}; and {rest - 1} more of this rule"
                one = replace(one, found=found, times=rest)
            if one.column is not None and 0 < one.column <= len(names):
                one = replace(one, column_name=names[one.column - 1])
            told.append(one)
        return told


@cache
def column_numbers(layout: Layout) -> dict[str, int]:
    """Return the number of each column of a table, by its field in a specification or `Row`."""
    return {column.field: number for number, column in enumerate(columns_of(layout), 1)}


def make_finding(
    rule: str,
    path: Path,
    found: str,
    right: str = "",
    place: tuple[int | None, int | None] = (None, None),
) -> Finding:
    """Return a finding of the rule with this name."""
    line, column = place
    return Finding(rule=RULES[rule], path=path, line=line, column=column, found=found, right=right)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings without repetition, sorted by path, line and column."""
    return sorted(dict.fromkeys(findings), key=_key)


def _key(one: Finding) -> tuple[Any, ...]:
    return (os.fsencode(one.path), one.line or 0, one.column or 0, one.rule.name, one.found)


def shown(value: object) -> str:
    """Return text of any origin on one printable line."""
    text = os.fsencode(value) if isinstance(value, Path) else str(value)
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def words_of(problem: Exception, path: Path) -> str:
    """Return an error's message without the path in front."""
    text = str(problem)
    return cut(text.removeprefix(str(path)).partition(": ")[2] or text)


def quoted(text: object) -> str:
    """Return a value of a table between quotes, cut if it is long."""
    return f"'{cut(text)}'"


def cut(text: object) -> str:
    """Return text of any origin on one line, cut if it is long."""
    words = shown(text)
    return f"{words[:_LONGEST]}…" if len(words) > _LONGEST else words
