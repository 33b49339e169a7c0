"""Surrogate of tables: the nearest network by stated distances, and ranges that it can answer."""

import math

import numpy as np
import pandas as pd
import pytest

from nnlc.benchmark.nearest import NearestNetwork, has_layer
from nnlc.errors import NnlcError

FRAME = pd.DataFrame(
    {
        "depth": pd.array([1, 2, 2], "Int64"),
        "optimizer": ["SGD", "Adam", "SGD"],
        "learning_rate": [1e-4, 1e-2, 1e-1],
        "weight_decay": [0.0, 1e-6, 1e-2],
        "conv1_block": pd.array([1, 2, 3], "Int64"),
        "conv1_filters": pd.array([10, 20, 30], "Int64"),
        "pool1_kernel": pd.array([None, 2, 3], "Int64"),
        "conv2_filters": pd.array([None, 8, 16], "Int64"),
    },
    index=["a", "b", "c"],
)


def values_of(id_, **changes):
    return {name: value for name, value in FRAME.loc[id_].items() if value is not pd.NA} | changes


def one_column(name, values, **asked):
    frame = pd.DataFrame({name: values}, index=[f"n{place}" for place in range(len(values))])
    return NearestNetwork(frame).find(asked)


def test_each_network_is_nearest_to_its_own_values_in_any_type():
    nearest = NearestNetwork(FRAME)
    for id_ in FRAME.index:
        assert nearest.find(values_of(id_, depth=str(FRAME["depth"][id_]))) == id_
        assert nearest.find(values_of(id_)) == id_
        assert nearest.find(FRAME.fillna(0).loc[id_].to_dict()) == id_
        assert nearest.find({k: np.asarray(v)[()] for k, v in values_of(id_).items()}) == id_


def test_rates_are_compared_by_logarithms_and_filters_are_not():
    assert one_column("learning_rate", [1e-4, 1e-1], learning_rate=2e-3) == "n0"
    assert one_column("learning_rate", [1e-4, 1e-1], learning_rate=4e-3) == "n1"
    for name in ("momentum", "dampening", "weight_decay"):
        assert one_column(name, [1e-4, 1e-1], **{name: 4e-3}) == "n1"
    assert one_column("conv1_filters", [1, 1000], conv1_filters=400) == "n0"
    # 0 counts as the smallest positive value, and a number beyond the range as its end.
    assert one_column("weight_decay", [1e-2, 0.0, 1e-6], weight_decay=1e-6) == "n1"
    assert one_column("weight_decay", [1e-2, 1e-6], weight_decay=0) == "n1"
    assert one_column("conv1_filters", [10, 20, 20], conv1_filters=10**9) == "n1"
    assert one_column("width", [math.inf, 1.0, 2.0], width=1.9) == "n0"
    # A negative number too, where a network has one; a network's own -inf is the lowest.
    assert one_column("width", [-1.0, 2.0], width=-9) == "n0"
    assert one_column("width", [-math.inf, 1.0, 2.0], width=1.1) == "n0"


def test_a_text_or_block_is_equal_or_not_and_a_missing_value_is_as_far_as_any():
    blocks = pd.DataFrame({"conv1_block": [1, 7, 2], "width": [0.0, 0.4, 1.0]}, index=[*"abc"])
    assert NearestNetwork(blocks).find({"conv1_block": 2, "width": 0.3}) == "c"
    assert NearestNetwork(blocks).find({"conv1_block": 2, "width": 0}) == "a"
    optional = pd.DataFrame({"x": [math.nan, 1.0, 0.0], "width": [0.0, 0.1, 1.0]}, index=[*"abc"])
    assert NearestNetwork(optional).find({"width": 0.6}) == "a"
    assert NearestNetwork(optional).find({"x": 0.0, "width": 0.0}) == "a"
    assert NearestNetwork(optional).find({"x": 0.0, "width": 0.1}) == "c"


def test_layers_that_a_network_does_not_have_are_ignored():
    nearest = NearestNetwork(FRAME)
    for value in (3, math.nan, None):
        assert nearest.find(values_of("a", conv2_filters=16, pool1_kernel=value)) == "a"
    deep = {"depth": 2, "conv1_block": 2, "fc_layers": 2}
    there = ("conv2_kernel", "pool1_kernel", "fc1_units", "learning_rate", "convoluted")
    assert all(has_layer(name, deep) for name in there)
    away = ("conv3_kernel", "pool3_kernel", "fc2_units")
    assert not any(has_layer(name, deep) for name in away)
    assert not has_layer("pool1_kernel", deep | {"conv1_block": 5})


def test_equally_near_networks_are_answered_by_the_first_id():
    shuffled = pd.DataFrame({"width": [2, 0, 2, 0]}, index=["d", "c", "a", "b"])
    assert [NearestNetwork(shuffled).find({"width": width}) for width in (0, 1, 2)] == [*"baa"]


def test_ranges_are_those_of_the_networks():
    found = {one.name: one for one in NearestNetwork(FRAME).hyperparameters}
    assert list(found) == list(FRAME)
    assert found["optimizer"].choices == ("Adam", "SGD")
    assert found["conv1_block"].choices == (1, 2, 3)
    decay, filters = found["weight_decay"], found["conv2_filters"]
    assert (decay.low, decay.high, decay.whole, decay.logarithmic) == (1e-6, 1e-2, False, True)
    assert (filters.low, filters.high, filters.whole, filters.logarithmic) == (8, 16, True, False)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"lr": 1}, "no hyperparameter 'lr': give depth, optimizer, learning_rate"),
        ({}, "there are no values: give depth"),
        ({"optimizer": "Lion"}, "no network has the optimizer 'Lion': there are Adam, SGD"),
        ({"depth": "two"}, "no network has the depth 'two': there are numbers from 1 to 2"),
        ({"learning_rate": [1]}, r"no network has the learning_rate \[1\]: there are numbers"),
        ({"learning_rate": math.nan}, "no network has the learning_rate nan: there are numbers"),
        ({"optimizer": None}, "no network has the optimizer None: there are Adam, SGD"),
        ({"conv1_filters": pd.NA}, "no network has the conv1_filters <NA>: there are numbers"),
        ({"learning_rate": -0.01}, "no network has the learning_rate -0.01: there are numbers"),
        ({"depth": np.ones(2)}, r"no network has the depth array\(\[1., 1.\]\): there are numbers"),
    ],
)
def test_values_that_no_network_can_have_are_one_line(asked, words):
    with pytest.raises(NnlcError, match=words):
        NearestNetwork(FRAME).find(asked)


@pytest.mark.parametrize("known", [{}, {"width": [4, 4], "kind": ["x", "x"]}])
def test_tables_whose_networks_differ_in_no_hyperparameter_have_no_surrogate(known):
    with pytest.raises(NnlcError, match="these tables have none: leave out surrogate=, and choose"):
        NearestNetwork(pd.DataFrame(known, index=["a", "b"]))
