"""Where a campaign with a stop rule lets a table end.

Its tables may have fewer half epochs than the others have. That one ends where the rule has ended
it, and was not cut off, follows from its own rows: asked again, the rule stops at the last of them
and at none before. So no journal is needed to tell.

What a rule computes may differ in the last bits between processors and versions of NumPy, and then,
rarely, where it stops. Who has the journal's checksum of a table needs no rule.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnlc.analysis.predictors.interface import Curves, StopRule
from nnlc.analysis.predictors.registry import make_stop_rule
from nnlc.tables import CURVE_COLUMNS, Table
from nnlc.tables.fast_parsing import Curve

_FIELDS = [column.field for column in CURVE_COLUMNS]


@dataclass(frozen=True, slots=True)
class WrongEnd:
    """A table that does not end where it should."""

    problem: str
    line: int
    """The first that is missing or too many."""


def curve_of(table: Table) -> Curve:
    """A table's curve as numbers."""
    rows = [[getattr(row, field) for field in _FIELDS] for row in table.rows]
    return np.array(rows, dtype=np.float64)  # None becomes NaN


def wrong_ends(curves: Sequence[Curve], half_epochs: int, stop: str) -> list[WrongEnd | None]:
    """What is wrong with where each curve ends; None where that is right.

    Args:
        curves: of networks of one campaign. Many at once take far less time than one by one.
        half_epochs: of a network that is not stopped.
        stop: the campaign's rule.

    Raises:
        NnlcError: a rule that isn't installed here.
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
    """After how many half epochs the rule stops each curve; None where it does not."""
    longest = max(map(len, curves))
    values = np.full((len(curves), longest, len(_FIELDS)), np.nan)
    for own, curve in zip(values, curves, strict=True):
        own[: len(curve)] = curve
    by_field = dict(zip(_FIELDS, np.moveaxis(values, 2, 0), strict=True))
    stops = rule.decide(Curves(np.arange(1, longest + 1) / 2, **by_field))
    found = zip(curves, stops.points.tolist(), stops.converged.tolist(), strict=True)
    # Behind its last row a curve is filled up: what a rule says of that is not meant.
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
