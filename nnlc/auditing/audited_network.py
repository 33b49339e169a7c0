"""Network under audit: metadata, standard, findings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnlc.auditing.findings import Findings
from nnlc.auditing.standards import Standard
from nnlc.families.layouts import article_layout
from nnlc.networks import ImageSet
from nnlc.tables.columns import columns_of

COLUMN_OF = {column.field: number for number, column in enumerate(columns_of(article_layout()), 1)}
"""Number of a column by its field in `NetworkSpec` or `Row`."""

Values = Mapping[str, Any]
"""Metadata by field of `NetworkSpec`; fields that can't be read are absent."""


@dataclass(frozen=True, slots=True)
class AuditedNetwork:
    """Network under audit, and its standard."""

    values: Values
    standard: Standard
    images: tuple[ImageSet, ...]
    """Possible image sets, which differ in the number of training images only; () if unknown."""
    findings: Findings

    def entries(self, field: str) -> Sequence[int]:
        """Return the list in this field of the metadata; empty if the field is absent."""
        found: Sequence[int] = self.values.get(field, ())
        return found

    def refuse(self, rule: str, field: str, found: str, right: str) -> None:
        """Add a finding on a field of line 2."""
        self.findings.add(rule, found, right, line=2, column=COLUMN_OF[field])


def is_not_drawn(value: object) -> bool:
    """Return True for the integer 0, which means "not drawn"; the float 0.0 is a drawn value."""
    return type(value) is int and value == 0


def capped(bounds: tuple[int, int | str], natural: int | None) -> tuple[int, int | None]:
    """Return the range of a draw after the sampler's cap; a greatest value of None is unknown."""
    low, cap = bounds
    if natural is None:
        return low, None if isinstance(cap, str) else cap
    high = natural if isinstance(cap, str) else min(cap, natural)
    return min(low, high), high
