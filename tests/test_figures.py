"""Figures for journals: sizes, text, presets, datasets; and what captions say is what is drawn."""

import re
import sys
from dataclasses import replace

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from picture_samples import few_networks, sample_tables, write_tables
from test_plots import comparison, plot, tables_of

import nnlc
from nnlc.analysis.comparison_file import read_comparison
from nnlc.errors import NnlcError
from nnlc.plotting.final_accuracies import SETTINGS, draw_finals, draw_layer_types
from nnlc.plotting.plot import KINDS
from nnlc.plotting.style import epoch_axis


@pytest.fixture(scope="module")
def many():
    """Tables of two datasets and every depth."""
    return sample_tables(few_networks(1, "F-MNIST", "SVHN"), 6)


def texts(figure):
    return [each for each in figure.findobj(Text) if each.get_text()]


CHOICES = [
    ("one-column", 89, kind) for kind in KINDS if kind not in ("batch-size", "multiply-adds")
]
CHOICES += [("two-column", 183, kind) for kind in ("curves", "layer-types")]


@pytest.mark.parametrize(("preset", "width", "kind"), CHOICES)
def test_presets_have_the_widths_of_columns_and_whole_text_that_journals_accept(
    many, preset, width, kind
):
    figure = nnlc.plot_tables(many, kind=kind, preset=preset, title="A title " * 12)
    assert figure.get_figwidth() * 25.4 == pytest.approx(width)
    assert figure.get_figheight() * 25.4 < 170  # the most that Nature takes
    assert {5 <= text.get_fontsize() <= 7 for text in texts(figure)} == {True}
    assert any(text.get_text().startswith("A title A title") for text in texts(figure))
    whole, drawn = figure.get_size_inches(), figure.get_tightbbox()
    assert min(drawn.x0, drawn.y0) >= -0.02
    assert drawn.x1 <= whole[0] + 0.02
    assert drawn.y1 <= whole[1] + 0.02
    low = figure.legends[0].get_window_extent().y0
    assert all(axes.get_tightbbox().y1 <= low + 2 for axes in figure.axes)


@pytest.mark.parametrize(
    ("look", "inches"),
    [
        ({"width": "120mm", "height": "8cm"}, (120 / 25.4, 8 / 2.54)),
        ({"preset": "one-column", "width": "3.25 in"}, (3.25, None)),
        ({"font_size": 8, "width": "6in"}, (6, None)),
    ],
)
def test_sizes_with_their_units_are_those_of_the_figure(many, look, inches):
    figure = nnlc.plot_tables(many, kind="depth", **look)
    assert figure.get_figwidth() == pytest.approx(inches[0])
    assert inches[1] is None or figure.get_figheight() == pytest.approx(inches[1])
    most = max(text.get_fontsize() for text in texts(figure))
    assert most == look.get("font_size", 7 if "preset" in look else 12)


@pytest.mark.parametrize(
    ("look", "words"),
    [
        ({"width": "89"}, "width '89': give a number with its unit, mm, cm or in, such as 89mm"),
        ({"height": "-3cm"}, "height '-3cm'"),
        ({"width": "9999mm"}, "from 1in to 40in"),
        ({"width": 3.5}, "width '3.5'"),
        ({"width": "26mm"}, "1.02in is too narrow for text of 12 points: give 4.00in or more"),
        ({"widht": "26mm"}, "a picture's option is 'widht', but can only be 'preset' or 'width'"),
        ({"font_size": 4}, "font size 4: give 5 to 72 points"),
        ({"font_size": float("nan")}, "font size nan"),
        ({"font_size": "8"}, "font size '8': give 5 to 72 points"),
        ({"preset": "poster"}, "preset is 'poster', but can only be 'one-column' or"),
        ({"preset": "one-column", "height": "26mm"}, "don't fit into 89 mm × 26 mm: give more"),
    ],
)
def test_a_size_that_can_not_be_is_one_message_and_costs_no_file(many, tmp_path, look, words):
    with pytest.raises(NnlcError) as caught:
        nnlc.plot_tables(many, tmp_path / "x.png", **look)
    assert words in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_functions_return_figures_to_change_and_save_and_leave_matplotlib_as_it_was(many, tmp_path):
    before = dict(matplotlib.rcParams)
    figure = nnlc.plot_tables(many, kind="depth")
    found = read_comparison(comparison(tmp_path / "c.csv"))
    assert isinstance(nnlc.plot_comparison(found), Figure)
    assert figure.get_label() == nnlc.plot_tables(many, tmp_path / "a.svg", kind="depth")
    figure.axes[0].set_title("my own")
    figure.savefig(tmp_path / "b.svg")
    figure.savefig(tmp_path / "b.pdf")
    assert dict(matplotlib.rcParams) == before
    assert "matplotlib.pyplot" not in sys.modules or not matplotlib.pyplot.get_fignums()
    assert ">my own</text>" in (tmp_path / "b.svg").read_text()
    assert b"/Type0" in (tmp_path / "b.pdf").read_bytes()  # TrueType, font type 42


