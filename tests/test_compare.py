"""Methods scored over tables: the numbers, who is left out, and the two commands."""

import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from curve_samples import PUBLISHED, loaded, saturating, table
from frame_samples import id_of
from limits import HANG_SECONDS, let_pass, wait_until
from typer.testing import CliRunner

import nnlc
from nnlc.analysis import parallel
from nnlc.analysis.comparison import COMPARISON_COLUMNS
from nnlc.analysis.comparison_text import comparison_lines
from nnlc.analysis.prediction import PREDICTION_COLUMNS
from nnlc.analysis.predictors import fitted
from nnlc.analysis.predictors.curve_fits import fit_family
from nnlc.analysis.savings import SAVINGS_COLUMNS, savings_lines
from nnlc.cli import app
from nnlc.errors import NnlcError
from nnlc.tables import Row, write_table

CHEAP = ("pow3", "log2", "ensemble:members=pow3+log2", "menndl:patience=1")
WITHOUT_TIME = [name for name in COMPARISON_COLUMNS if name != "milliseconds"]


def tables_of(accuracies, **changes):
    return loaded(*(table(i, curve, **changes) for i, curve in enumerate(accuracies)))


WRONG_KINDS = {
    "no frame": (lambda _: nnlc.Tables.from_frames([1]), "curves is of type list, but must be a"),
    "a path": (lambda _: nnlc.metrics("curves"), "tables is of type str, but must be the result"),
    "to predict": (lambda _: nnlc.predict("curves"), "tables is of type str, but must be the res"),
    "to order": (lambda _: nnlc.importance("curves"), "tables is of type str, but must be the res"),
    "to draw": (lambda _: nnlc.plot_tables("curves"), "tables is of type str, but must be the res"),
    "to write": (
        lambda _: nnlc.aggregate_csv(3, "a.csv"),
        "tables is of type int, but must be the",
    ),
    "no path": (
        lambda _: nnlc.load_tables(None),
        "paths is of type NoneType, but must be a folder",
    ),
    "tables": (
        lambda given: nnlc.savings(given, 1),
        "found is of type Tables, but must be the res",
    ),
    "networks": (
        lambda given: nnlc.plot_comparison(given.networks),
        "found has no column epochs_s",
    ),
    "one ID": (lambda given: nnlc.predict(given, only="n3"), "only is a text, but must be a list"),
}


@pytest.mark.parametrize("kind", WRONG_KINDS)
def test_an_argument_of_the_wrong_kind_is_named_with_what_to_give(kind):
    use, words = WRONG_KINDS[kind]
    with pytest.raises(NnlcError, match=f"^{words}"):
        use(tables_of([saturating(1, 8)[0]]))


def row_of(found, method, cutoff=None):
    rows = found[found["method"] == method]
    return rows.iloc[0] if cutoff is None else rows[rows["cutoff_epoch"] == cutoff].iloc[0]


def write_folder(folder, *tables):
    folder.mkdir()
    for one in tables:
        write_table(one, folder / f"{one.spec.id}.txt")
    return folder


# ---- compare


def test_last1_takes_part_in_every_comparison_and_its_errors_are_the_curves_own():
    found = nnlc.compare(
        tables_of([[10, 20, 30, 40], [50, 50, 50, 50], [5, 6, 7, 9]]),
        [],
        cutoffs=[0.5, 1.5],
        target=2,
    )
    assert list(found.columns) == list(COMPARISON_COLUMNS)
    assert list(found["method"]) == ["last1", "last1"]
    first, second = found.iloc[0], found.iloc[1]
    assert (first["mean_error"], first["median_error"]) == (pytest.approx(34 / 3), 4)
    assert (second["mean_error"], second["median_error"]) == (pytest.approx(4), 2)
    assert second["standard_error"] == pytest.approx(np.std([10, 0, 2], ddof=1) / math.sqrt(3))
    assert list(found["epochs_saved_percent"]) == [75, 25]
    assert list(found["baseline_mean_error"]) == list(found["mean_error"])
    assert list(found["networks"]) == list(found["predicted"]) == [3, 3]


