"""Rules on the metadata of a table, of its family or of its layout, as an audit asks for them.

A family gets a table's values, and says which of them no network of it has.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnlc.networks.columns import Layout
from nnlc.networks.image_sets import ImageSet
from nnlc.networks.specification import Specification

Values = Mapping[str, Any]
"""Metadata by field of the specification; fields that can't be read are absent."""
Refuse = Callable[[str, str, str, str], None]
"""Function that notes a fault: broken rule, field, what was found, and what would be right."""


@dataclass(frozen=True, slots=True)
class TableValues:
    """Metadata of a table under audit."""

    layout: Layout
    values: Values
    images: tuple[ImageSet, ...]
    """Possible image sets, which differ in the number of training images only; () if unknown."""
    refuse: Refuse

    def entries(self, field: str) -> Sequence[int]:
        """Return the list in this field of the metadata; empty if the field is absent."""
        found: Sequence[int] = self.values.get(field, ())
        return found


Check = Callable[[TableValues], None]
"""Function that notes the values that no network has."""


@dataclass(frozen=True, slots=True)
class LayoutRules:
    """Rules on tables of a layout whose campaign is not known."""

    listed: tuple[tuple[str, str, str], ...]
    """Name, source and text of each rule; all of them are errors."""
    check_published: Check
    """Check against what a published network can be."""
    check_any: Check
    """Check against what a network of any campaign can be."""
    redraw: Callable[[Values, ImageSet], Specification]
    """Function that draws the network of a table's seed in the usual space; raises NnlcError."""


def rules_of(layout: Layout) -> LayoutRules | None:
    """Return the rules on tables of a layout; None if they are only known with a campaign."""
    if layout.is_named:
        return None
    from nnlc.families.article.audit_rules import RULES

    return RULES
