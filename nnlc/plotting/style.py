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
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from nnlc.networks.image_sets import shown_name
from nnlc.wording import counted

BLACK, GREY = "#000000", "#8a8a8a"
BLUE, VERMILLION, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
ORANGE, SKY = "#e69f00", "#56b4e9"
TEXT_GREY = "#444444"
COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK, GREY)
LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))

STYLE: Any = {
    "font.family": "DejaVu Sans",  # part of matplotlib, so present on every machine
    "font.size": 12,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 11,
    "lines.linewidth": 1.8,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.08,
    "savefig.dpi": 160,
    "svg.hashsalt": "nnlc",  # without it, names inside the file are random
    "svg.fonttype": "path",  # shows the same letters without the font
    "pdf.fonttype": 42,  # text can be searched and edited
}

_PANELS_PER_ROW = 3
_PANEL_INCHES = (3.9, 3.5)
_SMALL_INCHES = (2.4, 2.2)
_LEAST_WIDTH_INCHES = 6.4
_WIDE_INCHES = 10.0
_LEAST_HEIGHT_INCHES = 2.8
_FRAME_INCHES = 0.7
"""Height for legend and caption."""
_CAPTION_INCHES = 0.08
"""Width of an average letter in a caption."""
_CAPTION_SIZE = 10
_LEGEND_INCHES, _KEY_INCHES = 0.09, 0.6
"""Width of an average letter in a legend, and of the line or mark before a label."""


@contextmanager
def nnlc_style() -> Iterator[None]:
    """Use `STYLE` and matplotlib's defaults within a `with` block, not the user's matplotlibrc."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def panels(count: int) -> tuple[Figure, list[Axes]]:
    """Return a figure with `count` panels, and the panels row by row."""
    columns = min(count, _PANELS_PER_ROW)
    rows = ceil(count / columns)
    figure = _figure(columns * _PANEL_INCHES[0], rows * _PANEL_INCHES[1])
    found = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
    for axes in found[count:]:
        axes.remove()
    return figure, found[:count]


def wide_panel(inches: float = 3.6) -> tuple[Figure, Axes]:
    """Return a figure with one panel of a given height, with room for a legend beside it."""
    figure = _figure(_WIDE_INCHES, inches)
    return figure, figure.subplots()


def small_panels(rows: int, columns: int) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure with small panels, and the panels by row; each row shares its axes."""
    figure = _figure(columns * _SMALL_INCHES[0] + 0.7, rows * _SMALL_INCHES[1])
    return figure, figure.subplots(
        rows, columns, squeeze=False, sharex="row", sharey="row"
    ).tolist()


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
    low, high = row[0].get_ylim()
    decades = log10(high) - log10(low)
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 2 else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _figure(width: float, height: float) -> Figure:
    size = (max(width, _LEAST_WIDTH_INCHES), max(height, _LEAST_HEIGHT_INCHES) + _FRAME_INCHES)
    return Figure(figsize=size, layout="constrained")


def label_panels(found: Sequence[Axes], horizontal: str, vertical: str) -> None:
    """Label the horizontal axis of all panels, and the vertical axis of each row's first panel."""
    for i, axes in enumerate(found):
        axes.set_xlabel(horizontal)
        if i % _PANELS_PER_ROW == 0:
            axes.set_ylabel(vertical)


def caption(figure: Figure, text: str) -> None:
    """Write a caption below all panels."""
    letters = int(figure.get_size_inches()[0] / _CAPTION_INCHES)
    figure.supxlabel(
        escape_dollars("\n".join(textwrap.wrap(text, letters))),
        x=0.01,
        ha="left",
        fontsize=_CAPTION_SIZE,
        color=TEXT_GREY,
    )


def legend(figure: Figure, axes: Axes) -> None:
    """Draw the legend of one panel above all panels, in as many columns as fit."""
    handles, labels = axes.get_legend_handles_labels()
    widest = _KEY_INCHES + _LEGEND_INCHES * max(map(len, labels))
    columns = min(len(labels), max(1, int(figure.get_size_inches()[0] / widest)))
    figure.legend(handles, labels, loc="outside upper left", ncols=columns)


def legend_beside(figure: Figure, axes: Axes) -> None:
    """Draw the legend of one panel at the right of the figure, in one column for long labels."""
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", handlelength=3)


def escape_dollars(text: str) -> str:
    """Return text with escaped dollar signs: matplotlib would typeset mathematics between two."""
    return text.replace("$", r"\$")


def dataset_name(table_name: str, letters: int = 28) -> str:
    """Return a dataset's name on screens, shortened."""
    return escape_dollars(shorten(shown_name(table_name), letters))


def panel_title(table_name: str, networks: int) -> str:
    """Return a panel's title: dataset and number of networks."""
    return f"{dataset_name(table_name)}, {counted(networks, 'network')}"


def shorten(name: str, letters: int = 28) -> str:
    """Return a name shortened to fit above or beside a panel."""
    return name if len(name) <= letters else name[: letters - 1] + "…"


def join_sentences(parts: Sequence[str]) -> str:
    """Return the sentences that are not empty, joined."""
    return " ".join(part for part in parts if part)