def test_a_failure_is_counted_and_the_baseline_is_over_the_same_networks():
    found = nnlc.compare(
        tables_of([*saturating(3, 20), [7.0] * 20]), ["exp3"], cutoffs=[5], target=10
    )
    row = row_of(found, "exp3", 5)
    assert (row["networks"], row["predicted"], row["failed"]) == (4, 3, 1)
    curves = saturating(3, 20)
    assert row["baseline_mean_error"] == pytest.approx(np.abs(curves[:, 9] - curves[:, 19]).mean())
    assert row["baseline_mean_error"] != row_of(found, "last1", 5)["mean_error"]
    assert pd.isna(row["not_converged"])
    # What can't be predicted is trained to the end, which costs epochs and no error.
    assert row["epochs_saved_percent"] == pytest.approx(50 * 3 / 4)
    assert row["cost_error"] == pytest.approx(row["mean_error"] * 3 / 4)


def test_a_stop_rule_has_one_row_with_its_own_end():
    losses = [*range(8, 0, -1), *[9] * 12]
    tables = loaded(
        table(1, range(20), train_loss=list(map(float, losses))),
        table(2, range(20), train_loss=[float(n) for n in range(20, 0, -1)]),
    )
    row = row_of(nnlc.compare(tables, ["menndl:patience=3"], target=10), "menndl:patience=3")
    assert row["stop_rule"]
    assert row["cutoff_epoch"] == (7 + 10) / 2
    assert row["epochs_saved_percent"] == pytest.approx(15)
    assert (row["predicted"], row["failed"], row["not_converged"]) == (1, 0, 1)
    assert row["mean_error"] == 19 - 13


def test_the_predicted_top_is_compared_within_each_dataset():
    # The best two of twenty at the end are 18 and 19; at the cutoff 0 and 19 lead.
    curves = [[50.0, 1.0 * n] for n in range(20)]
    curves[0][0], curves[19][0] = 80.0, 70.0
    others = [table(100 + i, [9 - i, 9 - i], dataset="Other") for i in range(3)]
    tables = loaded(*(table(i, curve) for i, curve in enumerate(curves)), *others)
    found = nnlc.compare(tables, [], cutoffs=[0.5], target=1)
    assert list(found["dataset"]) == ["CIFAR100", "Other"]
    assert list(found["top_overlap_percent"]) == [50, 100]


def test_equals_share_the_places_at_the_top_and_nothing_predicted_has_none():
    equal = nnlc.compare(tables_of([[9.0, 9.0]] * 20), [], cutoffs=[0.5], target=1).iloc[0]
    assert equal["top_overlap_percent"] == pytest.approx(10)  # as likely as any two of twenty
    found = nnlc.compare(tables_of([[7.0] * 20] * 3), ["pow4"], cutoffs=[5], target=10)
    row = row_of(found, "pow4", 5)
    assert (row["predicted"], row["epochs_saved_percent"]) == (0, 0)
    assert math.isnan(row["top_overlap_percent"])


def test_who_is_trained_to_the_target_is_ranked_by_what_is_seen_there():
    curves = saturating(19, 20, noise=0, seed=3).clip(0, 80)
    tables = tables_of([*curves, [*[5.0] * 10, *[95.0] * 10]])  # the best, and no family rises
    row = row_of(nnlc.compare(tables, ["exp3"], cutoffs=[5], target=10), "exp3", 5)
    assert (row["networks"] - row["predicted"], row["top_overlap_percent"]) == (1, 100)


def test_of_a_small_target_only_cutoffs_before_it_are_taken_unless_others_are_asked_for():
    tables = tables_of(saturating(2, 10))
    assert set(nnlc.compare(tables, [], target=1)["cutoff_epoch"]) == {0.5}
    with pytest.raises(NnlcError, match=r"the target, epoch 0.5, has no half epoch before it"):
        nnlc.compare(tables, [], target=0.5)


def test_why_a_method_predicts_nothing_at_all_is_told():
    found = nnlc.compare(tables_of([[7.0] * 20] * 3), ["pow4", "log2"], cutoffs=[5], target=10)
    assert found.attrs["failures"]["pow4"] == "the accuracy is the same at all points"
    lines = list(comparison_lines(found))
    assert "pow4 predicted nothing: the accuracy is the same at all points" in lines
    [shown] = [line for line in lines if line.startswith("pow4 ") and "predicted" not in line]
    assert shown.split()[3:6] == ["-", "-", "-"]  # a cost, an error and a median, without ±
    assert [row.split()[2:4] for row in lines if row.startswith("pow4  ")] == [["0.0", "-"]]


