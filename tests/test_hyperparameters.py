"""Hyperparameters: each layer's values under their own names, and missing where it has no layer."""

import pandas as pd
import pytest
from frame_samples import id_of, write
from table_samples import SPEC

from nnlc import NnlcError, Tables, config_space, load_tables, network_to_config
from nnlc.benchmark.hyperparameters import hyperparameters

DEEP = {
    "layer_types": (2, 1, 7),
    "conv_kernels": (5, 4, 3),
    "conv_strides": (1, 2, 1),
    "conv_paddings": (0, 5, 2),
    "conv_filters": (8, 9, 100),
    "pool_kernels": (6, 2),
    "pool_strides": (3, 1),
    "pool_paddings": (2, 0),
    "fc_filters": (40, 30, 100),
    "fc_dropout_layers": (0, 1),
}


def text_of(row):
    return " ".join(f"{name}={value}" for name, value in row.dropna().items())


def test_each_layers_values_have_columns_of_their_own_and_are_missing_where_it_has_none(tmp_path):
    write(tmp_path, 1)
    write(tmp_path, 2, **DEEP)
    found = hyperparameters(load_tables(tmp_path).networks)
    assert list(found.index) == [id_of(1), id_of(2)]
    for row, scalars in ((0, (2, "SGD", 25)), (1, (3, "SGD", 25))):
        assert tuple(found[["depth", "optimizer", "batch_size"]].iloc[row]) == scalars
    assert (found["dampening"] == 0).all()
    layers = found.iloc[:, list(found.columns).index("conv1_kernel") :]
    assert text_of(layers.iloc[0]) == (
        "conv1_kernel=24 conv1_stride=12 conv1_padding=4 conv1_filters=301 conv1_block=3 "
        "pool1_kernel=1 pool1_stride=1 pool1_padding=0 conv2_kernel=2 conv2_stride=1 "
        "conv2_padding=0 conv2_filters=345 conv2_block=5 fc_layers=1"
    )
    assert text_of(layers.iloc[1]) == (
        "conv1_kernel=5 conv1_stride=1 conv1_padding=0 conv1_filters=8 conv1_block=2 "
        "pool1_kernel=6 pool1_stride=3 pool1_padding=2 conv2_kernel=4 conv2_stride=2 "
        "conv2_padding=5 conv2_filters=9 conv2_block=1 conv3_kernel=3 conv3_stride=1 "
        "conv3_padding=2 conv3_filters=100 conv3_block=7 pool3_kernel=2 pool3_stride=1 "
        "pool3_padding=0 fc_layers=3 fc1_units=40 fc1_dropout=0 fc2_units=30 fc2_dropout=1"
    )
    tables = load_tables(tmp_path)
    again = Tables.from_frames(tables.curves.assign(val_accuracy_percent=50), tables.networks)
    pd.testing.assert_frame_equal(hyperparameters(again.networks), found)


def test_networks_of_other_programs_have_their_own_columns_or_none():
    curves = pd.DataFrame({"id": ["a", "b"], "epoch": 1, "val_accuracy_percent": [50.0, 60.0]})
    assert hyperparameters(Tables.from_frames(curves).networks).shape == (2, 0)
    networks = pd.DataFrame(
        {"id": ["b", "a"], "learning_rate": [0.1, 0.2], "width": [4, 8], "tags": [["x"], ["y"]]}
    )
    networks = networks.assign(kind=["plain", "deep"], wide=pd.array([True, None], "boolean"))
    found = hyperparameters(Tables.from_frames(curves, networks).networks)
    expected = {"learning_rate": 0.1, "width": 4, "kind": "plain", "wide": 1}
    assert found.loc["b"].to_dict() == expected
    assert found["wide"].dtype == "Int64"
    mixed = networks.assign(conv_kernels=[(1, 2), (3,)], layer_types=[(1,), (2,)])
    assert list(hyperparameters(Tables.from_frames(curves, mixed).networks)) == list(found)


def test_a_config_space_without_its_library_names_the_extra(monkeypatch):
    monkeypatch.setattr("nnlc.system.extras.find_spec", lambda _: None)
    with pytest.raises(NnlcError, match=r"needs ConfigSpace, .* pip install 'nnlc\[bench\]'"):
        config_space("paper", "SVHN")
    with pytest.raises(NnlcError, match=r"network_to_config needs ConfigSpace"):
        network_to_config(SPEC, None)
