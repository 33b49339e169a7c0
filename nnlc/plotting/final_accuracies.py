"""Pictures of networks' final accuracy by one of their settings."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from nnlc.analysis.metrics import metrics
from nnlc.families.layouts import layer_kinds
from nnlc.plotting.grids import Band, Floats, Integers, group_networks, largest_datasets
from nnlc.plotting.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    join_sentences,
    label_panels,
    legend,
    logarithmic_ticks,
    panel_title,
    panels,
    scaled,
    small_text,
)
from nnlc.tables.frames import Tables

_ACCURACY = "final validation accuracy (%)"
_MOST_GROUPS, _MOST_GROUPS_OF_DEPTHS = 12, 4
"""Most groups of networks, over all depths or for each group of depths."""
_FEWEST_IN_A_GROUP = 5
"""Fewest networks in a group for which median and quartiles are drawn."""
_VARIANTS = (("with", BLUE, ""), ("without", ORANGE, "//"))


@dataclass(frozen=True, slots=True)
class Setting:
    """Setting of networks that final accuracy is drawn against."""

    column: str
    label: str
    whole: bool = False
    """True if each value has its own group of networks; else groups are equally large."""
    logarithmic: bool = False
    jitter: float = 0.0
    """Greatest random horizontal shift of a point, so that integers don't hide one another."""
    by_depth: bool = False
    """True if colours and medians tell depths apart; else colours tell which networks learned."""


SETTINGS = {
    "learning-rate": Setting("learning_rate", "learning rate", logarithmic=True),
    "batch-size": Setting("batch_size", "batch size (images)"),
    "depth": Setting("depth", "convolutions", whole=True, jitter=0.3),
    "parameters": Setting("parameters", "parameters", logarithmic=True, by_depth=True),
    "multiply-adds": Setting("multiply_adds", "multiply-adds", logarithmic=True, by_depth=True),
}
"""Settings by the name of the picture."""


class _Mark(NamedTuple):
    name: str
    colour: str
    shape: str
    size: float
    alpha: float


_MARKS = (
    _Mark("learned", SKY, "o", 9, 0.45),
    _Mark("never better than chance", GREY, "o", 9, 0.3),
    _Mark("diverged", VERMILLION, "x", 16, 0.8),
    _Mark("not known", PURPLE, "^", 12, 0.45),
)
"""Marks of networks; "not known" where the number of classes is unknown."""
_MEDIAN = _Mark("median, quartiles", BLACK, "s", 9, 1)
_DEPTHS = ((BLUE, "o"), (VERMILLION, "^"), (GREEN, "s"), (PURPLE, "D"))
"""Colours and shapes of the marks of groups of depths."""
_Marked = list[tuple[_Mark, Integers]]
"""Marks, each with the positions of its networks."""


def draw_finals(tables: Tables, setting: Setting, width: float | None = None) -> tuple[Figure, str]:
    """Draw a point for each network, and median and quartiles of groups of networks.

    Args:
        tables: the tables.
        setting: the setting on the horizontal axis.
        width: width of the figure in inches; None: as wide as its panels need.

    Returns:
        The figure, and text for its caption.
    """
    networks = metrics(tables, columns=(setting.column, "depth"))
    shown, note = largest_datasets(networks)
    figure, found = panels(len(shown), width)
    marked, drawable = _marked(networks, setting), np.flatnonzero(_drawable(networks, setting))
    medians = False
    for axes, (dataset, positions) in zip(found, shown, strict=True):
        here = np.intersect1d(positions, drawable)
        groups = [(mark, np.intersect1d(rows, here)) for mark, rows in marked]
        medians |= _draw_points(axes, networks, here, groups, setting)
        axes.set_title(panel_title(dataset, len(positions)))
        _start_at_zero(axes)
    label_panels(found, setting.label, _ACCURACY)
    _add_legend_entries(found[0], marked, medians=medians and not setting.by_depth)
    legend(figure, found[0])
    missing = len(networks) - len(drawable)
    have = "has" if missing == 1 else "have"
    blank = f"{missing:,} {have} no place on these axes." if missing else ""
    return figure, join_sentences([_black(setting) if medians else "", blank, note])


