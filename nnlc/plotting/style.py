"""How pictures look: colours, type, panels and captions.

Colours are Okabe and Ito's (https://jfly.uni-koeln.de/color), and viridis where there is an order:
both are told apart with any colour vision, and every line has a style of its own besides.
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

from nnlc.networks import image_set_of_table
from nnlc.wording import counted

BLACK, GREY = "#000000", "#8a8a8a"
BLUE, VERMILLION, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
ORANGE, SKY = "#e69f00", "#56b4e9"
TEXT_GREY = "#444444"
COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK, GREY)
LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))

SETTINGS: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that no machine lacks it
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
    "svg.hashsalt": "nnlc",  # or names in it are random
    "svg.fonttype": "path",  # the same letters on a machine without the font
    "pdf.fonttype": 42,  # letters that can be searched for and edited
}

_ACROSS = 3
_PANEL_INCHES = (3.9, 3.5)
_SMALL_INCHES = (2.4, 2.2)
_FEWEST_INCHES = 6.4
_WIDE_INCHES = 10.0
_LEAST_HEIGHT_INCHES = 2.8
_FRAME_INCHES = 0.7
"""For legend and caption."""
_CAPTION_INCHES = 0.08
"""Of an average letter."""
_CAPTION_SIZE = 10
_LEGEND_INCHES, _KEY_INCHES = 0.09, 0.6
"""Of an average letter in a legend, and of what stands before its words."""


@contextmanager
def settings() -> Iterator[None]:
    """A context in which figures look so, whatever a user's own matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield


def panels(count: int) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels, row by row."""
    columns = min(count, _ACROSS)
    rows = ceil(count / columns)
    figure = _figure(columns * _PANEL_INCHES[0], rows * _PANEL_INCHES[1])
    found = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
    for axes in found[count:]:
        axes.remove()
    return figure, found[:count]


def wide_panel(inches: float = 3.6) -> tuple[Figure, Axes]:
    """A figure of one panel, so high, with room for a legend beside it."""
    figure = _figure(_WIDE_INCHES, inches)
    return figure, figure.subplots()


def multiples(rows: int, columns: int) -> tuple[Figure, list[list[Axes]]]:
    """A figure of small panels, by row; those of a row share their axes."""
    figure = _figure(columns * _SMALL_INCHES[0] + 0.7, rows * _SMALL_INCHES[1])
    return figure, figure.subplots(
        rows, columns, squeeze=False, sharex="row", sharey="row"
    ).tolist()


def plain_logarithmic(row: Sequence[Axes]) -> None:
    """A logarithmic vertical axis with numbers as people write them; call it with all drawn.

    Args:
        row: panels that share the axis.
    """
    axis = row[0].yaxis
    if not any(np.isfinite(axes.dataLim.intervaly).all() for axes in row):  # nothing is drawn
        axis.set_ticks([])
        return
    row[0].set_yscale("log")
    low, high = row[0].get_ylim()
    decades = log10(high) - log10(low)
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 2 else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _figure(width: float, height: float) -> Figure:
    size = (max(width, _FEWEST_INCHES), max(height, _LEAST_HEIGHT_INCHES) + _FRAME_INCHES)
    return Figure(figsize=size, layout="constrained")


def label_panels(found: Sequence[Axes], horizontal: str, vertical: str) -> None:
    """Name the axes: the vertical ones in the first panel of a row only."""
    for i, axes in enumerate(found):
        axes.set_xlabel(horizontal)
        if i % _ACROSS == 0:
            axes.set_ylabel(vertical)


def caption(figure: Figure, text: str) -> None:
    """Say below all panels what is counted and what is left out."""
    letters = int(figure.get_size_inches()[0] / _CAPTION_INCHES)
    figure.supxlabel(
        plain("\n".join(textwrap.wrap(text, letters))),
        x=0.01,
        ha="left",
        fontsize=_CAPTION_SIZE,
        color=TEXT_GREY,
    )


def legend(figure: Figure, axes: Axes) -> None:
    """One legend above all panels, of what one of them shows, in as many columns as fit."""
    handles, labels = axes.get_legend_handles_labels()
    widest = _KEY_INCHES + _LEGEND_INCHES * max(map(len, labels))
    columns = min(len(labels), max(1, int(figure.get_size_inches()[0] / widest)))
    figure.legend(handles, labels, loc="outside upper left", ncols=columns)


def legend_beside(figure: Figure, axes: Axes) -> None:
    """The same, at the right: for long names, one below the other."""
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", handlelength=3)


def plain(text: str) -> str:
    """Text in which a dollar is a dollar: matplotlib would set mathematics between two."""
    return text.replace("$", r"\$")


def dataset_name(table_name: str, letters: int = 28) -> str:
    """What a dataset is called: as in the names of folders, where it is known."""
    images = image_set_of_table(table_name)
    return plain(shortened(images.name if images else table_name, letters))


def panel_title(table_name: str, networks: int) -> str:
    """Whose panel it is."""
    return f"{dataset_name(table_name)}, {counted(networks, 'network')}"


def shortened(name: str, letters: int = 28) -> str:
    """A name that fits above a panel, or beside one."""
    return name if len(name) <= letters else name[: letters - 1] + "…"


def listed(parts: Sequence[str]) -> str:
    """Sentences that have something to say."""
    return " ".join(part for part in parts if part)
