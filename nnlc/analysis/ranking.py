"""Numeric columns of metrics and networks by name, and the networks that lead by one of them."""

import math
from dataclasses import dataclass

import pandas as pd
from pandas.api.types import is_numeric_dtype

from nnlc.analysis.metrics import metrics
from nnlc.errors import NnlcError
from nnlc.tables.frames import Tables
from nnlc.wording import counted

DEFAULT_COLUMN = "val_accuracy_percent_final"

Epochs = tuple[float, float]
ALL_EPOCHS: Epochs = (0.0, math.inf)


def numeric_columns(tables: Tables, *, epochs: Epochs = ALL_EPOCHS) -> pd.DataFrame:
    """Return all columns of numbers of `metrics` and of `tables.networks` as floats.

    Args:
        tables: the result of `load_tables`.
        epochs: the first and the last epoch that count for metrics.
    """
    found = metrics(tables, epochs=epochs, columns=tuple(map(str, tables.networks)))
    numeric = [name for name in found if is_numeric_dtype(found[name])]
    return found[numeric].astype("Float64").astype("float64")


def column_of(numbers: pd.DataFrame, name: str) -> "pd.Series[float]":
    """Return a column of `numeric_columns`, NaN where it has no value.

    Raises:
        NnlcError: there is no such column; the message lists those that there are.
    """
    if name not in numbers:
        known = ", ".join(map(str, numbers))
        raise NnlcError(f"{name!r} is no column of numbers; there are {known}")
    return numbers[name]


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
            NnlcError: there is no such column of numbers, or no network has a value in it.
        """
        values = column_of(numeric_columns(tables, epochs=epochs), self.by)
        ranked = pd.DataFrame({"value": values, "id": tables.networks["id"]}).dropna()
        if len(tables) and not len(ranked):
            raise NnlcError(
                f"{counted(len(tables), 'network')}: none has a value in the column {self.by}; "
                "choose another --by"
            )
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