def _start_at_zero(axes: Axes) -> None:
    """Let the vertical axis begin at 0, with room above what is drawn."""
    top = axes.dataLim.y1
    axes.set_ylim(0, 1.05 * top if 0 < top < np.inf else 1)


def _black(setting: Setting) -> str:
    """Return the sentence on the medians."""
    name, fewest = setting.label.partition(" (")[0], f"at least {_FEWEST_IN_A_GROUP} networks"
    if setting.by_depth:
        return f"Lines: medians of groups of {fewest} of similar depth and {name}."
    groups = f"of each number of {name} with {fewest}"
    if not setting.whole:
        groups = f"of groups of {fewest} of similar {name}, the groups equally large"
    return f"Black: medians {groups}; bars from quartile to quartile."


def _drawable(networks: pd.DataFrame, setting: Setting) -> NDArray[np.bool_]:
    """Return True for each network with a finite accuracy and a setting that the axis can show."""
    values = networks[["val_accuracy_percent_final", setting.column]].to_numpy(
        dtype=float, na_value=np.nan
    )
    found: NDArray[np.bool_] = np.isfinite(values).all(axis=1)
    return found & (values[:, 1] > 0) if setting.logarithmic else found


def _draw_points(
    axes: Axes, networks: pd.DataFrame, here: Integers, marked: _Marked, setting: Setting
) -> bool:
    """Draw the networks of one dataset, `here`; return True if there are medians."""
    if not len(here):
        return False
    values = networks[setting.column].to_numpy(dtype=float, na_value=np.nan)
    accuracy = networks["val_accuracy_percent_final"].to_numpy()
    spread = np.random.default_rng(0).uniform(-setting.jitter, setting.jitter, len(values))
    for mark, rows in marked:
        axes.scatter(
            values[rows] + spread[rows],
            accuracy[rows],
            s=mark.size * _mark_scale(len(here)) * scaled(1) ** 2,
            color=mark.colour,
            marker=mark.shape,
            alpha=mark.alpha,
            linewidths=scaled(0.9),
            rasterized=True,
        )
    if setting.logarithmic:
        axes.set_xscale("log")
        logarithmic_ticks(axes.xaxis)
    if setting.jitter:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=11))
    medians = False
    for mark, rows in marked if setting.by_depth else [(_MEDIAN, here)]:
        most = _MOST_GROUPS_OF_DEPTHS if setting.by_depth else _MOST_GROUPS
        band = _band(values[rows], accuracy[rows], most, whole=setting.whole)
        if setting.by_depth and len(band.epochs) < 2:
            continue  # a lone median would look like a network
        quartiles = np.abs(np.stack([band.low, band.high]) - band.middle)
        axes.errorbar(
            band.epochs,
            band.middle,
            yerr=None if setting.by_depth else quartiles,
            color=mark.colour,
            marker=mark.shape,
            markersize=scaled(4.5),
            elinewidth=scaled(1.2),
            zorder=3,
        )
        medians |= len(band.epochs) > 0
    return medians


def _mark_scale(points: int) -> float:
    """Return the factor by which marks are enlarged where there are few."""
    return min(max(1000 / points, 1.0), 4.0)


def _marked(networks: pd.DataFrame, setting: Setting) -> _Marked:
    """Return the marks of a picture, each with the positions of its networks."""
    if not setting.by_depth:
        return list(zip(_MARKS, _kinds(networks), strict=True))
    groups = group_networks(networks["depth"], len(_DEPTHS))
    return [
        (_Mark(f"depth {name}" if name else "all depths", *look, 9, 0.4), rows)
        for (name, rows), look in zip(groups, _DEPTHS, strict=False)
    ]


def _kinds(networks: pd.DataFrame) -> tuple[Integers, ...]:
    """Return the rows of the networks for each of `_MARKS`."""
    diverged = networks["diverged"].fillna(value=False).to_numpy(dtype=bool)
    unknown = networks["never_learned"].isna().to_numpy() & ~diverged
    never = networks["never_learned"].fillna(value=False).to_numpy(dtype=bool) & ~diverged
    kinds = ~(diverged | never | unknown), never, diverged, unknown
    return tuple(map(np.flatnonzero, kinds))


