"""Hyperparameters of networks as a flat table: a row for each network, a column for each value."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype

from nnlc.networks import POOLING, NetworkSpec

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

Integers = NDArray[np.int64]


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
            result has the columns above that they have, and their own columns of numbers or texts.

    Returns:
        A row for each network, in the same order, with the ID as index. Whole numbers have the type
        "Int64"; where a program has no missing values, use `fillna(0)`.
    """
    found = {name: networks[name] for name in _SCALARS if _is_known(networks, name)}
    with suppress(KeyError, TypeError, ValueError, IndexError):  # lists that do not fit together
        found |= {name: _whole(values) for name, values in _of_layers(networks)}
    for name in networks.columns:
        if name not in _NO_HYPERPARAMETERS and _is_known(networks, name):
            found[name] = networks[name]
    frame = pd.DataFrame({name: column.array for name, column in found.items()})
    return frame.set_axis(pd.Index(networks["id"], name="id"))


def _is_known(networks: pd.DataFrame, name: str) -> bool:
    """Return True if a column has numbers or texts, and not only missing values."""
    if name not in networks or networks[name].isna().all():
        return False
    column = networks[name]
    return is_numeric_dtype(column) or all(isinstance(one, str) for one in column)


def _of_layers(networks: pd.DataFrame) -> Iterator[tuple[str, Integers]]:
    """Yield the name and values of each layer's columns; -1 for a layer that is not there."""
    convolutions = {name: _matrix(networks[name]) for name in _OF_CONVOLUTIONS.values()}
    blocks = convolutions["layer_types"]
    has_pooling = (blocks > 0) & (blocks & POOLING > 0)
    pooling = {}
    for name in _OF_POOLING.values():
        pooling[name] = np.full(blocks.shape, -1)
        pooling[name][has_pooling] = _joined(networks[name])
    for k in range(blocks.shape[1]):
        for value, name in _OF_CONVOLUTIONS.items():
            yield f"conv{k + 1}_{value}", convolutions[name][:, k]
        for value, name in _OF_POOLING.items():
            if has_pooling[:, k].any():
                yield f"pool{k + 1}_{value}", pooling[name][:, k]
    units = networks["fc_filters"]
    yield "fc_layers", np.array([len(one) for one in units], dtype=np.int64)
    hidden = {"units": units.map(lambda one: one[:-1]), "dropout": networks["fc_dropout_layers"]}
    matrices = {value: _matrix(column) for value, column in hidden.items()}
    for j in range(matrices["units"].shape[1]):
        for value, matrix in matrices.items():
            yield f"fc{j + 1}_{value}", matrix[:, j]


def _joined(lists: "pd.Series[Any]") -> Integers:
    return np.fromiter(chain.from_iterable(lists), dtype=np.int64)


def _matrix(lists: "pd.Series[Any]") -> Integers:
    """Return lists as the rows of a matrix, filled up with -1."""
    lengths = np.array([len(one) for one in lists], dtype=np.int64)
    matrix = np.full((len(lists), lengths.max(initial=0)), -1)
    matrix[np.arange(matrix.shape[1]) < lengths[:, None]] = _joined(lists)
    return matrix


def _whole(values: Integers) -> "pd.Series[Any]":
    return pd.Series(pd.arrays.IntegerArray(values.copy(), values < 0))