def test_a_figure_keeps_its_style_whatever_the_users_settings_are_when_it_is_saved(many, tmp_path):
    figure = nnlc.plot_tables(many, kind="depth")
    figure.savefig(tmp_path / "usual.svg")  # it settles the layout
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "path", "xtick.labelsize": 40}):
        figure.savefig(tmp_path / "own.svg", metadata={"Date": None})
    figure.savefig(tmp_path / "usual.svg", metadata={"Date": None})
    assert (tmp_path / "own.svg").read_bytes() == (tmp_path / "usual.svg").read_bytes()


def test_text_is_text_in_svg_and_no_smaller_than_5_points(many, tmp_path):
    nnlc.plot_tables(many, tmp_path / "a.svg", kind="layer-types", font_size=5)
    content = (tmp_path / "a.svg").read_text()
    assert ">dropout</text>" in content
    assert {float(size) for size in re.findall(r"([\d.]+)px", content)} == {5}


def test_caption_and_title_are_in_the_picture_as_asked(tmp_path):
    path = tmp_path / "a.svg"
    words = plot_file(path, "--kind", "depth", "--no-caption", "--title", "T $x$")
    assert words.startswith("20 networks")
    assert ">20 networks" not in path.read_text()
    assert path.read_text().count(">T $x$</text>") == 1


def plot_file(path, *options):
    folder = path.parent / "tables"
    if not folder.exists():
        write_tables(folder, few_networks(1, "F-MNIST", "SVHN"), 6)
    done = plot(folder, "-o", path, *options)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


def test_only_the_datasets_asked_for_are_drawn(tmp_path):
    path = tmp_path / "a.svg"
    plot_file(path, "--dataset", "F-MNIST", "--kind", "depth")
    assert ">10 networks" in path.read_text()  # the caption
    assert ">F-MNIST, 10 networks" in path.read_text()
    assert "SVHN" not in path.read_text()
    refusal = str(plot(tmp_path / "tables", "-o", path, "--dataset", "MNIST").exception)
    assert "no table is of dataset 'MNIST'; there are F-MNIST, SVHN" in refusal


def test_a_comparison_of_several_datasets_has_a_panel_for_each(tmp_path):
    found = read_comparison(comparison(tmp_path / "c.csv"))
    other = found.assign(dataset="SVHN", networks=5, target_epoch=40, cost_error=1.0)
    both = pd.concat([found.assign(dataset="CIFAR100"), other])
    figure = nnlc.plot_comparison(both)
    titles = [axes.get_title("left") for axes in figure.axes]
    assert titles == ["CIFAR-100, 9 networks", "SVHN, 5 networks"]
    heights = [set(line.get_ydata()) for line in figure.axes[1].lines]
    assert set().union(*heights) == {1.0}
    assert figure.get_label().startswith("14 networks, accuracy at epoch 20 or 40 predicted")


# ---- what a caption says is what is drawn


def finals(accuracies, **changes):
    """A network for each accuracy, each of two half epochs."""
    return tables_of(*([[2, 2, 10], [2, 2, value]] for value in accuracies), **changes)


def test_black_are_the_medians_and_quartiles_of_equally_large_groups_by_value():
    accuracies = np.random.default_rng(1).uniform(10, 90, 24)
    tables = finals(accuracies)
    rates = np.geomspace(1e-4, 1, 24)
    tables.networks["learning_rate"] = rates
    figure, words = draw_finals(tables, SETTINGS["learning-rate"])
    [bars] = figure.axes[0].containers
    line, _, [quartiles] = bars
    groups = np.array_split(np.arange(24), 4)
    assert np.allclose(line.get_xdata(), [np.median(rates[rows]) for rows in groups])
    assert np.allclose(line.get_ydata(), [np.median(accuracies[rows]) for rows in groups])
    ends = [segment[:, 1] for segment in quartiles.get_segments()]
    assert np.allclose(ends, [np.quantile(accuracies[rows], [0.25, 0.75]) for rows in groups])
    assert "Black: medians of groups of at least 5 networks of similar learning rate" in words


