"""Hyperparameters of networks as a flat table: a row for each network, a column for each value."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import zip_longest

import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from nnlc.families.layouts import article_layout, drawn_numbers, flat_layers

_SCALARS = (
    *("depth", "optimizer", "learning_rate", "momentum", "dampening", "weight_decay"),
    *("batch_size", *drawn_numbers()),
)
_NO_HYPERPARAMETERS = {
    *(column.field for column in article_layout().columns),
    "family",
    *("depth", "half_epochs", "published", "path", "seconds", "parameters", "multiply_adds"),
}
"""Columns of `Tables.networks` that are not copied as they are, except those of `_SCALARS`."""


def hyperparameters(networks: pd.DataFrame) -> pd.DataFrame:
    """Return the hyperparameters of networks, with a column for each layer's values.

    The columns are depth, optimizer, learning_rate, momentum, dampening, weight_decay, batch_size;
    of the article's networks, dropout_rate, fc_dropout_rate and those of each layer, such as
    conv1_kernel, conv1_block, pool1_stride and fc1_units (`nnlc.families.article.flat_layers`); of
    other families, their own columns, NAME1, NAME2, … for the entries of a list.

    A layer that a network does not have has missing values. An option that it does not use, such
    as momentum or dropout, is 0, as in its table.

    Args:
        networks: `networks` of `Tables` or of `Benchmark`. Of networks of other programs, the
            result has the columns above that they have, and their own columns of numbers, texts,
            lists of integers, or booleans (as 0 and 1).

    Returns:
        A row for each network, in the same order, with the ID as index. Whole numbers have the type
        "Int64"; where a program has no missing values, use `fillna(0)`.
    """
    found = {name: networks[name] for name in _SCALARS if _is_known(networks, name)}
    with suppress(KeyError, TypeError, ValueError, IndexError):  # lists that do not fit together
        found |= dict(flat_layers(networks))
    for name in networks.columns:
        if name in _NO_HYPERPARAMETERS:
            continue
        if _is_lists(networks[name]):
            found |= dict(_of_entries(name, networks[name]))
        elif _is_known(networks, name):
            is_bool = is_bool_dtype(networks[name])
            found[name] = networks[name].astype("Int64") if is_bool else networks[name]
    frame = pd.DataFrame({name: column.array for name, column in found.items()})
    return frame.set_axis(pd.Index(networks["id"], name="id"))


def _is_known(networks: pd.DataFrame, name: str) -> bool:
    """Return True if a column has numbers or texts, and not only missing values."""
    if name not in networks or networks[name].isna().all():
        return False
    column = networks[name]
    return is_numeric_dtype(column) or all(isinstance(one, str) for one in column.dropna())


def _is_lists(column: pd.Series) -> bool:
    """Return True if all values that a column has are lists, as tuples of integers."""
    known = [one for one in column if not (isinstance(one, float) or one is None or one is pd.NA)]
    return bool(known) and all(isinstance(one, tuple) for one in known)


def _of_entries(name: str, lists: pd.Series) -> Iterator[tuple[str, pd.Series]]:
    """Yield a column for each place of lists, missing where a list is shorter or not there."""
    entries = [one if isinstance(one, tuple) else () for one in lists]
    for place, values in enumerate(zip_longest(*entries), 1):
        yield f"{name}{place}", pd.Series(values, index=lists.index, dtype="Int64")
