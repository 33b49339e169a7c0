"""Numeric columns of metrics and networks by name, and the networks that lead by one of them."""

import math
from dataclasses import dataclass

import pandas as pd
from pandas.api.types import is_numeric_dtype

from nnlc.analysis.metrics import metrics
from nnlc.errors import NnlcError
from nnlc.tables.frames import Tables

DEFAULT_COLUMN = "val_accuracy_percent_final"

Epochs = tuple[float, float]
ALL_EPOCHS: Epochs = (0.0, math.inf)


def numeric_column(tables: Tables, name: str, *, epochs: Epochs = ALL_EPOCHS) -> "pd.Series[float]":
    """Return a column of `metrics` or of `tables.networks` as floats, NaN where it has no value.

    Args:
        tables: the result of `load_tables`.
        name: the column.
        epochs: the first and the last epoch that count for metrics.

    Raises:
        NnlcError: there is no such column of numbers; the message lists those that there are.
    """
    found = metrics(tables, epochs=epochs, columns=tuple(map(str, tables.networks)))
    numeric = [str(column) for column in found if is_numeric_dtype(found[column])]
    if name not in numeric:
        what = "has no numbers" if name in found else "is no column"
        raise NnlcError(f"{name!r} {what}; columns of numbers are {', '.join(numeric)}")
    return found[name].astype("Float64").astype("float64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Top:
    """Choice of the networks with the highest or lowest values of a column."""

    count: int
    """Number of networks to choose, from all datasets together."""
    by: str = DEFAULT_COLUMN
    """Column of `metrics` or of `Tables.networks`."""
    lowest: bool = False
    """True to choose the lowest values."""

    def choose(self, tables: Tables, *, epochs: Epochs = ALL_EPOCHS) -> list[str]:
        """Return the IDs of the networks that lead, the first one first; equal values by ID.

        Networks without a value are never chosen, so there may be fewer than `count`.

        Raises:
            NnlcError: there is no such column of numbers.
        """
        values = numeric_column(tables, self.by, epochs=epochs)
        ranked = pd.DataFrame({"value": values, "id": tables.networks["id"]}).dropna()
        ranked = ranked.sort_values(["value", "id"], ascending=[self.lowest, True])
        return list(ranked["id"][: self.count])


def top_of(count: int | None, by: str | None, lowest: bool) -> Top | None:
    """Return the choice that the options --top, --by and --lowest describe; None without --top.

    Raises:
        NnlcError: --by or --lowest is given without --top.
    """
    if count is not None:
        return Top(count=count, by=DEFAULT_COLUMN if by is None else by, lowest=lowest)
    if by is not None or lowest:
        option = "--lowest" if by is None else f"--by {by}"
        raise NnlcError(f"{option}: needs --top; give the number of networks to choose")
    return None