def test_depths_have_medians_where_they_have_five_networks_and_the_caption_speaks_of_no_other():
    tables = finals([10, 20, 30, 40, 60, 80, 90])
    tables.networks["depth"] = [1, 1, 1, 1, 1, 2, 2]
    figure, words = draw_finals(tables, SETTINGS["depth"])
    line = figure.axes[0].containers[0][0]
    assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == ([1], [30])
    assert "medians of each number of convolutions with at least 5 networks" in words
    tables.networks["depth"] = range(7)
    figure, words = draw_finals(tables, SETTINGS["depth"])
    assert "median" not in words
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "median, quartiles" not in labels


def test_boxes_whiskers_and_their_lines_are_the_quantiles_that_the_caption_names():
    accuracies = np.array([5.0, 20, 30, 31, 50, 90])
    tables = finals(accuracies)
    tables.networks["layer_types"] = [(1,)] * 6
    figure, words = draw_layer_types(tables)
    lines = [line.get_ydata() for line in figure.axes[0].lines[:5]]
    drawn = sorted({float(value) for values in lines for value in values})
    assert np.allclose(drawn, np.quantile(accuracies, [0.05, 0.25, 0.5, 0.75, 0.95]))
    assert "Lines: medians; boxes from quartile to quartile" in words


def test_points_at_the_top_are_whole():
    figure, _ = draw_finals(finals([99, 100, 100, 98, 97]), SETTINGS["depth"])
    assert figure.axes[0].get_ylim() == (0, pytest.approx(105))


# ---- axes that papers can use


@pytest.mark.parametrize(
    ("epochs", "ticks"),
    [
        (1, [0, 1]),
        (7, [0, 2, 4, 7]),
        (8, [0, 2, 4, 6, 8]),
        (10, [0, 2, 4, 6, 8, 10]),
        (12.5, [0, 3, 6, 9, 12]),
        (40, [0, 10, 20, 30, 40]),
        (97, [0, 25, 50, 75, 97]),
    ],
)
def test_ticks_are_whole_epochs_the_last_among_them(epochs, ticks):
    axes = Figure().subplots()
    epoch_axis(axes, epochs)
    assert axes.get_xticks().tolist() == ticks


def test_curves_name_their_value_and_their_dataset_unless_a_title_does_or_it_is_unknown(many):
    one = many.select(many.networks.loc[many.networks["dataset"] == "SVHN", "id"])
    for tables, look, label in (
        (many, {"title": "T"}, "F-MNIST\nvalidation\naccuracy (%)"),
        (one, {}, "SVHN\nvalidation\naccuracy (%)"),
        (one, {"title": "T"}, "validation\naccuracy (%)"),
        (replace(one, networks=one.networks.assign(dataset="unknown")), {}, "validation\nacc"),
    ):
        found = nnlc.plot_tables(tables, **look).axes[0].get_ylabel()
        assert found.startswith(label), found


def test_a_panel_without_networks_is_empty_and_one_panel_has_no_median_of_all(many):
    of_all = "median of all depths"
    networks = many.networks
    apart = (networks["dataset"] == "SVHN") == (networks["depth"] > 4)
    figure = nnlc.plot_tables(many.select(networks.loc[apart, "id"]))
    empty = [axes for axes in figure.axes if "no network" in [t.get_text() for t in axes.texts]]
    assert len(empty) == 5
    assert not any(len(line.get_xdata()) for axes in empty for line in axes.lines[1:2])
    assert of_all in [text.get_text() for text in figure.legends[0].get_texts()]
    single = finals(range(10, 20))
    figure = nnlc.plot_tables(single)
    assert of_all not in [text.get_text() for text in figure.legends[0].get_texts()]
    assert "whether they learned" not in figure.get_label()


def test_depths_are_told_apart_at_equal_size():
    tables = finals(range(10, 40))
    tables.networks["depth"] = [1] * 10 + [2] * 11 + [3] * 9  # too few for a line
    tables.networks["parameters"] = pd.array([*range(29, 0, -1), None], dtype="Int64")
    figure, words = draw_finals(tables, SETTINGS["parameters"])
    lines = [container[0] for container in figure.axes[0].containers]
    assert [line.get_ydata().tolist() for line in lines] == [[17, 12], [27.5, 22]]
    assert len({line.get_color() for line in lines}) == 2
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["depth 1", "depth 2", "depth 3"]
    assert "networks of similar depth and parameters. 1 has no place" in words
