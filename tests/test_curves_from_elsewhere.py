"""Curves of other programs, as data frames and CSV files: read strictly, used as far as known."""

import numpy as np
import pandas as pd
import pytest
from curve_samples import loaded, saturating, table
from typer.testing import CliRunner

from nnlc import Benchmark, NnlcError, Tables, compare, load_tables, metrics, plot_tables, predict
from nnlc.cli import app

HEAD = "id,epoch,val_accuracy_percent\n"
FIT = ["predicted", "uncertainty", "observed", "error", "converged"]


def run(*words):
    return CliRunner().invoke(app, list(map(str, words)))


@pytest.fixture(scope="module")
def ours():
    """Six networks of nnlc with 20 half epochs each, one with 16."""
    curves = saturating(6, 20)
    return loaded(*(table(i, list(one[: 16 if i == 5 else 20])) for i, one in enumerate(curves)))


def in_epochs(tables, step):
    """The same curves with `step` epochs from row to row, and only the columns that are needed."""
    curves = tables.curves.assign(epoch=tables.curves["half_epoch"] * step)
    return Tables.from_frames(curves[["id", "epoch", "val_accuracy_percent"]])


def write_csv(folder, tables):
    curves, networks = folder / "curves.csv", folder / "networks.csv"
    columns = ["id", "epoch", "val_accuracy_percent", "train_loss"]
    tables.curves[columns].to_csv(curves, index=False)
    about = tables.networks[["id", "dataset", "learning_rate"]]
    about.assign(family="resnet", parameters=1000, code="007").to_csv(networks, index=False)
    return curves, networks


def test_curves_in_half_epochs_give_the_results_of_the_tables_that_they_come_from(ours):
    other = Tables.from_frames(ours.curves, ours.networks)
    pd.testing.assert_frame_equal(metrics(other), metrics(ours))
    for method in ("penguin", "menndl:patience=2", "pow4"):
        pd.testing.assert_frame_equal(predict(other, method=method), predict(ours, method=method))


@pytest.mark.parametrize("method", ["penguin", "pow4"])
def test_curves_in_whole_epochs_are_predicted_at_twice_the_epochs(ours, method):
    halves, wholes = (predict(in_epochs(ours, step), method=method) for step in (0.5, 1))
    pd.testing.assert_frame_equal(wholes[FIT], halves[FIT])
    assert (wholes["end_epoch"] == 2 * halves["end_epoch"]).all()
    assert (halves["target_epoch"] == 10).all()
    assert (wholes["target_epoch"] == 20).all()
    assert len(wholes) == 5
    with pytest.raises(NnlcError, match=r"epoch 4\.5: these curves have whole epochs only"):
        predict(in_epochs(ours, 1), method="pow4", cutoff=4.5)


def test_a_stop_rule_counts_whole_epochs_in_its_settings(ours):
    curves = ours.curves.assign(epoch=ours.curves["half_epoch"], train_loss=1.0)
    found = predict(Tables.from_frames(curves), method="menndl:patience=5")
    assert set(found["end_epoch"]) == {6}
    assert found["converged"].all()
    rows = compare(Tables.from_frames(curves), ["menndl:patience=5"], cutoffs=[3])
    assert list(rows["cutoff_epoch"]) == [3, 6]
    assert list(rows["epochs_saved_percent"]) == [85, 70]


def test_metrics_of_whole_epochs_are_in_epochs_and_what_is_not_known_is_missing(ours):
    tables = in_epochs(ours, 1)
    halves, wholes = metrics(in_epochs(ours, 0.5)), metrics(tables)
    for name in ("best_epoch", "half_epochs_to_90_percent", "accuracy_area"):
        np.testing.assert_allclose(wholes[name].astype(float), 2 * halves[name].astype(float))
    assert (wholes["val_accuracy_percent_mean"] == halves["val_accuracy_percent_mean"]).all()
    for name in ("accuracy_roughness", "saw_tooth", "diverged", "never_learned", "learning_rate"):
        assert wholes[name].isna().all(), name
    assert (metrics(tables, epochs=(3, 5))["counted_half_epochs"] == 3).all()
    assert set(tables.networks["dataset"]) == {"unknown"}
    # A loss is unknown if it is NaN, and has diverged if it is infinite.
    lost = tables.curves.assign(train_loss=[np.inf, *[1.0] * (len(tables.curves) - 1)])
    found = metrics(Tables.from_frames(lost))["diverged"]
    assert list(found) == [True, *[False] * 5]


