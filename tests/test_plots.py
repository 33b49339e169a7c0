"""Pictures: the same bytes for the same tables, something to see in each, and what is left out."""

import math
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from article_columns import METADATA_COLUMNS
from picture_samples import few_networks, sample_tables, write_tables
from PIL import Image
from table_samples import SPEC
from test_cli import run_nnlc
from typer.testing import CliRunner

import nnlc
from nnlc.analysis.comparison import COMPARISON_COLUMNS
from nnlc.analysis.comparison_file import read_comparison
from nnlc.cli import app
from nnlc.errors import NnlcError
from nnlc.families.layouts import article_layout
from nnlc.plotting.comparison_plot import draw_comparison
from nnlc.plotting.curve_plots import draw_curves
from nnlc.plotting.final_accuracies import _kinds
from nnlc.plotting.plot import KINDS, VALUES
from nnlc.tables.frames import frames_of
from nnlc.tables.record import Record

NAN = math.nan


def tables_of(*curves, **changes):
    """A table for each curve: half epochs × (training loss, validation loss, accuracy)."""
    records = []
    for i, curve in enumerate(curves):
        spec = replace(SPEC, id=f"2021_02_15_13_55_26_{i:06d}", **changes)
        values = tuple(getattr(spec, column.field) for column in METADATA_COLUMNS)
        points = np.array(curve, float).reshape(-1, 3)
        records.append(Record(Path("x.txt"), "", article_layout(), values, points))
    return frames_of(records)


@pytest.fixture(scope="module")
def many():
    """Published tables of every depth; some diverge and some never learn."""
    return sample_tables(few_networks(8, "F-MNIST"), 30, published=True)


def plot(*words):
    return CliRunner().invoke(app, ["plot", *map(str, words)])


def ink(path):
    """The share of a picture's dots that are neither white nor grey."""
    with Image.open(path) as picture:
        dots = np.asarray(picture.convert("RGB")).astype(int)
    return float((np.ptp(dots, axis=2) > 30).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_draws_many_networks_and_counts_them(many, tmp_path, kind):
    words = nnlc.plot_tables(many, tmp_path / "a.png", kind=kind)
    assert ink(tmp_path / "a.png") > 0.005
    found = nnlc.metrics(many)
    diverged, never = found["diverged"].sum(), (found["never_learned"] & ~found["diverged"]).sum()
    assert min(diverged, never) > 0
    start = f"{len(many)} networks; {diverged} diverged (values that are not finite are left out); "
    assert words.startswith(f"{start}{never} never learned better than chance.")


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_each_format_is_whole_has_no_date_and_is_the_same_each_time(tmp_path, ending, many):
    first, second = (tmp_path / f"{i}.{ending}" for i in range(2))
    for path in (first, second):
        nnlc.plot_tables(many, path, kind="depth")
    content = first.read_bytes()
    assert content == second.read_bytes()
    assert content.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending])
    assert b"drawn by nnlc" in content
    for date in (b"CreationDate", b"ModDate", b"dc:date"):
        assert date not in content


def test_vectors_stay_vectors_and_only_dense_points_become_dots(many, tmp_path):
    nnlc.plot_tables(many, tmp_path / "rate.svg", kind="learning-rate")
    content = (tmp_path / "rate.svg").read_bytes()
    assert b"<image" in content
    nnlc.plot_tables(many, tmp_path / "saw.svg", kind="saw-tooth")
    assert b"<image" not in (tmp_path / "saw.svg").read_bytes()


@pytest.mark.parametrize("column", VALUES.values())
def test_no_panel_of_a_row_cuts_off_what_is_drawn_in_it(many, column):
    """Each depth lies ten times as high as the one before; the row has one scale."""
    tables = replace(many, curves=many.curves.copy())
    depth = np.repeat(many.networks["depth"].to_numpy(), many.networks["half_epochs"])
    tables.curves[column] = 10.0 ** (depth - 9)
    tables.curves.attrs.update(many.curves.attrs)
    figure, _ = draw_curves(tables, column)
    seen = 0
    for axes in figure.axes:
        low, high = axes.get_ylim()
        for line in axes.lines:
            values = np.asarray(line.get_ydata(), float)
            assert ((low <= values) & (values <= high)).all()
            seen += len(values)
    assert seen == 2 * 30 * 5  # of five panels
    assert len({axes.get_ylim() for axes in figure.axes}) == 1


def test_a_few_losses_that_exploded_press_no_others_flat(tmp_path):
    usual = [[2.0, 2.0 / n, 50] for n in range(1, 9)]
    wild = [[2.0, 1e30, 10]] * 4 + usual[4:]
    tables = tables_of(*([usual] * 30), *([wild] * 5))
    figure, words = draw_curves(tables, "val_loss")
    low, high = figure.axes[0].get_ylim()
    assert 0.1 < low < 0.25
    assert 2 < high < 20
    assert "lie beyond the picture" in words
    assert "lie beyond" not in draw_curves(tables_of(*([usual] * 30)), "val_loss")[1]