def test_a_fit_whose_time_is_told_is_made_each_time_and_once(monkeypatch):
    made = []
    monkeypatch.setattr(fitted, "fit_family", lambda *a: made.append(a[0].name) or fit_family(*a))
    for _ in range(2):
        methods = ["pow3", "ensemble:members=pow3+log2"]
        nnlc.compare(tables_of(saturating(3, 20)), methods, cutoffs=[8], target=10)
    assert made == ["pow3", "log2"] * 2


def test_an_ensembles_time_is_that_of_all_its_fits_whoever_made_them(monkeypatch):
    def slow(*arguments):
        let_pass(0.2)
        return fit_family(*arguments)

    monkeypatch.setattr(fitted, "fit_family", slow)
    methods = ["pow3", "ensemble:members=pow3+log2"]
    found = nnlc.compare(tables_of(saturating(1, 20)), methods, cutoffs=[8], target=10)
    assert row_of(found, methods[1])["milliseconds"] > 400


def test_diverged_and_short_networks_are_left_out_and_named():
    lost = table(3, [*range(9), 5], val_loss=[*[1.0] * 9, math.nan])  # after the target
    blank = replace(table(5, range(10)))
    blank = replace(blank, rows=(*blank.rows[:4], Row(1.0, 1.0, None), *blank.rows[5:]))
    tables = loaded(table(1, range(10)), table(2, range(5)), lost, blank)
    found = nnlc.compare(tables, [], cutoffs=[1], target=4)
    assert list(found["networks"]) == [1]
    assert found.attrs["short"] == ["2021_02_15_13_55_26_000002"]
    assert found.attrs["diverged"] == [lost.spec.id, blank.spec.id]
    with pytest.raises(NnlcError, match="2 networks 1 diverged and 1 end before it; the longest"):
        nnlc.compare(tables, [], target=4, only=[lost.spec.id, "2021_02_15_13_55_26_000002"])


def test_the_order_of_networks_and_the_number_of_processes_change_nothing(monkeypatch):
    tables = [table(i, curve) for i, curve in enumerate(saturating(6, 20, seed=2))]
    whole = nnlc.compare(loaded(*tables), CHEAP, target=10)
    again = nnlc.compare(loaded(*reversed(tables)), CHEAP, target=10)
    pd.testing.assert_frame_equal(whole[WITHOUT_TIME], again[WITHOUT_TIME], rtol=1e-12)
    monkeypatch.setattr(parallel, "BATCH", 3)
    shared = nnlc.compare(loaded(*tables), CHEAP, target=10, processes=2)
    pd.testing.assert_frame_equal(whole[WITHOUT_TIME], shared[WITHOUT_TIME], check_exact=True)


def test_later_points_change_nothing_that_is_predicted():
    curves = saturating(4, 24, seed=6)
    before = nnlc.predict(tables_of(curves), method="pow4", target=12, cutoff=4)
    curves[:, 8:23] = 0
    after = nnlc.predict(tables_of(curves), method="pow4", target=12, cutoff=4)
    pd.testing.assert_frame_equal(before, after, check_exact=True)