def test_without_training_losses_menndl_says_so_and_never_stops(ours):
    found = predict(in_epochs(ours, 1), method="menndl:patience=1")
    assert not found["converged"].any()
    assert set(found["reason"]) == {"a training loss is unknown"}


def test_a_benchmark_takes_tables_and_counts_their_epochs(ours):
    curves = ours.curves.assign(epoch=ours.curves["half_epoch"], seconds=2.0)
    bench = Benchmark(Tables.from_frames(curves))
    id_ = bench.ids[5]
    assert (
        bench.query(id_, 16).val_accuracy_percent
        == ours.curve(id_)["val_accuracy_percent"].iloc[-1]
    )
    assert list(bench.trajectory(id_, 2, 4)["epoch"]) == [2, 3, 4]
    assert bench.seconds(id_) == 32
    assert bench.best(epoch=3).epoch == 3
    with pytest.raises(NnlcError, match=r"the nearest is 1\.0 or 2\.0, and its table goes from 1"):
        bench.query(id_, 1.5)
    with pytest.raises(NnlcError, match="its curve is from elsewhere"):
        bench.specification(id_)


def test_imported_curves_are_used_by_metrics_predict_compare_and_plot(tmp_path, ours):
    curves, networks = write_csv(tmp_path, in_epochs(ours, 1))
    job = run("import", "--csv", curves, "--networks", networks, "-o", tmp_path / "imported")
    assert (job.exit_code, job.stdout.split(":")[0]) == (
        0,
        "6 networks, 116 rows of their curves",
    )
    tables = load_tables(tmp_path / "imported")
    assert list(tables.networks["family"]) == ["resnet"] * 6
    assert list(tables.networks["parameters"]) == [1000] * 6
    assert list(tables.networks["id"]) == list(ours.networks["id"])
    job = run("metrics", tmp_path / "imported", "--columns", "family")
    assert job.stdout.splitlines()[1].startswith(f"{ours.networks['id'][0]},unknown,resnet,20,")
    job = run("predict", tmp_path / "imported", "--method", "last1")
    assert "5 of 5 networks predicted from epochs up to 10" in job.stdout
    job = run("compare", tmp_path / "imported", "--methods", "last1", "--cutoffs", "4")
    assert "accuracy at epoch 20" in job.stdout
    job = run("plot", tmp_path / "imported", "-o", tmp_path / "curves.svg")
    assert "1 curve of 6 end before epoch 20." in job.stdout


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("learning-rate", "accuracy", "have no learning_rate"),
        ("layer-types", "accuracy", "have no layer_types"),
        ("saw-tooth", "accuracy", "have no train_loss in half epochs"),
        ("curves", "val-loss", "have no val_loss"),
    ],
)
def test_a_figure_of_what_is_not_known_is_refused(tmp_path, ours, kind, value, words):
    with pytest.raises(NnlcError, match=words):
        plot_tables(in_epochs(ours, 1), tmp_path / "x.png", kind=kind, value=value)


def test_a_legend_names_the_depths_that_are_known(ours):
    networks = pd.DataFrame({"id": ours.networks["id"], "depth": [3, None, 10, None, None, None]})
    figure = plot_tables(Tables.from_frames(ours.curves, networks))
    words = [text.get_text().partition(", ")[2] for text in figure.legends[0].get_texts()]
    assert words == ["depth 3", "", "depth 10", "", "", ""]


