"""Shares of the accuracy's variance: known ones are found, and none where nothing has an effect."""

import math

import numpy as np
import pandas as pd
import pytest
from curve_samples import loaded, table
from typer.testing import CliRunner

import nnlc
from nnlc.analysis.importance import IMPORTANCE_COLUMNS, SETTINGS
from nnlc.cli import app
from nnlc.errors import NnlcError
from nnlc.tables import write_table


def tables_of(accuracies, **settings):
    """Tables with these final accuracies; `settings` has a value for each network."""
    rows = pd.DataFrame(settings).to_dict("records")
    return loaded(*(table(i, [a], **rows[i]) for i, a in enumerate(accuracies)))


def row_of(found, setting):
    return found[found["setting"] == setting].iloc[0]


def samples(count, seed=0):
    """Learning rates, of which half are 0, and values that depend on nothing."""
    rng = np.random.default_rng(seed)
    rates = np.where(rng.random(count) < 0.5, 0.0, rng.random(count))
    return rates, rng.normal(size=count), rng


def as_accuracies(values):
    return (50 + 5 * values).clip(0, 100)


def test_a_known_share_is_found_within_its_error_and_the_others_are_nothing():
    x, noise, rng = samples(400)
    # Of the variance of x + c·noise, x explains half if both terms vary as much.
    accuracies = as_accuracies(x + noise * x.std() / noise.std())
    tables = tables_of(accuracies, momentum=x, learning_rate=rng.random(400) + 0.1)
    found = nnlc.importance(tables, ["learning_rate", "momentum"])
    assert list(found.columns) == list(IMPORTANCE_COLUMNS)
    assert list(found["setting"]) == ["momentum", "learning_rate"]
    first, second = found.iloc[0], found.iloc[1]
    assert first["share"] == pytest.approx(0.5, abs=3 * first["standard_error"])
    assert 0.01 < first["standard_error"] < 0.06
    assert abs(second["share"]) < 3 * second["standard_error"]


def test_without_any_effect_shares_are_0_on_average_and_within_their_errors():
    shares = []
    for seed in range(12):
        x, noise, _ = samples(60, seed)
        row = nnlc.importance(tables_of(as_accuracies(noise), momentum=x), ["momentum"]).iloc[0]
        assert abs(row["share"]) < 3 * row["standard_error"]
        shares.append(row["share"])
    assert abs(np.mean(shares)) < 0.05


def test_an_optimum_in_the_middle_counts_and_units_do_not():
    x = np.arange(1.0, 101)
    accuracies = 90 - (x - 50) ** 2 / 50
    found = [
        nnlc.importance(tables_of(accuracies, learning_rate=rates), ["learning_rate"])
        for rates in (x, 10**-x)
    ]
    assert found[0]["share"][0] > 0.9
    assert found[1]["share"][0] == pytest.approx(found[0]["share"][0], abs=0.02)


def test_a_setting_of_few_values_has_kelleys_epsilon_squared_of_kruskal_and_wallis():
    from scipy.stats import kruskal

    depths, accuracies = np.arange(60) % 3, (np.arange(60) * 7 % 23).astype(float)
    tables = tables_of(accuracies + 10 * (depths == 1), fc_dropout_rate=depths / 10)
    values = tables.curves["val_accuracy_percent"].to_numpy()
    h = kruskal(*(values[depths == depth] for depth in range(3))).statistic
    row = nnlc.importance(tables, ["fc_dropout_rate"]).iloc[0]
    assert row["share"] == pytest.approx((h - 2) / (60 - 3))
    again = nnlc.importance(tables, ["fc_dropout_rate"]).iloc[0]
    assert row["standard_error"] == again["standard_error"]


def test_settings_made_of_lists_are_counted_and_missing_values_are_left_out():
    x, _, _ = samples(30)
    codes = [(1,) if value > 0 else (4,) for value in x]
    tables = tables_of(as_accuracies(x), layer_types=codes, **FLAT)
    tables.networks["mine"] = pd.array([1, None, *range(28)], dtype="Int64")
    found = nnlc.importance(tables, ["relu_share", "mine"])
    assert row_of(found, "relu_share")["share"] > 0.5
    assert row_of(found, "mine")["networks"] == 29
    tables.networks["momentum"] = math.nan
    whole = nnlc.importance(tables)
    assert "momentum" not in set(whole["setting"])
    assert set(whole["setting"]) <= set(SETTINGS)
    assert {"depth", "largest_kernel", "pooling_share"} <= set(whole["setting"])


FLAT = {
    **{name: [(1,)] * 30 for name in ("conv_kernels", "conv_strides", "conv_filters")},
    "conv_paddings": [(0,)] * 30,
    **{f"pool_{name}": [()] * 30 for name in ("kernels", "strides", "paddings")},
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "t").mkdir()
    for i in range(14):
        dataset = "blobs" if i < 10 else "SVHN"
        one = table(i, [10.0 * i % 70], dataset=dataset, learning_rate=0.1 + i)
        write_table(one, tmp_path / "t" / f"{one.spec.id}.txt")
    return tmp_path / "t"


def test_datasets_are_never_mixed_and_too_few_networks_have_no_share(folder, tmp_path):
    path = tmp_path / "i.csv"
    done = CliRunner().invoke(
        app, ["importance", str(folder), "--settings", "depth,learning_rate", "-o", str(path)]
    )
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert [line.split(",")[0] for line in lines if ", share of" in line] == ["SVHN", "blobs"]
    assert "near or below 0 means" in lines[-2]
    assert sum("4 networks, too few: 10 are needed" in line for line in lines) == 2
    assert sum("10 networks, all of one value" in line for line in lines) == 1
    written = pd.read_csv(path)
    assert list(written["networks"]) == [4, 4, 10, 10]
    assert list(written["share"].notna()) == [False, False, True, False]


def test_what_is_no_setting_or_has_no_numbers_is_refused_with_those_that_are(folder):
    tables = nnlc.load_tables(folder)
    for wrong, words in (
        ({"settings": ["speed"]}, "'speed' is no column of numbers; there are"),
        ({"settings": ["conv_kernels"]}, "'conv_kernels' is no column of numbers"),
        ({"settings": []}, "there is no setting; name at least one"),
        ({"of": "speed"}, "'speed' is no column"),
    ):
        with pytest.raises(NnlcError, match=words):
            nnlc.importance(tables, **wrong)
    assert math.isnan(nnlc.importance(tables, ["depth"], of="saw_tooth")["share"][0])