WRONG = {
    "a method that is none": ({"methods": ["pow9"]}, "there is no method 'pow9'"),
    "one text": ({"methods": "pow3"}, "must be a list"),
    "a cutoff at the target": ({"cutoffs": [4.0]}, "is not before the target"),
    "a cutoff between points": ({"cutoffs": [1.25]}, "steps of 0.5"),
    "no cutoff": ({"cutoffs": []}, "there is no cutoff"),
    "a cutoff that is no number": ({"cutoffs": [math.nan]}, "steps of 0.5"),
    "no target": ({"target": math.inf}, "steps of 0.5"),
    "a target beyond all tables": ({"target": 30}, "5 networks 0 diverged and 5 end before it"),
    "another epoch": ({"methods": ["penguin:epoch=3"]}, "leave out the method's epoch"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_can_not_be_compared_is_refused_with_what_could(kind):
    arguments, word = WRONG[kind]
    tables = tables_of(saturating(5, 10))
    with pytest.raises(NnlcError) as caught:
        nnlc.compare(tables, **{"methods": [], "target": 4, **arguments})
    assert word in str(caught.value)


# ---- datasets and targets


def test_a_dataset_has_its_own_rows_and_its_longest_curve_is_the_target():
    own = [table(i, [10.0, 30.0, 40.0]) for i in (1, 2)]
    others = [table(i, [50.0, 60.0, 70.0, 70.0 + i], dataset="SVHN") for i in (3, 4)]
    lost = table(5, [1.0] * 9, val_loss=[math.nan] * 9, dataset="blobs")
    tables = loaded(own[0], others[0], lost, own[1], others[1], table(6, [1.0], dataset="SVHN"))
    found = nnlc.compare(tables, ["menndl:patience=0.5"], cutoffs=[1])
    assert list(found["dataset"]) == ["CIFAR100"] * 2 + ["SVHN"] * 2
    assert list(found["target_epoch"]) == [1.5, 1.5, 2, 2]
    assert list(found["networks"]) == [2] * 4
    assert list(found["mean_error"][[0, 2]]) == [10, 13.5]
    assert found.attrs["left_out"] == [
        "SVHN: 1 network ends before epoch 2: left out",
        "blobs: 1 network diverged: left out",
    ]
    lines = list(comparison_lines(found))
    assert "SVHN, accuracy at epoch 2" in lines
    alone = nnlc.compare(tables, [], cutoffs=[1], only=[one.spec.id for one in others])
    first, second = alone.drop(columns="milliseconds"), found.drop(columns="milliseconds")
    assert first.iloc[0].equals(second.iloc[2].rename(0))


def test_predictions_are_of_each_datasets_own_last_epoch():
    others = [table(i, [50.0, 60.0, 70.0, 70.0 + i], dataset="SVHN") for i in (3, 4)]
    tables = loaded(others[0], table(1, [10.0, 30.0, 40.0]), others[1])
    found = nnlc.predict(tables, method="last1")
    assert list(found["id"].str[-1]) == ["3", "4", "1"]
    assert list(found["target_epoch"]) == [2, 2, 1.5]
    assert list(found["end_epoch"]) == [1, 1, 0.5]
    assert list(found["error"]) == [13, 14, 30]
    assert "target" not in found.attrs
    rule = nnlc.predict(tables, method="menndl:patience=1")
    assert rule.attrs["methods"] == {
        "SVHN": "menndl:epoch=2:patience=1",
        "CIFAR100": "menndl:epoch=1.5:patience=1",
    }
    # An epoch in the method's settings is the target of all.
    fixed = nnlc.predict(tables, method="menndl:epoch=1.5:patience=1")
    assert set(fixed["target_epoch"]) == {fixed.attrs["target"]} == {1.5}


def test_a_campaigns_last_epoch_is_the_target_even_if_no_table_is_so_long(tmp_path):
    results = tmp_path / "r"
    models = write_folder(results, table(9, [1.0])).rename(tmp_path / "w")
    results.mkdir()
    models.rename(results / "CIFAR-100_models")
    write_table(table(2, range(12)), results / "CIFAR-100_models" / f"{id_of(2)}.txt")
    campaign = results / "campaign.toml"
    for text, target in (("epochs = 5\n", 5), ("epochs = 'five'\n", 6), ("epochs", 6)):
        campaign.write_text(text)
        found = nnlc.compare(nnlc.load_tables(results), [])
        assert set(found["target_epoch"]) == {target}
        assert len(found.attrs["short"]) == 1
    campaign.write_text("epochs = 20\n")
    with pytest.raises(NnlcError, match="for epoch 20: of 2 networks 0 diverged and 2 end before"):
        nnlc.predict(nnlc.load_tables(results))


# ---- savings


def test_what_is_saved_is_the_most_whose_error_is_small_enough():
    tables = tables_of([[10, 80, 84, 85, 85], [50, 56, 57, 57, 58]])
    found = nnlc.compare(tables, ["menndl:patience=9"], cutoffs="fine")
    assert sorted(set(found["cutoff_epoch"])) == [0.5, 1.0, 1.5, 2.0, 2.5]  # a rule at the end
    most = nnlc.savings(found, 1)
    assert list(most.columns) == list(SAVINGS_COLUMNS)
    assert list(most["method"]) == ["last1", "menndl:patience=9"]
    assert next(savings_lines(most)).endswith("a mean error of at most 1 percentage point")
    first = most.iloc[0]
    assert (first["cutoff_epoch"], first["epochs_saved_percent"]) == (1.5, 40)
    assert (first["cost_error"], first["cost_standard_error"]) == (1, 0)
    assert np.isnan(most["epochs_saved_percent"][1])  # it saves nothing
    assert nnlc.savings(found, 50)["cutoff_epoch"][0] == 0.5
    assert list(savings_lines(nnlc.savings(found, 0)))[2].split() == ["menndl:patience=9", "none"]
    with pytest.raises(NnlcError, match="cutoffs"):
        nnlc.compare(tables, [], cutoffs="coarse")
    for error in (-1, 101, math.nan):
        with pytest.raises(NnlcError, match="must be from 0 to 100 percentage points"):
            nnlc.savings(found, error)


def test_what_is_saved_is_told_for_each_dataset():
    tables = loaded(table(1, [1, 9, 9]), table(2, [9, 9, 9], dataset="SVHN"))
    most = nnlc.savings(nnlc.compare(tables, [], cutoffs="fine"), 0)
    assert list(most["dataset"]) == ["CIFAR100", "SVHN"]
    assert list(most["cutoff_epoch"]) == [1, 0.5]
    lines = list(savings_lines(most))
    assert [line.split(",")[0] for line in lines][:4:2] == ["CIFAR-100", "SVHN"]
    assert "on these same networks" in lines[-1]
    assert lines[1].endswith("error 0.00 ± -")


# ---- predict


def test_predict_tells_each_network_and_what_was_seen():
    curves = [[*PUBLISHED, *[26.99] * 32], [*PUBLISHED[:7], *np.linspace(20, 90, 33)]]
    found = nnlc.predict(tables_of(curves))
    assert list(found.columns) == list(PREDICTION_COLUMNS)
    assert found["end_epoch"][0] == 4
    assert found["converged"][0]
    assert found["predicted"][0] == pytest.approx(25.7121, abs=1e-3)
    assert found["error"][0] == pytest.approx(1.2779, abs=1e-3)
    assert found.attrs["method"] == "penguin:epoch=20:points=2:window=3:tolerance=0.5"
    # Without agreement the engine's answer is what was observed, which is no prediction to score.
    assert not found["converged"][1]
    assert math.isnan(found["predicted"][1])
    assert math.isnan(found["error"][1])
    assert found["reason"][1] == "has not converged by epoch 20"


def test_predict_by_a_family_sees_half_of_the_way_unless_it_is_told():
    tables = tables_of([*saturating(2, 20), [7.0] * 20])
    found = nnlc.predict(tables, method="exp3", target=10)
    assert list(found["end_epoch"]) == [5, 5, 5]
    assert list(found["converged"]) == [True, True, False]
    assert found["reason"][2] == "the accuracy is the same at all points"
    assert (found["uncertainty"][:2] > 0).all()
    again = nnlc.predict(tables, method="exp3", target=10, cutoff=7.5)
    assert list(again["end_epoch"]) == [7.5] * 3


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"method": "penguin:epoch=5", "target": 4}, "predicts epoch 5, but the target is epoch 4"),
        ({"method": "menndl", "cutoff": 3, "target": 5}, "decides itself when to stop"),
        ({"method": "pow3", "cutoff": 6, "target": 5}, "is not before the target"),
        ({"method": "last1", "cutoff": 5, "target": 5}, "nothing would be left to predict"),
        ({"method": "last1", "target": 0.5}, "is not before the target"),
        ({"method": "penguin", "target": math.nan}, "steps of 0.5"),
        (
            {"only": ["2021_02_15_13_55_26_000001", "mine"]},
            "none of the 2 networks given has the ID 'mine'",
        ),
        ({"method": "pow3", "target": 0}, "must be from 0.5"),
    ],
)
def test_predict_refuses_what_contradicts_itself(arguments, word):
    with pytest.raises(NnlcError, match=word):
        nnlc.predict(tables_of(saturating(2, 10)), **arguments)


