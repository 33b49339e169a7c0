"""Ranks of a published curve among curves of the same network under other random seeds.

The random streams of the published networks were not recorded, so their curves can't be reproduced.
Instead, each published value is compared with the values under K new seeds. Few seeds prove little:
if the published curve were just one more seed, its value would lie outside the range of the K seeds
with probability 2 / (K + 1), as each of the K + 1 values is equally likely to be the lowest or the
highest. No p-value is computed, since the half epochs of a curve depend on each other.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from nnlc.tables import CURVE_COLUMNS, Row


@dataclass(frozen=True, slots=True)
class CurveRank:
    """Rank of one value of a published curve among the values of the seeds."""

    half_epoch: int
    column: str
    """Name of the column in the table."""
    value: float | None
    """Published value, with a validation loss corrected; None for a blank field."""
    among: tuple[float, ...]
    """Values of the seeds."""

    @property
    def comparable(self) -> bool:
        """True if all values are finite numbers."""
        return self.value is not None and all(map(math.isfinite, (self.value, *self.among)))

    @property
    def below(self) -> int:
        """Return the number of seeds with a lower value."""
        return sum(other < self._value for other in self.among)

    @property
    def equal(self) -> int:
        """Return the number of seeds with the same value."""
        return sum(other == self._value for other in self.among)

    @property
    def percentile(self) -> float | None:
        """Return the percentage of seeds with a lower value; equal values count half."""
        if not self.comparable:
            return None
        return 100 * (self.below + self.equal / 2) / len(self.among)

    @property
    def outside(self) -> bool | None:
        """True if the value is lower, or higher, than those of all seeds."""
        if not self.comparable:
            return None
        return not min(self.among) <= self._value <= max(self.among)

    @property
    def distance(self) -> float | None:
        """Return the distance from the seeds' mean, in sample standard deviations.

        None for fewer than 2 seeds, or if all seeds gave the same value.
        """
        if not self.comparable or len(self.among) < 2:
            return None
        # Diverged losses may be so large that their sum overflows a float.
        unit = max(map(abs, (self._value, *self.among))) or 1.0
        among = [other / unit for other in self.among]
        deviation = statistics.stdev(among)
        return (self._value / unit - statistics.fmean(among)) / deviation if deviation else None

    @property
    def _value(self) -> float:
        return math.nan if self.value is None else self.value


def curve_ranks(
    table: Sequence[Row], factor: float, curves: Sequence[Sequence[Row]]
) -> tuple[CurveRank, ...]:
    """Return the rank of each published value among the seeds' values of the same half epoch.

    Args:
        table: rows of the published table.
        factor: correction factor of its validation losses (`val_loss_correction`).
        curves: rows of each seed, equally many for all seeds.
    """
    found: list[CurveRank] = []
    for half_epoch, (row, *seeds) in enumerate(zip(table, *curves, strict=False), 1):
        for column in CURVE_COLUMNS:
            value = getattr(row, column.field)
            if value is not None and column.field == "val_loss":
                value *= factor
            among = tuple(getattr(seed, column.field) for seed in seeds)
            found.append(CurveRank(half_epoch, column.name, value, among))
    return tuple(found)
