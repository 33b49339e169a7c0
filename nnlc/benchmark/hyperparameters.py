"""Hyperparameters of networks as a flat table: a row for each network, a column for each value."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields
from itertools import chain, zip_longest

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from nnlc.families.article import POOLING, NetworkSpec

_SCALARS = (
    *("depth", "optimizer", "learning_rate", "momentum", "dampening", "weight_decay"),
    *("batch_size", "dropout_rate", "fc_dropout_rate"),
)
_OF_CONVOLUTIONS = {
    "kernel": "conv_kernels",
    "stride": "conv_strides",
    "padding": "conv_paddings",
    "filters": "conv_filters",
    "block": "layer_types",
}
_OF_POOLING = {"kernel": "pool_kernels", "stride": "pool_strides", "padding": "pool_paddings"}
_NO_HYPERPARAMETERS = {
    *(field.name for field in fields(NetworkSpec)),
    *("depth", "half_epochs", "published", "path", "seconds", "parameters", "multiply_adds"),
}
"""Columns of `Tables.networks` that are not copied as they are, except those of `_SCALARS`."""


def hyperparameters(networks: pd.DataFrame) -> pd.DataFrame:
    """Return the hyperparameters of networks, with a column for each layer's values.

    The columns are depth, optimizer, learning_rate, momentum, dampening, weight_decay, batch_size,
    dropout_rate and fc_dropout_rate; conv{k}_kernel, conv{k}_stride, conv{k}_padding,
    conv{k}_filters and conv{k}_block of convolution k = 1, 2, …, the block as in `layer_types`;
    pool{k}_kernel, pool{k}_stride and pool{k}_padding of the pooling layer after convolution k;
    fc_layers; fc{j}_units and fc{j}_dropout (1 if a dropout layer follows) of the fully connected
    layers but the last, whose units are the classes.

    A layer that a network does not have has missing values. An option that it does not use, such
    as momentum or dropout, is 0, as in its table.

    Args:
        networks: `networks` of `Tables` or of `Benchmark`. Of networks of other programs, the
            result has the columns above that they have, and their own columns of numbers, texts or
            booleans (as 0 and 1).

    Returns:
        A row for each network, in the same order, with the ID as index. Whole numbers have the type
        "Int64"; where a program has no missing values, use `fillna(0)`.
    """
    found = {name: networks[name] for name in _SCALARS if _is_known(networks, name)}
    with suppress(KeyError, TypeError, ValueError, IndexError):  # lists that do not fit together
        found |= dict(_of_layers(networks))
    for name in networks.columns:
        if name not in _NO_HYPERPARAMETERS and _is_known(networks, name):
            is_bool = is_bool_dtype(networks[name])
            found[name] = networks[name].astype("Int64") if is_bool else networks[name]
    frame = pd.DataFrame({name: column.array for name, column in found.items()})
    return frame.set_axis(pd.Index(networks["id"], name="id"))


def _is_known(networks: pd.DataFrame, name: str) -> bool:
    """Return True if a column has numbers or texts, and not only missing values."""
    if name not in networks or networks[name].isna().all():
        return False
    column = networks[name]
    return is_numeric_dtype(column) or all(isinstance(one, str) for one in column)


def _of_layers(networks: pd.DataFrame) -> Iterator[tuple[str, pd.Series]]:
    """Yield the name and values of each layer's columns, missing where a layer is not there."""
    convolutions = {value: _columns(networks[name]) for value, name in _OF_CONVOLUTIONS.items()}
    has_pooling = (convolutions["block"].fillna(0).to_numpy(int) & POOLING) > 0
    pooling = {}
    for value, name in _OF_POOLING.items():
        spread = np.full(has_pooling.shape, np.nan)
        spread[has_pooling] = list(chain.from_iterable(networks[name]))
        pooling[value] = pd.DataFrame(spread).astype("Int64")
    for k in range(has_pooling.shape[1]):
        for value, columns in convolutions.items():
            yield f"conv{k + 1}_{value}", columns[k]
        for value, columns in pooling.items():
            if has_pooling[:, k].any():
                yield f"pool{k + 1}_{value}", columns[k]
    units = networks["fc_filters"]
    yield "fc_layers", units.map(len).astype("Int64")
    hidden = {"units": units.map(lambda one: one[:-1]), "dropout": networks["fc_dropout_layers"]}
    fully_connected = {value: _columns(lists) for value, lists in hidden.items()}
    for j in range(fully_connected["units"].shape[1]):
        for value, columns in fully_connected.items():
            yield f"fc{j + 1}_{value}", columns[j]


def _columns(lists: pd.Series) -> pd.DataFrame:
    """Return a column for each place of the lists, missing where a list is shorter."""
    return pd.DataFrame(dict(enumerate(zip_longest(*lists)))).astype("Int64")
