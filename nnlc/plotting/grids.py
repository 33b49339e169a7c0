"""Curves of different lengths, read by network or by half epoch; bands and groups of networks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nnlc.tables.frames import Tables

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_MOST_POINTS = 400
"""Most half epochs through which a band is drawn; longer curves are thinned out."""

_MOST_DATASETS = 9
_LARGEST = 1e100
"""Bound of drawn values: beyond it, matplotlib's margins would overflow."""
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class ValueCurves:
    """Curves of one value for all networks; NaN where a value can't be drawn.

    Args:
        tables: the tables.
        value: a column of `tables.curves`.
        positive: True if the axis shows only positive values.
    """

    def __init__(self, tables: Tables, value: str, *, positive: bool = False) -> None:
        values = tables.curves[value].to_numpy()
        drawable = np.abs(values) < _LARGEST  # False for NaN
        if positive:
            drawable &= values > 0
        self._values: Floats = np.where(drawable, values, np.nan)
        self.lengths: Integers = tables.networks["half_epochs"].to_numpy()
        self._starts = np.cumsum(self.lengths) - self.lengths

    def of_network(self, network: int) -> Floats:
        """Return the values of one network."""
        start = self._starts[network]
        return self._values[start : start + self.lengths[network]]

    def at(self, half_epoch: int, networks: Integers) -> Floats:
        """Return the values of networks at a half epoch; NaN where a curve ended before."""
        found = np.full(len(networks), np.nan)
        there = self.lengths[networks] >= half_epoch
        found[there] = self._values[self._starts[networks[there]] + half_epoch - 1]
        return found


@dataclass(frozen=True, eq=False)
class Band:
    """Quantiles of values at each epoch: 5%, 25%, median, 75% and 95%."""

    epochs: Floats
    lowest: Floats
    low: Floats
    middle: Floats
    high: Floats
    highest: Floats

    @classmethod
    def from_values(cls, epochs: Sequence[float] | Floats, columns: Sequence[Floats]) -> "Band":
        """Return the quantiles of the finite values in each column; NaN where there are none."""
        quantiles = np.full((len(_QUANTILES), len(columns)), np.nan)
        for i, column in enumerate(columns):
            finite = column[np.isfinite(column)]
            if len(finite):
                quantiles[:, i] = np.quantile(finite, _QUANTILES)
        return cls(np.array(epochs, dtype=float), *quantiles)


def largest_datasets(networks: pd.DataFrame) -> tuple[list[tuple[str, Integers]], str]:
    """Return each dataset's name in tables with the positions of its networks.

    Returns:
        The largest datasets, and a sentence on the datasets left out, if any.
    """
    counts = networks["dataset"].value_counts(sort=False)
    chosen = set(counts.nlargest(_MOST_DATASETS).index)
    found = [
        (name, np.flatnonzero((networks["dataset"] == name).to_numpy()))
        for name in counts.index
        if name in chosen
    ]
    rest = len(counts) - len(found)
    note = f"{rest} smaller datasets are not shown: draw their folders alone." if rest else ""
    return found, note


def half_epochs_to_draw(longest: int) -> Integers:
    """Return all half epochs from the first to the last, or evenly spaced ones if many."""
    return np.unique(np.linspace(1, longest, min(longest, _MOST_POINTS)).round().astype(np.int64))


def group_networks(values: pd.Series, most: int) -> list[tuple[str, Integers]]:
    """Group networks by an integer; neighbouring integers share a group if there are many.

    Args:
        values: the integer of each network.
        most: greatest number of groups.

    Returns:
        Each group's integers, such as "3" or "3–4", and the positions of its networks; if an
        integer is unknown, one group "" of all.
    """
    numbers = values.to_numpy()
    if not np.isfinite(numbers).all():
        return [("", np.arange(len(numbers)))]
    parts = np.array_split(np.unique(numbers), most)
    return [
        (
            str(part[0]) if len(part) == 1 else f"{part[0]}–{part[-1]}",
            np.flatnonzero(np.isin(numbers, part)),
        )
        for part in parts
        if len(part)
    ]
