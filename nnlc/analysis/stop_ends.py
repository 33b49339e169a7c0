"""Check of stopped tables: a table must end where the campaign's stop rule stops its network.

A stopped table has fewer rows than the campaign has half epochs. If the table is whole, the rule,
applied to its rows again, stops at the last row and at no row before.

A rule's results may differ in the last bits between processors or versions of NumPy; in rare cases
the rule then stops at another row. A table whose digest is in the journal needs no such check.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnlc.analysis.predictors.interface import Curves, StopRule
from nnlc.analysis.predictors.registry import make_stop_rule
from nnlc.tables import CURVE_COLUMNS
from nnlc.tables.fast_parsing import Curve

_FIELDS = [column.field for column in CURVE_COLUMNS]


@dataclass(frozen=True, slots=True)
class WrongEnd:
    """Problem of a table with too few or too many rows."""

    problem: str
    line: int
    """Number of the first line that is missing or surplus."""


def wrong_ends(curves: Sequence[Curve], half_epochs: int, stop: str) -> list[WrongEnd | None]:
    """Return the problem with the end of each curve; None where a curve ends as it should.

    Args:
        curves: curves of one campaign. Many in one call take far less time than one by one.
        half_epochs: number of half epochs of a network that is not stopped.
        stop: the campaign's stop rule.

    Raises:
        NnlcError: the rule is not installed here.
    """
    if not curves:
        return []
    rule = make_stop_rule(stop, epoch=half_epochs / 2)
    ends = _ends(curves, rule)
    return [
        _wrong_end(len(curve), end, half_epochs, stop)
        for curve, end in zip(curves, ends, strict=True)
    ]


def _ends(curves: Sequence[Curve], rule: StopRule) -> list[int | None]:
    """Return the number of half epochs after which the rule stops each curve; None if never."""
    longest = max(map(len, curves))
    values = np.full((len(curves), longest, len(_FIELDS)), np.nan)
    for own, curve in zip(values, curves, strict=True):
        own[: len(curve)] = curve
    by_field: dict[str, Any] = dict(zip(_FIELDS, np.moveaxis(values, 2, 0), strict=True))
    stops = rule.decide(Curves(np.arange(1, longest + 1) / 2, **by_field))
    found = zip(curves, stops.points.tolist(), stops.converged.tolist(), strict=True)
    # Shorter curves are padded with NaN: a stop in the padding does not count.
    return [end if stopped and end <= len(curve) else None for curve, end, stopped in found]


def _wrong_end(rows: int, end: int | None, half_epochs: int, stop: str) -> WrongEnd | None:
    if rows > half_epochs:
        problem = f"the table has {rows} half epochs where {half_epochs} are expected"
        return WrongEnd(problem, half_epochs + 2)
    if end is not None and end < rows:
        return WrongEnd(
            f"the table has {rows} half epochs, but {stop} stops it after {end}", end + 2
        )
    if end is None and rows < half_epochs:
        problem = (
            f"the table ends after {rows} of {half_epochs} half epochs, and {stop} does not stop "
            "it there"
        )
        return WrongEnd(problem, rows + 2)
    return None