def _add_legend_entries(axes: Axes, marked: _Marked, *, medians: bool) -> None:
    """Add a legend entry for each mark in use, larger and less transparent than in the panel."""
    nothing: list[float] = []
    for mark, rows in marked:
        if len(rows):
            look: Any = {"s": 40 * scaled(1) ** 2, "color": mark.colour, "marker": mark.shape}
            axes.scatter(nothing, nothing, **look, label=mark.name)
    if medians:
        style: Any = {"marker": _MEDIAN.shape, "markersize": scaled(4.5)}
        axes.plot(nothing, nothing, color=_MEDIAN.colour, label=_MEDIAN.name, **style)


def _band(values: Floats, accuracy: Floats, most: int, *, whole: bool) -> Band:
    """Return the quartiles of accuracy in each group with enough networks, at its median value."""
    order = np.argsort(values, kind="stable")
    if whole:
        members = np.split(order, np.flatnonzero(np.diff(values[order])) + 1)
    else:
        groups = min(most, len(values) // _FEWEST_IN_A_GROUP)
        members = np.array_split(order, max(groups, 1))
    full = [rows for rows in members if len(rows) >= _FEWEST_IN_A_GROUP]
    middles = [float(np.median(values[rows])) for rows in full]
    return Band.from_values(middles, [accuracy[rows] for rows in full])


def draw_layer_types(tables: Tables, width: float | None = None) -> tuple[Figure, str]:
    """Draw box plots of networks with and without each kind of layer in their blocks.

    For networks of other families, the kinds are their own flags.

    Args:
        tables: the tables.
        width: width of the figure in inches; None: as wide as its panels need.
    """
    kinds = layer_kinds(tables.networks)
    networks = metrics(tables, columns=()).join(pd.DataFrame(kinds))
    shown, note = largest_datasets(networks)
    figure, found = panels(len(shown), width)
    for axes, (dataset, positions) in zip(found, shown, strict=True):
        here = networks.iloc[positions]
        known = [kind for kind in kinds if here[kind].notna().any()]
        _draw_boxes(axes, here, known)
        axes.set_title(panel_title(dataset, len(positions)))
        _start_at_zero(axes)
    label_panels(found, "", _ACCURACY)
    for label, colour, hatch in _VARIANTS:
        found[0].fill_between([], [], color=colour, alpha=0.6, hatch=hatch, label=label)
    legend(figure, found[0])
    whiskers = (
        "With: at least one block of the feature part has it. Lines: medians; boxes from quartile "
        "to quartile, whiskers from the 5th percentile to the 95th; below each its number of "
        "networks."
    )
    return figure, join_sentences([whiskers, note])


def _draw_boxes(axes: Axes, networks: pd.DataFrame, kinds: list[str]) -> None:
    accuracy = networks["val_accuracy_percent_final"].to_numpy()
    ticks = []
    for i, kind in enumerate(kinds):
        has = networks[kind]
        for j, (rows, (_, colour, hatch)) in enumerate(zip((has, ~has), _VARIANTS, strict=True)):
            values = accuracy[rows.to_numpy(dtype=bool, na_value=False)]
            values = values[np.isfinite(values)]
            place = i + 0.4 * (j - 0.5)
            ticks.append((place, f"{len(values):,}"))
            if len(values):
                _draw_box(axes, values, place, colour, hatch)
    axes.set_xticks(
        [place for place, _ in ticks], [text for _, text in ticks], fontsize=small_text(10)
    )
    for i, name in enumerate(kinds):
        below, system = (0, -scaled(22)), ("data", "axes fraction")
        axes.annotate(name, (i, 0), below, system, "offset points", ha="center", va="top")
    axes.grid(visible=False, axis="x")


def _draw_box(axes: Axes, values: Floats, place: float, colour: str, hatch: str) -> None:
    # Matplotlib's own whiskers would end at the outermost networks between the percentiles.
    band = Band.from_values([place], [values])
    names = {"whislo": band.lowest, "q1": band.low, "med": band.middle, "q3": band.high}
    parts = axes.bxp(
        [{name: value[0] for name, value in (names | {"whishi": band.highest}).items()}],
        positions=[place],
        widths=0.32,
        showfliers=False,
        patch_artist=True,
        manage_ticks=False,
        medianprops={"color": BLACK, "linewidth": scaled(1.8)},
    )
    for box in parts["boxes"]:
        box.set(facecolor=colour, alpha=0.6, hatch=hatch)
