"""Numeric columns of metrics and networks by name, and the networks that lead by one of them."""

import math

import pandas as pd
from pandas.api.types import is_numeric_dtype

from nnlc.analysis.metrics import metrics
from nnlc.errors import NnlcError
from nnlc.networks.image_sets import shown_name
from nnlc.tables.frames import Tables, check_tables
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
    check_tables(tables)
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


def select_top(
    tables: Tables,
    count: int | None,
    by: str | None = None,
    *,
    lowest: bool = False,
    epochs: Epochs = ALL_EPOCHS,
) -> Tables:
    """Return only the networks with the highest values of a column, the first one first.

    Networks without a value are left out. Of networks with equal values, the lower ID comes first.

    Args:
        tables: the result of `load_tables`.
        count: number of networks, from all datasets together; None: all, in their own order.
        by: column of `metrics` or of `tables.networks`; None: the final validation accuracy.
        lowest: True to take the lowest values.
        epochs: the first and the last epoch that count for metrics.

    Raises:
        NnlcError: there is no such column of numbers, no network has a value in it, or a column or
            order is given without a count.
    """
    if count is None:
        if by is not None or lowest:
            option = "--lowest" if by is None else f"--by {by}"
            raise NnlcError(f"{option}: needs --top; give the number of networks to choose")
        return tables
    name = DEFAULT_COLUMN if by is None else by
    values = column_of(numeric_columns(tables, epochs=epochs), name)
    ranked = pd.DataFrame({"value": values, "id": tables.networks["id"]}).dropna()
    if len(tables) and not len(ranked):
        raise NnlcError(
            f"{counted(len(tables), 'network')}: none has a value in the column {name}; choose "
            "another --by"
        )
    ranked = ranked.sort_values(["value", "id"], ascending=[lowest, True])
    return tables.select(ranked["id"][:count])


def top_lines(tables: Tables, by: str | None = None, *, epochs: Epochs = ALL_EPOCHS) -> list[str]:
    """Return a short text table of networks: ID, dataset, depth, `by` and the final accuracy."""
    numbers = numeric_columns(tables, epochs=epochs)
    names = dict.fromkeys(["depth", by or DEFAULT_COLUMN, DEFAULT_COLUMN])
    shown = tables.networks[["id", "dataset"]].join(
        numbers[[one for one in names if one in numbers]]
    )
    shown["dataset"] = shown["dataset"].map(shown_name)
    return shown.to_string(index=False, float_format=_written, na_rep="-").splitlines()


def _written(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() else f"{value:.4g}"
