"""Style of all pictures: colours, fonts, panels, legends and captions.

Colours are Okabe and Ito's (https://jfly.uni-koeln.de/color), which can be told apart with any
colour vision. Every line also has its own line style.
"""

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil, log10
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullFormatter

from nnlc.networks.image_sets import shown_name
from nnlc.plotting.look import LEAST_FONT_SIZE, USUAL_FONT_SIZE
from nnlc.tables.curves_from_elsewhere import UNKNOWN_DATASET
from nnlc.wording import counted

BLACK, GREY = "#000000", "#8a8a8a"
BLUE, VERMILLION, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
ORANGE, SKY = "#e69f00", "#56b4e9"
TEXT_GREY = "#444444"
COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK, GREY)
LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))

STYLE: Any = {
    # Part of matplotlib, so present on every machine; a reader of SVG without it takes another.
    "font.family": ["DejaVu Sans", "sans-serif"],
    "axes.titlesize": "medium",
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.08,
    "svg.hashsalt": "nnlc",  # without it, names inside the file are random
    # Text stays text, which editors and search can read.
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}
_LENGTHS = ("linewidth", "markersize", ".size", ".width", ".pad", "_pad", "titlepad", "labelpad")
"""Endings of the names of settings that follow the size of text, as lengths of lines and gaps."""
_DOTS_PER_INCH = 180
"""Resolution for text of 12 points; text of 7 points, as in print, has more than 300."""

_PANELS_PER_ROW = 3
_PANEL_INCHES = (3.9, 3.5)
_SMALL_INCHES = (2.4, 2.2)
_LEAST_PANEL_INCHES = 2.7
_HEIGHT_BY_WIDTH = 0.9
"""Greatest height of a panel, relative to its width, in a figure of a given width."""
_LEAST_SMALL_INCHES = 1.6
_LEAST_WIDTH_INCHES = 6.4
_WIDE_INCHES = 10.0
_LEAST_BESIDE_INCHES = 8.0
"""Least width of a figure that has its legend beside the panel."""
_LEAST_HEIGHT_INCHES = 2.8
_CAPTION_INCHES, _CAPTION_LINE_INCHES = 0.08, 0.19
"""Width of an average letter in a caption, and height of a line."""
_TITLE_INCHES, _TITLE_LINE_INCHES = 0.11, 0.25
"""Width of an average letter in a title, and height of a line."""
_LEGEND_INCHES, _KEY_INCHES, _LEGEND_LINE_INCHES = 0.09, 0.65, 0.27
"""Width of an average letter in a legend, of the line or mark before a label, and height of a line.

These lengths, and all others above, are for text of 12 points.
"""


@contextmanager
def nnlc_style(font_size: float = USUAL_FONT_SIZE) -> Iterator[None]:
    """Use `STYLE` and matplotlib's defaults within a `with` block, not the user's matplotlibrc.

    Args:
        font_size: size of text in points.
    """
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        rc: Any = matplotlib.rcParams
        rc.update(STYLE | {"font.size": font_size})
        lengths = [name for name in rc if name.endswith(_LENGTHS) and name != "font.size"]
        rc.update({name: scaled(rc[name]) for name in lengths if rc[name] is not None})
        rc["legend.fontsize"] = small_text(11)
        rc["savefig.dpi"] = _DOTS_PER_INCH / min(scaled(1), 1)
        yield


def scaled(length: float) -> float:
    """Return the length for the current size of text that is `length` for text of 12 points."""
    return length * float(matplotlib.rcParams["font.size"]) / USUAL_FONT_SIZE


def small_text(points: float) -> float:
    """Return the size of smaller text, `points` where text has 12 points; 5 at least."""
    return max(scaled(points), LEAST_FONT_SIZE)


class Picture(Figure):
    """A matplotlib figure that keeps nnlc's style wherever it is drawn or saved.

    Outside of nnlc, ticks and fonts in files would follow the user's matplotlibrc.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._font_size = float(matplotlib.rcParams["font.size"])

    def draw(self, renderer: Any) -> None:
        with nnlc_style(self._font_size):
            super().draw(renderer)

    def savefig(self, *args: Any, **options: Any) -> None:
        with nnlc_style(self._font_size):
            super().savefig(*args, **options)


def panels(count: int, width: float | None) -> tuple[Figure, list[Axes]]:
    """Return a figure with `count` panels, and the panels row by row.

    Args:
        count: the number of panels.
        width: width of the figure in inches; None: as wide as its panels need.
    """
    columns = min(count, _PANELS_PER_ROW, most_columns(width, _LEAST_PANEL_INCHES))
    rows = ceil(count / columns)
    wide, high = _PANEL_INCHES
    if width is not None:
        high = min(high, _HEIGHT_BY_WIDTH * width / scaled(columns))
    figure = _figure(width, columns * wide, rows * high)
    found = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
    for axes in found[count:]:
        axes.remove()
    return figure, found[:count]


def wide_panel(width: float | None, inches: float = 3.6) -> tuple[Figure, Axes]:
    """Return a figure with one panel of a given height, with room for a legend beside it."""
    figure = _figure(width, _WIDE_INCHES, inches)
    return figure, figure.subplots()


def most_columns(width: float | None, least: float = _LEAST_SMALL_INCHES) -> int:
    """Return the number of panels, by default small ones, that fit beside each other."""
    return 9 if width is None else max(1, int((width / scaled(1) - 0.3) / least))


def small_panels(rows: int, columns: int, width: float | None) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure with small panels, and the panels by row; each row shares its axes."""
    figure = _figure(width, columns * _SMALL_INCHES[0] + 0.7, rows * _SMALL_INCHES[1])
    return figure, figure.subplots(
        rows, columns, squeeze=False, sharex="row", sharey="row"
    ).tolist()