def test_published_validation_losses_are_told_where_they_are_drawn(tmp_path):
    published, own = (tables_of([[2, 3, 10]] * 4, torch_set_deterministic=t) for t in (False, True))
    slip = "as published, too small by a known factor (--val-loss corrected undoes it)"
    for tables, value, told in (
        (published, "val-loss", True),
        (published, "accuracy", False),
        (own, "val-loss", False),
    ):
        assert (slip in nnlc.plot_tables(tables, tmp_path / "x.png", value=value)) == told


def test_whether_networks_of_unknown_images_learned_is_not_known(tmp_path):
    known, lost = [[2, 3, 50]] * 4, [[2, NAN, 50]] * 4
    tables = tables_of(known, known, lost, dataset="Mine")
    words = nnlc.plot_tables(tables, tmp_path / "x.png", kind="depth")
    assert "1 diverged" in words
    assert "; whether 2 learned better than chance is not known." in words
    marks = _kinds(nnlc.metrics(tables))
    assert [rows.tolist() for rows in marks] == [[], [], [2], [0, 1]]


def test_nobodys_own_matplotlibrc_changes_a_byte(many, tmp_path):
    contents = set()
    for i, own in enumerate(({}, {"savefig.bbox": "tight", "axes.facecolor": "yellow"})):
        with matplotlib.rc_context(own):
            nnlc.plot_tables(many, tmp_path / f"{i}.svg", kind="depth")
        contents.add((tmp_path / f"{i}.svg").read_bytes())
    assert len(contents) == 1


@pytest.mark.parametrize("value", VALUES)
def test_a_few_networks_have_a_line_each_whatever_their_lengths(tmp_path, value):
    tables = tables_of([[2, 3, 10]], [[2 / n, 3 / n, 9 * n] for n in (1, 2, 3)])
    words = nnlc.plot_tables(tables, tmp_path / "x.png", value=value)
    assert "1 curve of 2 end" in words
    assert ink(tmp_path / "x.png") > 0.0005


ODD = {
    "nothing": [[[NAN, math.inf, NAN]] * 3] * 3,
    "zeros": [[[0, 0, 0]] * 4] * 3,
    "constant": [[[2.3, 2.3, 10]] * 4] * 3,
    "negative": [[[-1, -1, 10]] * 4] * 3,
    "largest": [[[1e300, 1.7e308, 10]] * 4] * 3,
    "smallest": [[[1e-300, 5e-324, 1e-20]] * 4] * 3,
    "ragged": [[[1 / (n + 1), 1, n % 90] for n in range(length)] for length in (1, 2, 500)],
}
"""Curves by what is odd of them."""


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "choice",
    [
        *({"kind": kind} for kind in ("learning-rate", "layer-types", "saw-tooth")),
        {"value": "val-loss"},
    ],
    ids=str,
)
def test_odd_curves_are_drawn_or_left_out_without_a_word_from_libraries(tmp_path, choice):
    tables = tables_of(*(curve for curves in ODD.values() for curve in curves))
    tables.networks["dataset"] = [name for name, curves in ODD.items() for _ in curves]
    nnlc.plot_tables(tables, tmp_path / "x.png", **choice)


def test_one_network_without_any_finite_value_is_an_empty_picture(tmp_path):
    nnlc.plot_tables(tables_of([[NAN, NAN, NAN]]), tmp_path / "x.png", value="val-loss")


def test_names_are_text_and_never_mathematics_or_markup(tmp_path):
    tables = tables_of(*[[[2, 2, 10]] * 4] * 9, dataset="$x_{<b>&$$\\frac" + "y" * 300)
    for kind in ("curves", "saw-tooth"):
        nnlc.plot_tables(tables, tmp_path / "x.svg", kind=kind)
    assert b"<b>" not in (tmp_path / "x.svg").read_bytes()


def test_a_learning_rate_of_zero_has_no_place_on_a_logarithmic_axis(tmp_path):
    tables = tables_of(*[[[2, 2, 10]] * 4] * 9, learning_rate=0)
    words = nnlc.plot_tables(tables, tmp_path / "x.png", kind="learning-rate")
    assert "9 have no place on these axes." in words


def test_more_datasets_than_panels_are_told(tmp_path):
    tables = tables_of(*[[[2, 2, 10]] * 4] * 12)
    tables.networks["dataset"] = [f"set{i}" for i in range(12)]
    words = nnlc.plot_tables(tables, tmp_path / "x.png", kind="saw-tooth")
    assert "3 smaller datasets are not shown" in words


