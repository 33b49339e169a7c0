"""Tables of nnlc without their campaign, drawn again from their own seeds."""

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress

from nnlc.auditing.audited_table import AuditedTable
from nnlc.auditing.campaign_rules import compare
from nnlc.errors import NnlcError
from nnlc.networks import Specification

_STAMP = len("YYYY_MM_DD_HH_MM_SS")


def check_redraws(tables: Iterable[AuditedTable]) -> None:
    """Draw networks again in the usual space, and add findings on tables that differ.

    Tables whose IDs have the same stamp come from one campaign. If most of them are drawn the same
    again, the campaign has that space, or one a little narrower. Then the others get a
    finding: they may have been changed. A person must decide.
    """
    by_stamp: defaultdict[str, list[tuple[AuditedTable, list[Specification]]]] = defaultdict(list)
    for table in tables:
        if table.is_whole and table.id is not None and table.standard.redraw:
            by_stamp[table.id[:_STAMP]].append((table, _draw(table)))
    for group in by_stamp.values():
        others = [(t, specs) for t, specs in group if not any(_is_same(t, s) for s in specs)]
        if 2 * len(others) >= len(group):
            continue
        for table, specs in others:
            if specs:
                compare(table, specs[0], "other-space", "as most others of its stamp are drawn")


def _draw(table: AuditedTable) -> list[Specification]:
    """Return the networks that a table's seed gives, one for each possible image set."""
    redraw, found = table.standard.redraw, []
    if redraw is None:
        return []
    for images in table.standard.images(table.dataset):
        with suppress(NnlcError):  # for example if no batch size in the range of the space fits
            found.append(redraw(table.values, images))
    return found


def _is_same(table: AuditedTable, spec: Specification) -> bool:
    return all(getattr(spec, name) == value for name, value in table.values.items())