def epoch_axis(axes: Axes, longest: float) -> None:
    """Let the horizontal axis begin at 0, with ticks at whole epochs, the last among them."""
    last = max(int(longest), 1)
    parts = next((parts for parts in (4, 5, 3, 2) if last % parts == 0), min(4, last))
    step = ceil(last / parts)
    axes.set_xlim(left=0)
    axes.set_xticks([*np.arange(0, last - step / 2, step), last])


def logarithmic_axis(row: Sequence[Axes]) -> None:
    """Make the vertical axis logarithmic, with numbers such as 0.01; call it after drawing.

    Args:
        row: panels that share the axis.
    """
    axis = row[0].yaxis
    if not any(np.isfinite(axes.dataLim.intervaly).all() for axes in row):  # all panels are empty
        axis.set_ticks([])
        return
    row[0].set_yscale("log")
    logarithmic_ticks(axis)
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def logarithmic_ticks(axis: Axis) -> None:
    """Label powers of ten only; on an axis with few powers, 1, 2 and 5 times each, such as 20k."""
    low, high = axis.get_view_interval()
    few = log10(high) - log10(low) < 2
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
    if few:
        short = EngFormatter(sep="")
        axis.set_major_formatter(
            FuncFormatter(lambda value, _: short(value) if value >= 1e3 else f"{value:g}")
        )
    axis.set_minor_formatter(NullFormatter())


def _figure(width: float | None, usual_width: float, height: float) -> Figure:
    """Return an empty figure; title, legend and caption make it higher.

    Args:
        width: width in inches; None for the usual one.
        usual_width: width for text of 12 points.
        height: height of the panels for text of 12 points.
    """
    wide = scaled(max(usual_width, _LEAST_WIDTH_INCHES)) if width is None else width
    return Picture(figsize=(wide, scaled(max(height, _LEAST_HEIGHT_INCHES))), layout="constrained")


def _grow(figure: Figure, inches: float) -> None:
    figure.set_figheight(figure.get_figheight() + scaled(inches))


def label_panels(found: Sequence[Axes], horizontal: str, vertical: str) -> None:
    """Label the horizontal axis of all panels, and the vertical axis of each row's first panel."""
    for axes in found:
        axes.set_xlabel(horizontal)
        place = axes.get_subplotspec()
        if place is not None and place.is_first_col():
            axes.set_ylabel(vertical)


def caption(figure: Figure, text: str) -> None:
    """Write a caption below all panels."""
    letters = int(figure.get_figwidth() / (small_text(10) / 10 * _CAPTION_INCHES))
    lines = textwrap.wrap(text, letters)
    style: Any = {"ha": "left", "fontsize": small_text(10), "color": TEXT_GREY}
    figure.supxlabel(escape_dollars("\n".join(lines)), x=0.01, **style)
    _grow(figure, len(lines) * _CAPTION_LINE_INCHES + 0.1)


def headline(figure: Figure, text: str | None, height: float | None) -> None:
    """Set a figure's height, and write its title, if any, above panels and legend.

    Args:
        figure: the figure, otherwise finished.
        text: the title.
        height: height in inches; None for what panels, legend, caption and title need.
    """
    lines = textwrap.wrap(str(text or ""), int(figure.get_figwidth() / scaled(_TITLE_INCHES)))
    _grow(figure, len(lines) * _TITLE_LINE_INCHES)
    if height is not None:
        figure.set_figheight(height)
    if not lines:
        return
    style = FontProperties(size=scaled(USUAL_FONT_SIZE), weight="bold")
    text = escape_dollars("\n".join(lines))
    above = [each for each in figure.legends if each.get_alignment() == "left"]
    if above:  # matplotlib would draw a title of the figure and this legend in one place
        above[0].set_title(text, prop=style)
    else:
        figure.suptitle(text, x=0.01, ha="left", fontproperties=style)


def legend(figure: Figure, axes: Axes) -> None:
    """Draw the legend of one panel above all panels, in as many columns as fit."""
    handles, labels = axes.get_legend_handles_labels()
    widest = _KEY_INCHES + _LEGEND_INCHES * max(map(len, "\n".join(labels).split("\n")))
    columns = min(len(labels), max(1, int(figure.get_figwidth() / scaled(widest))))
    figure.legend(handles, labels, loc="outside upper left", ncols=columns, alignment="left")
    lines = sum(label.count("\n") + 1 for label in labels) / columns
    _grow(figure, ceil(lines) * _LEGEND_LINE_INCHES + 0.1)


def legend_beside(figure: Figure, axes: Axes) -> None:
    """Draw the legend of one panel in one column at its right; above it in narrow figures."""
    if figure.get_figwidth() < scaled(_LEAST_BESIDE_INCHES):
        legend(figure, axes)
        return
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", handlelength=3)


def escape_dollars(text: str) -> str:
    """Return text with escaped dollar signs: matplotlib would typeset mathematics between two."""
    return text.replace("$", r"\$")


def dataset_name(table_name: str, letters: int = 28) -> str:
    """Return a dataset's name on screens, shortened; empty if it is unknown."""
    known = table_name != UNKNOWN_DATASET
    return escape_dollars(shorten(shown_name(table_name), letters)) if known else ""


def panel_title(table_name: str, networks: int) -> str:
    """Return a panel's title: dataset and number of networks."""
    return ", ".join(filter(None, [dataset_name(table_name), counted(networks, "network")]))


def shorten(name: str, letters: int = 28) -> str:
    """Return a name shortened to fit above or beside a panel."""
    return name if len(name) <= letters else name[: letters - 1] + "…"


def join_sentences(parts: Sequence[str]) -> str:
    """Return the sentences that are not empty, joined."""
    return " ".join(part for part in parts if part)
