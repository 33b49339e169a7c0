"""A network under audit: its metadata, what it is held to, and where findings go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnlc.auditing.findings import Findings
from nnlc.auditing.standards import Standard
from nnlc.networks import ImageSet
from nnlc.tables import COLUMNS

COLUMN_OF = {column.field: number for number, column in enumerate(COLUMNS, 1)}
"""Its number in a line, by the field in `NetworkSpec` or `Row`."""

Values = Mapping[str, Any]
"""Metadata by its field in `NetworkSpec`; what can't be read of a damaged table is absent."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One network, and its standard."""

    values: Values
    standard: Standard
    images: tuple[ImageSet, ...]
    """Readings of its image set, which differ in training images only; none if it is unknown."""
    findings: Findings

    def entries(self, field: str) -> Sequence[int]:
        """A list of its metadata; empty where it is absent."""
        found: Sequence[int] = self.values.get(field, ())
        return found

    def refuse(self, rule: str, field: str, found: str, right: str) -> None:
        """Add a finding on a field of line 2."""
        self.findings.add(rule, found, right, line=2, column=COLUMN_OF[field])


def is_not_drawn(value: object) -> bool:
    """Whether a table says 0, which the float 0.0 is not."""
    return type(value) is int and value == 0


def capped(bounds: tuple[int, int | str], natural: int | None) -> tuple[int, int | None]:
    """The range of a draw, as the sampler caps it by its natural bound; None where unknown."""
    low, cap = bounds
    if natural is None:
        return low, None if isinstance(cap, str) else cap
    high = natural if isinstance(cap, str) else min(cap, natural)
    return min(low, high), high