def test_the_saw_tooth_shows_as_a_rise_within_epochs_and_a_fall_between_them():
    from nnlc.plotting.sawtooth import draw_saw_tooth

    curve = [[2 + 0.1 * (-1) ** n, 2, 10] for n in range(1, 61)]
    figure, _ = draw_saw_tooth(tables_of(*[curve] * 9))
    within, across = figure.axes[0].lines[:2]
    assert "first half to its second" in within.get_label()
    assert np.allclose(within.get_ydata(), 100 * (2.1 / 1.9 - 1))
    assert np.allclose(across.get_ydata(), 100 * (1.9 / 2.1 - 1))
    assert within.get_xdata()[0] > 5


def test_bands_are_the_quartiles_of_what_is_finite_at_each_epoch():
    from nnlc.plotting.grids import Band, ValueCurves

    tables = tables_of([[1, 1, 10]], [[1, 1, 20], [1, 1, 7]], [[1, 1, 30]], [[1, 1, NAN]])
    curves = ValueCurves(tables, "val_accuracy_percent")
    networks = np.arange(4)
    band = Band.from_values([0.5, 1], [curves.at(1, networks), curves.at(2, networks)])
    assert band.low.tolist() == [15, 7]
    assert band.middle.tolist() == [20, 7]
    assert band.high.tolist() == [25, 7]


def comparison(path, **changes):
    """A small comparison as a file."""
    rows = []
    for method, stop, saved, error in (
        ("last1", False, 50, 4.0),
        ("last1", False, 80, 9.0),
        ("pow3:$x", False, 50, 3.0),
        ("pow3:$x", False, 80, 5.0),
        ("penguin", True, 70, 2.0),
    ):
        row = dict.fromkeys(COMPARISON_COLUMNS, 1)
        row |= {
            "dataset": "FashionMNIST",
            "method": method,
            "stop_rule": stop,
            "target_epoch": 20,
            "cutoff_epoch": 5,
        }
        row |= {"epochs_saved_percent": saved, "mean_error": error, "cost_error": error}
        row |= {"networks": 9, "predicted": 9, "not_converged": 3 if stop else "", "failed": 0}
        rows.append(row | changes)
    lines = [",".join(COMPARISON_COLUMNS)]
    lines += [",".join(map(str, row.values())) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_comparison_has_a_picture_and_says_what_it_counts(tmp_path):
    path = comparison(tmp_path / "c.csv")
    job = plot(path, "-o", tmp_path / "c.png")
    assert job.exit_code == 0, job.output
    assert job.stdout.startswith("9 networks, accuracy at epoch 20 predicted")
    assert "Not converged: penguin 3 networks." in job.stdout
    assert "failed" not in job.stdout
    assert ink(tmp_path / "c.png") > 0.001
    found = read_comparison(path)
    assert found["mean_error"].tolist() == [4, 9, 3, 5, 2]
    assert found["not_converged"].isna().sum() == 4


def test_a_comparison_of_before_which_names_no_dataset_still_has_a_picture(tmp_path):
    path = comparison(tmp_path / "c.csv")
    lines = [line.partition(",")[2] for line in path.read_text().splitlines()]
    path.write_text("\n".join(lines) + "\n")
    found = read_comparison(path)
    assert list(found["dataset"]) == [""] * 5
    words = nnlc.plot_comparison(found, tmp_path / "c.png")
    assert words == nnlc.plot_comparison(found.drop(columns="dataset"), tmp_path / "d.png")
    assert words.startswith("9 networks, accuracy at epoch 20 predicted")


def test_a_method_looks_the_same_in_the_panels_of_all_datasets(tmp_path):
    found = read_comparison(comparison(tmp_path / "c.csv"))
    more = found.iloc[[4]].assign(method="menndl", epochs_saved_percent=10.0)
    first = pd.concat([found.iloc[:4], more])
    figure, _ = draw_comparison(pd.concat([first, found.assign(dataset="mine")]))
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"menndl (stops by itself)", "penguin (stops by itself)"} <= set(labels)
    marks = [
        {line.get_label(): line[0].get_marker() for line in axes.containers} for axes in figure.axes
    ]
    assert marks[0] == marks[1]


def test_what_a_comparison_has_no_place_for_is_said(tmp_path):
    found = read_comparison(comparison(tmp_path / "c.csv"))
    found.loc[0, ["failed", "predicted"]] = 2, 0
    words = nnlc.plot_comparison(found, tmp_path / "c.png")
    assert "Where a method has no prediction" in words
    assert "Left out: 1 point where nothing was predicted." in words