def test_what_needs_tables_says_in_a_line_that_there_are_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.csv").write_text(HEAD + "a,1,50\n\n")  # blank lines mean nothing
    run("import", "--csv", "c.csv", "-o", "imported")
    for words in (
        "audit",
        "verify",
        "export -o x",
        "merge -o x",
        "subset -o x",
        "report -o x.html",
    ):
        job = run(*words.split(), "imported")
        assert job.exit_code == 1, words
        assert str(job.exception).count("no tables of networks, which are needed here") == 1
        assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it has none"),
        (HEAD, "has no rows"),
        ("id,epoch\na,1\n", "needs id, epoch, val_accuracy_percent among its columns"),
        (HEAD.replace(",", ";"), "it has id;epoch;val_accuracy_percent"),
        ("id,id,epoch,val_accuracy_percent\na,a,1,50\n", "and none twice"),
        (HEAD + "a,1,50\na,2\n", ", line 3: 2 fields where the first line has 3"),
        (HEAD + "a,1,50\na,1,60\n", ", line 3, column epoch: '1' is not next"),
        (HEAD + "a,1,50\na,3,60\n", ", line 3, column epoch: '3' is not next"),
        (HEAD + "a,2,50\na,1,60\n", ", line 2, column epoch: '2' is not next"),
        (HEAD + "a,0.5,50\nb,1,60\n", "must be 0.5, 1, … in order"),
        (HEAD + "a,0,50\n", ", line 2, column epoch: '0' is not one of 1, 2, … or 0.5, 1, …"),
        (HEAD + "a,1.2,50\n", ", line 2, column epoch: '1.2' is not one of"),
        (HEAD + "a,one,50\n", ", line 2, column epoch: 'one' is no number"),
        (HEAD + "a,1,101\n", ", line 2, column val_accuracy_percent: '101' is no percentage"),
        (HEAD + "a,1,\n", ", line 2, column val_accuracy_percent: '' is no percentage"),
        (HEAD + "a,1,0.5\na,2,0.9\n", "give percent, not shares"),
        (HEAD + ",1,50\n", ", line 2, column id: '' is no name"),
        ("id,epoch,val_accuracy_percent,seconds\na,1,50,-1\n", "seconds: '-1' is no number of sec"),
    ],
)
def test_a_mistake_in_a_csv_file_is_named_with_line_and_column(tmp_path, text, words):
    (tmp_path / "c.csv").write_text(text)
    job = run("import", "--csv", tmp_path / "c.csv", "-o", tmp_path / "out")
    assert isinstance(job.exception, NnlcError)
    assert str(job.exception).startswith(str(tmp_path / "c.csv"))
    assert words in str(job.exception)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("networks", "words"),
    [
        ({"id": ["a", "a"]}, "networks, row 1, column id: 'a' is there already"),
        ({"id": ["a", "b"]}, "networks, row 1, column id: 'b' has no curve"),
        ({"id": ["a"], "momentum": ["x"]}, "networks, row 0, column momentum: 'x' is no number"),
        ({"id": ["a"], "dataset": ["\x1b"]}, "column dataset: .* that can't be printed"),
        ({"id": ["a"], "seconds": ["x"]}, "networks, row 0, column seconds: 'x' is no number"),
        ({"name": ["a"]}, "networks: needs id among its columns"),
    ],
)
def test_a_mistake_in_a_frame_of_networks_is_named_with_its_row(networks, words):
    curves = pd.DataFrame({"id": ["a"], "epoch": [1], "val_accuracy_percent": [50]})
    with pytest.raises(NnlcError, match=words):
        Tables.from_frames(curves, pd.DataFrame(networks))


def test_rows_of_several_networks_may_alternate_and_networks_be_in_another_order():
    curves = pd.DataFrame(
        {"id": ["b", "a", "b"], "epoch": [1, 1, 2], "val_accuracy_percent": [10.0, 20.0, 30.0]}
    )
    networks = {"id": ["a", "b"], "depth": [1, 2], "dataset": pd.Categorical(["x", None])}
    tables = Tables.from_frames(curves, pd.DataFrame(networks | {7: [3, 4]}))
    assert list(metrics(tables, columns=["7"])["7"]) == [4, 3]
    assert list(tables.curves["val_accuracy_percent"]) == [10, 30, 20]
    assert list(tables.networks["id"]) == ["b", "a"]
    assert list(tables.networks["depth"]) == [2, 1]
    assert list(tables.curves["dataset"]) == ["unknown", "unknown", "x"]
    with pytest.raises(NnlcError, match="networks: network 'b' has a curve, but no row"):
        Tables.from_frames(curves, pd.DataFrame({"id": ["a"]}))


def test_import_takes_an_export_or_csv_files(tmp_path):
    for words in ([], ["x", "--csv", "y"], ["--networks", "y"]):
        job = run("import", *words, "-o", tmp_path / "out")
        assert "give the folder of an export, or --csv FILE" in str(job.exception)