# ---- the commands


@pytest.fixture
def folder(tmp_path):
    curves = saturating(3, 20, noise=0.05, seed=1)
    lost = table(9, range(20), val_loss=[math.nan] * 20)
    return write_folder(tmp_path / "t", *(table(i, c) for i, c in enumerate(curves)), lost)


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_the_command_predict_prints_networks_and_a_summary_and_writes_csv(folder, tmp_path):
    done = run("predict", folder, "--target", 10, "--processes", 1)
    assert done.exit_code == 0, done.output
    assert "2021_02_15_13_55_26_000002" in done.output
    assert "1 network diverged: left out" in done.output
    assert "of 3 networks converged" in done.output
    assert "% saved" in done.output
    path = tmp_path / "p.csv"
    done = run("predict", folder, "--method", "pow3", "--target", 10, "--csv", path)
    assert done.exit_code == 0, done.output
    assert list(pd.read_csv(path).columns) == list(PREDICTION_COLUMNS)
    assert len(pd.read_csv(path)) == 3


def test_the_command_compare_prints_a_table_and_writes_csv(folder, tmp_path):
    path = tmp_path / "c.csv"
    asked = ("--methods", "pow3,ensemble:members=pow3+log2", "--cutoffs", "2,5", "--target", 10)
    done = run("compare", folder, *asked, "-o", path)
    assert done.exit_code == 0, done.output
    assert done.output.count("\nlast1") == 2
    assert "1 network diverged: left out" in done.output
    written = pd.read_csv(path)
    assert list(written.columns) == list(COMPARISON_COLUMNS)
    assert list(written["cutoff_epoch"]) == [2, 5] * 3
    for old in (path.read_text(), path.read_text().replace("dataset,", "", 1)):
        path.write_text(old)
        again = run("compare", folder, *asked, "-o", path)  # files of all versions may be replaced
        assert again.exit_code == 0, again.output
    few = run("compare", folder, *asked, "--error", 30, "-o", tmp_path / "e.csv")
    assert few.exit_code == 0, few.output
    assert "epochs saved at a mean error of at most 30 percentage points" in few.output
    assert list(pd.read_csv(tmp_path / "e.csv").columns) == list(SAVINGS_COLUMNS)


