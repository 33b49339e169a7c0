"""Statistics of an export's records, for its datasheet."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnlc.exporting.contents import Contents
from nnlc.exporting.schema import VALUES

Floats = NDArray[np.float64]
_ACCURACY = [part.name for part in VALUES].index("val_accuracy_percent")


@dataclass(frozen=True, slots=True)
class DatasetStatistics:
    """Statistics of one dataset's networks."""

    name: str
    tables: int
    by_depth: Counter[int]
    """Numbers of networks by their number of convolutions."""
    ranges: tuple[tuple[float, float] | None, ...]
    """Least and greatest finite value for each of `VALUES`; None without a finite value."""
    best: tuple[float, float, float] | None
    """Least, median and greatest of the networks' best accuracies in percent."""
    final: tuple[float, float, float] | None
    """Least, median and greatest of the networks' last accuracies in percent."""
    odd: tuple[tuple[int, int, int], ...]
    """Numbers of nan, infinite and blank fields for each of `VALUES`."""
    diverged: int
    """Number of networks with a loss that is nan or infinite."""


@dataclass(frozen=True, slots=True)
class ExportStatistics:
    """Statistics of all networks of an export."""

    datasets: tuple[DatasetStatistics, ...]
    by_half_epochs: tuple[tuple[int, int], ...]
    """Pairs: a number of half epochs, and the number of tables with it."""

    @property
    def depths(self) -> list[int]:
        """Return all numbers of convolutions that occur."""
        return sorted({depth for one in self.datasets for depth in one.by_depth})


def statistics_of(contents: Contents) -> ExportStatistics:
    """Return the statistics of an export's contents."""
    names = np.array(contents.networks["dataset"], dtype=object)
    lengths = np.array(contents.networks["half_epochs"])
    return ExportStatistics(
        datasets=tuple(_of_dataset(contents, name, names == name) for name in sorted(set(names))),
        by_half_epochs=tuple(sorted(Counter(lengths.tolist()).items())),
    )


def _of_dataset(contents: Contents, name: str, chosen: NDArray[np.bool_]) -> DatasetStatistics:
    depths = np.array(contents.column("depth"))
    all_lengths = np.array(contents.networks["half_epochs"])
    rows = np.repeat(chosen, all_lengths)
    values, blanks = contents.values[rows], contents.blanks[rows]
    lengths = all_lengths[chosen]
    ends = np.cumsum(lengths)
    finite = np.where(np.isfinite(values), values, np.nan)
    is_odd = (~np.isfinite(values) & ~blanks)[:, :_ACCURACY].any(axis=1)
    return DatasetStatistics(
        name=name,
        tables=int(chosen.sum()),
        by_depth=Counter(depths[chosen].tolist()),
        ranges=tuple(_ranges(finite)),
        best=_quantiles(np.fmax.reduceat(finite[:, _ACCURACY], ends - lengths)),
        final=_quantiles(finite[ends - 1, _ACCURACY]),
        odd=tuple(
            (
                int((np.isnan(values[:, i]) & ~blanks[:, i]).sum()),
                int(np.isinf(values[:, i]).sum()),
                int(blanks[:, i].sum()),
            )
            for i in range(len(VALUES))
        ),
        diverged=int(np.logical_or.reduceat(is_odd, ends - lengths).sum()),
    )


def _ranges(finite: Floats) -> Iterator[tuple[float, float] | None]:
    for column in finite.T:
        known = column[~np.isnan(column)]
        yield (float(known.min()), float(known.max())) if len(known) else None


def _quantiles(values: Floats) -> tuple[float, float, float] | None:
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    return float(known.min()), float(np.median(known)), float(known.max())
