"""Layers of the article's networks as columns of numbers, such as conv2_kernel."""

import math
import re
from collections.abc import Iterator, Mapping
from itertools import chain, zip_longest
from typing import Any

import numpy as np
import pandas as pd

from nnlc.families.article.spec import POOLING
from nnlc.families.article.table_facts import are_articles

_OF_CONVOLUTIONS = {
    "kernel": "conv_kernels",
    "stride": "conv_strides",
    "padding": "conv_paddings",
    "filters": "conv_filters",
    "block": "layer_types",
}
_OF_POOLING = {"kernel": "pool_kernels", "stride": "pool_strides", "padding": "pool_paddings"}


def flat_layers(networks: pd.DataFrame) -> Iterator[tuple[str, pd.Series]]:
    """Yield the name and values of each layer's columns, missing where a layer is not there.

    They are conv{k}_kernel, conv{k}_stride, conv{k}_padding, conv{k}_filters and conv{k}_block of
    convolution k = 1, 2, …, the block as in `layer_types`; pool{k}_kernel, pool{k}_stride and
    pool{k}_padding of the pooling layer after convolution k; fc_layers; fc{j}_units and
    fc{j}_dropout (1 if a dropout layer follows) of the fully connected layers but the last, whose
    units are the classes.

    Args:
        networks: a column of lists for each of the article's own; a network of another family has
            a missing value in each.
    """
    known = are_articles(networks, "conv_kernels")
    if not known.any():
        return
    own, index = networks[known], networks.index
    for name, column in _columns_of_layers(own):
        yield name, column.set_axis(own.index).reindex(index)


def _columns_of_layers(networks: pd.DataFrame) -> Iterator[tuple[str, pd.Series]]:
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


def has_layer(name: str, values: Mapping[str, Any]) -> bool:
    """Return True if a network with these values has the layer that a hyperparameter belongs to.

    Convolution k is there if depth is at least k; pooling k if the block of convolution k has it;
    fully connected layer j if fc_layers is larger than j, as the last one's units are the classes.
    """
    match = re.fullmatch(r"(conv|pool|fc)(\d+)_\w+", name)
    if not match:
        return True
    kind, number = match[1], int(match[2])
    if kind == "fc":
        return number < float(values.get("fc_layers", math.inf))
    if kind == "pool" and not int(values.get(f"conv{number}_block", POOLING)) & POOLING:
        return False
    return number <= float(values.get("depth", math.inf))


def is_category(name: str) -> bool:
    """Return True if the numbers of a column are codes of blocks, which have no order."""
    return re.fullmatch(r"conv\d+_block", name) is not None
