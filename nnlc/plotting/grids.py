"""Curves of any lengths as columns of values, half epoch by half epoch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nnlc.tables.frames import Tables

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_MOST_POINTS = 400
"""A band of longer curves is drawn through so many of its half epochs."""

_MOST_DATASETS = 9
_LARGEST = 1e100
"""Beyond, matplotlib's margins would overflow."""
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class Curves:
    """One value's curves, of all networks.

    Args:
        tables: whose.
        value: a column of `tables.curves`.
        positive: whether an axis has a place for nothing else.

    Values without a place on an axis are NaN.
    """

    def __init__(self, tables: Tables, value: str, *, positive: bool = False) -> None:
        values = tables.curves[value].to_numpy()
        places = np.abs(values) < _LARGEST  # which NaN is not
        if positive:
            places &= values > 0
        self._values: Floats = np.where(places, values, np.nan)
        self.lengths: Integers = tables.networks["half_epochs"].to_numpy()
        self._starts = np.cumsum(self.lengths) - self.lengths

    def of(self, network: int) -> Floats:
        """The values of one network."""
        start = self._starts[network]
        return self._values[start : start + self.lengths[network]]

    def at(self, half_epoch: int, networks: Integers) -> Floats:
        """The values that these networks have after so many half epochs; NaN where it ended."""
        found = np.full(len(networks), np.nan)
        there = self.lengths[networks] >= half_epoch
        found[there] = self._values[self._starts[networks[there]] + half_epoch - 1]
        return found


@dataclass(frozen=True, eq=False)
class Band:
    """Where the middle half and the middle nine tenths of some values lie, at each epoch."""

    epochs: Floats
    lowest: Floats
    low: Floats
    middle: Floats
    high: Floats
    highest: Floats

    @classmethod
    def of(cls, epochs: Sequence[float] | Floats, columns: Sequence[Floats]) -> "Band":
        """Quantiles of the finite values in each column; NaN where there are none."""
        quantiles = np.full((len(_QUANTILES), len(columns)), np.nan)
        for i, column in enumerate(columns):
            finite = column[np.isfinite(column)]
            if len(finite):
                quantiles[:, i] = np.quantile(finite, _QUANTILES)
        return cls(np.array(epochs, dtype=float), *quantiles)


def datasets(networks: pd.DataFrame) -> tuple[list[tuple[str, Integers]], str]:
    """Each dataset's table name with the positions of its networks, the largest if there are many.

    Returns:
        And a sentence on those that were left out.
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
    """Half epochs from the first to the last, thinned out where there are very many."""
    return np.unique(np.linspace(1, longest, min(longest, _MOST_POINTS)).round().astype(np.int64))


def groups(values: pd.Series, most: int) -> list[tuple[str, Integers]]:
    """Networks by a whole number of theirs, neighbours together where there are many numbers.

    Returns:
        What each group has, such as "3" or "3–4", and the positions of its networks.
    """
    numbers = values.to_numpy()
    parts = np.array_split(np.unique(numbers), most)
    return [
        (
            str(part[0]) if len(part) == 1 else f"{part[0]}–{part[-1]}",
            np.flatnonzero(np.isin(numbers, part)),
        )
        for part in parts
        if len(part)
    ]