def test_methods_with_one_long_beginning_have_names_of_their_own(tmp_path):
    found = read_comparison(comparison(tmp_path / "c.csv"))
    beginning = "ensemble:weights=likelihood:members="
    found["method"] = [f"{beginning}pow4+{end}" for end in ("exp3", "mmf4", "exp4", "log2", "pow3")]
    figure, _ = draw_comparison(found)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(set(labels)) == len(labels) == 6  # last1 too


def test_a_comparison_without_any_prediction_is_an_empty_picture(tmp_path):
    found = read_comparison(comparison(tmp_path / "c.csv", predicted=0))
    nnlc.plot_comparison(found, tmp_path / "c.png")
    assert (tmp_path / "c.png").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace(",4.0,", ",nan,"), "line 2, column 11 (cost_error): 'nan'"),
        (lambda text: text.replace("True", "perhaps"), "line 6, column 3 (stop_rule): 'perhaps'"),
        (lambda text: text.replace("last1", "\x1b[2J", 1), "line 2, column 2 (method)"),
        (lambda text: text.replace("last1,", "", 1), "line 2: 18 fields instead of 19"),
        (lambda text: text.replace("method", "way"), "is not a comparison; 'nnlc compare"),
        (lambda text: text.split("\n")[0] + "\n", "has no row below its header"),
        (lambda text: "", "is not a comparison"),
        (lambda text: text.replace(",9,", ",-9,"), "column 6 (networks): '-9'"),
        (lambda text: text.replace(",9,", f",{10**30},"), "column 6 (networks): '1000"),
        (lambda text: text.replace(",4.0,", ",1e300,"), "column 11 (cost_error): '1e300'"),
        (lambda text: text.replace(",4.0,", ",101,"), "column 11 (cost_error): '101'"),
    ],
)
def test_a_damaged_comparison_is_refused_with_line_and_column(tmp_path, change, words):
    path = comparison(tmp_path / "c.csv")
    path.write_text(change(path.read_text()))
    with pytest.raises(NnlcError) as caught:
        read_comparison(path)
    assert words in str(caught.value)


def test_the_command_draws_folders_and_says_what_it_counted(tmp_path):
    write_tables(tmp_path / "t", nnlc.load_campaign("smoke").networks(), 6)
    job = run_nnlc("plot", "t", "-o", "x.pdf", "--value", "val-loss", cwd=tmp_path)
    assert (job.returncode, job.stderr) == (0, "")
    assert job.stdout == "8 networks; 1 never learned better than chance.\nx.pdf\n"


def test_options_of_tables_are_refused_where_there_are_none(tmp_path):
    path = comparison(tmp_path / "c.csv")
    refusal = str(plot(path, "-o", tmp_path / "c.png", "--val-loss", "corrected").exception)
    assert "--val-loss has no effect, since" in refusal
    assert "c.csv is a comparison; leave --val-loss out" in refusal
    assert not (tmp_path / "c.png").exists()


def test_what_one_picture_can_not_show_is_refused(tmp_path):
    path = comparison(tmp_path / "c.csv")
    for words, message in (
        ((path, path), "give a CSV file of 'nnlc compare' alone"),
        (
            (tmp_path, "--kind", "depth", "--value", "val-loss"),
            "value 'val-loss' goes with kind 'curves'",
        ),
    ):
        assert message in str(plot(*words, "-o", tmp_path / "x.png").exception)


def test_its_own_picture_is_replaced(tmp_path):
    tables = tables_of([[1, 1, 1]])
    for value in VALUES:
        nnlc.plot_tables(tables, tmp_path / "x.pdf", value=value)


BAD = {
    "an unknown kind": ("x.png", {"kind": "pie"}, "kind is 'pie', but can only be 'curves' or"),
    "an unknown value": ("x.png", {"value": "loss"}, "value is 'loss', but can only be 'accuracy'"),
    "an unknown ending": ("x.gif", {}, "ending is '.gif', but can only be '.png' or"),
    "no folder to write to": ("no/x.png", {}, "/no; make it first"),
    "a folder in its place": ("folder.png", {}, "is a folder; name a file in it"),
    "a stranger's file": ("mine.png", {}, "exists, and was not written by this command"),
}


@pytest.mark.parametrize("mistake", BAD)
def test_a_mistake_is_one_message_and_costs_no_file(tmp_path, mistake):
    name, choice, message = BAD[mistake]
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "mine.png").write_bytes(b"holiday")
    with pytest.raises(NnlcError) as caught:
        nnlc.plot_tables(tables_of([[1, 1, 1]]), tmp_path / name, **choice)
    assert message in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.png", "mine.png"]
    assert (tmp_path / "mine.png").read_bytes() == b"holiday"


def test_a_mistake_at_the_prompt_is_found_before_any_table_is_read():
    refusal = str(plot("nowhere", "-o", "x.gif").exception)
    assert refusal.startswith("the picture's ending is '.gif', but can only be '.png' or")