def test_a_sample_is_drawn_by_its_seed(folder):
    first, same = (
        run("predict", folder, "--method", "last1", "--target", 10, "--sample", 2) for _ in "ab"
    )
    assert first.output == same.output
    too_many = run("predict", folder, "--method", "last1", "--sample", 9)
    assert isinstance(too_many.exception, NnlcError)


def test_a_file_that_is_not_ours_is_not_replaced(folder, tmp_path):
    path = tmp_path / "notes.csv"
    path.write_text("my,notes\n")
    for verb, option in (("predict", "--csv"), ("compare", "-o")):
        done = run(verb, folder, option, path)
        assert isinstance(done.exception, NnlcError)
        assert path.read_text() == "my,notes\n"


def test_the_commands_list_all_methods():
    for verb in ("predict", "compare"):
        done = CliRunner().invoke(app, [verb, "--list"])
        assert done.exit_code == 0
        assert "a − b·x^(−c)" in done.output
        assert "penguin:epoch=20:points=2:window=3:tolerance=0.5" in done.output


def test_a_wrong_cutoff_is_one_message(folder):
    done = run("compare", folder, "--cutoffs", "2,five")
    assert isinstance(done.exception, NnlcError)
    assert "'five' is not an epoch" in str(done.exception)


LONG = """
from curve_samples import loaded, saturating, table
import nnlc
from nnlc.analysis import parallel

if __name__ == "__main__":
    parallel.BATCH = 100
    tables = loaded(*(table(i, curve) for i, curve in enumerate(saturating(2000, 60))))
    nnlc.compare(tables, target=30, processes=2)
"""


@pytest.mark.parametrize("signals", [1, 2])
def test_ctrl_c_ends_all_processes_at_once_however_often_it_comes(tmp_path, signals):
    (tmp_path / "long.py").write_text(LONG)
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = os.environ | {"PYTHONPATH": paths}
    job = subprocess.Popen([sys.executable, tmp_path / "long.py"], env=environment, stderr=-1)
    children = Path(f"/proc/{job.pid}/task/{job.pid}/children")
    wait_until(lambda: len(children.read_text().split()) == 3)  # with one that only tracks them
    own = children.read_text().split()
    let_pass(1)
    for _ in range(signals):
        job.send_signal(signal.SIGINT)
        let_pass(0.05)
    assert b"KeyboardInterrupt" in job.communicate(timeout=HANG_SECONDS)[1]
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in own))
