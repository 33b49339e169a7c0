"""Pictures of learning curves: a line for each of few networks, bands by depth for many."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnlc.plotting.grids import (
    Band,
    Integers,
    ValueCurves,
    group_networks,
    half_epochs_to_draw,
    largest_datasets,
)
from nnlc.plotting.style import (
    BLACK,
    BLUE,
    COLOURS,
    LINES,
    SKY,
    TEXT_GREY,
    dataset_name,
    epoch_axis,
    join_sentences,
    legend,
    legend_beside,
    logarithmic_axis,
    most_columns,
    scaled,
    small_panels,
    small_text,
    wide_panel,
)
from nnlc.tables.frames import Tables
from nnlc.wording import counted

_ACCURACY = "val_accuracy_percent"
MOST_LABELLED = 8
"""Most networks that get a line and a label each."""
_DEPTH_GROUPS = 5
_LETTERS_BESIDE = 18
"""Number of letters that fit beside a small panel."""
_OF_ALL: Any = {"color": BLACK, "linestyle": ":"}
_CUT_FACTOR = 1000.0
"""Losses above this multiple of the highest upper quartile may lie beyond the picture."""
_TITLES = {
    "val_accuracy_percent": "validation accuracy (%)",
    "val_loss": "validation loss (nats)",
    "train_loss": "training loss (nats)",
}
_SHORT_TITLES = {
    "val_accuracy_percent": "validation\naccuracy (%)",
    "val_loss": "validation\nloss (nats)",
    "train_loss": "training\nloss (nats)",
}


def draw_curves(
    tables: Tables, value: str, width: float | None = None, *, named: bool = True
) -> tuple[Figure, str]:
    """Draw one value of all curves over the epochs.

    Args:
        tables: the tables; curves may differ in length.
        value: a column of `tables.curves`.
        width: width of the figure in inches; None: as wide as its panels need.
        named: False to leave out the dataset's name if there is only one.

    Returns:
        The figure, and text for its caption.
    """
    if len(tables) <= MOST_LABELLED:
        return _draw_each(tables, value, width, named=named), _short_curves(tables)
    shown, note = largest_datasets(tables.networks)
    depths = group_networks(tables.networks["depth"], min(_DEPTH_GROUPS, most_columns(width)))
    figure, rows = small_panels(len(shown), len(depths), width)
    cut = False
    for row, (dataset, positions) in zip(rows, shown, strict=True):
        cut |= _draw_row(row, tables, value, positions, [members for _, members in depths])
        name = dataset_name(dataset, _LETTERS_BESIDE) if named or len(shown) > 1 else ""
        row[0].set_ylabel(f"{name}\n{_SHORT_TITLES[value]}".strip())
    for axes, (name, _) in zip(rows[0], depths, strict=True):
        axes.set_title(f"depth {name}" if name else "all depths")
    for axes in rows[-1]:
        axes.set_xlabel("epoch")
    legend(figure, rows[0][0])
    beyond = "Some of the middle 90% are so large that they lie beyond the picture." if cut else ""
    return figure, join_sentences([_short_curves(tables), beyond, note])


def _draw_each(tables: Tables, value: str, width: float | None, *, named: bool) -> Figure:
    figure, axes = wide_panel(width)
    curves = ValueCurves(tables, value, positive=value != _ACCURACY)
    several = tables.networks["dataset"].nunique() > 1
    for i, (id_, dataset, depth) in enumerate(
        tables.networks[["id", "dataset", "depth"]].itertuples(index=False)
    ):
        values = curves.of_network(i)
        axes.plot(
            np.arange(1, len(values) + 1) * tables.step,
            values,
            color=COLOURS[i % len(COLOURS)],
            linestyle=LINES[i % len(LINES)],
            marker="o" if len(values) == 1 else None,
            label=f"{id_}\n" * several
            + f"{dataset_name(dataset) if several else id_}"
            + ("" if pd.isna(depth) else f", depth {depth:g}"),
        )
    if named and not several:
        axes.set_title(dataset_name(tables.networks["dataset"].iloc[0]))
    axes.set_xlabel("epoch")
    axes.set_ylabel(_TITLES[value])
    _scale([axes], value, curves.lengths.max() * tables.step)
    legend_beside(figure, axes)
    return figure


def _draw_row(
    row: Sequence[Axes], tables: Tables, value: str, positions: Integers, depths: Sequence[Integers]
) -> bool:
    """Draw one dataset: a panel for each group of depths, with the median of all depths.

    Returns:
        True if some losses lie beyond the picture.
    """
    curves = ValueCurves(tables, value, positive=value != _ACCURACY)
    numbers = half_epochs_to_draw(int(curves.lengths[positions].max()))
    epochs, bands = np.asarray(numbers * tables.step, dtype=np.float64), []
    of_all = Band.from_values(epochs, [curves.at(n, positions) for n in numbers])
    for axes, members in zip(row, depths, strict=True):
        networks = np.intersect1d(members, positions)
        band = Band.from_values(epochs, [curves.at(n, networks) for n in numbers])
        bands.append(band)
        axes.fill_between(band.epochs, band.lowest, band.highest, color=SKY, alpha=0.25, lw=0)
        axes.fill_between(band.epochs, band.low, band.high, color=BLUE, alpha=0.35, lw=0)
        if len(depths) > 1 and len(networks):
            axes.plot(of_all.epochs, of_all.middle, **_OF_ALL, linewidth=scaled(1))
        axes.plot(band.epochs, band.middle, color=BLUE)
        if not len(networks) and axes is not row[0]:  # the first has the row's vertical axis
            axes.set_axis_off()
        axes.annotate(
            f"n = {len(networks):,}" if len(networks) else "no network",
            (1, 1),
            (-scaled(2), -scaled(2)),
            "axes fraction",
            "offset points",
            ha="right",
            va="top",
            fontsize=small_text(10),
            color=TEXT_GREY,
        )
    _scale(row, value, epochs[-1])
    _add_legend_entries(row[0], several=len(depths) > 1)
    return value != _ACCURACY and _cut_off(row, bands)


def _cut_off(row: Sequence[Axes], bands: Sequence[Band]) -> bool:
    """Limit the axis if a few huge losses would flatten all others; return True if limited."""
    usual = np.concatenate([band.high for band in bands])
    all_of_it = np.concatenate([band.highest for band in bands])
    top = np.nanmax(usual, initial=0.0)
    if not 0 < top * _CUT_FACTOR < np.nanmax(all_of_it, initial=0.0):
        return False
    least = np.nanmin(np.concatenate([band.lowest for band in bands]))
    row[0].set_ylim(least / 1.5, 4 * top)
    logarithmic_axis(row)
    return True


def _add_legend_entries(axes: Axes, *, several: bool) -> None:
    nothing: list[float] = []
    axes.plot(nothing, nothing, color=BLUE, label="median")
    axes.plot(nothing, nothing, color=BLUE, alpha=0.45, linewidth=scaled(9), label="middle half")
    axes.plot(nothing, nothing, color=SKY, alpha=0.3, linewidth=scaled(9), label="middle 90%")
    if several:
        axes.plot(nothing, nothing, **_OF_ALL, linewidth=scaled(1), label="median of all depths")


def _scale(row: Sequence[Axes], value: str, longest: float) -> None:
    """Set the scale of a row of panels, with room above the curves for the text in the corner.

    Call it when all panels are drawn: the limits don't change when more is drawn.
    """
    for axes in row:
        axes.margins(y=0.16)
    epoch_axis(row[0], longest)
    if value == _ACCURACY:
        row[0].set_ylim(bottom=0)
    else:
        logarithmic_axis(row)


def _short_curves(tables: Tables) -> str:
    lengths = tables.networks["half_epochs"]
    short = int((lengths < lengths.max()).sum())
    if not short:
        return ""
    longest = lengths.max() * tables.step
    return f"{counted(short, 'curve')} of {len(tables):,} end before epoch {longest:g}."
