"""The accuracy that networks end with, by one of their settings."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from nnlc.analysis.metrics import metrics
from nnlc.networks import DROPOUT, POOLING, RELU
from nnlc.plotting.grids import Band, Floats, Integers, datasets
from nnlc.plotting.style import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    label_panels,
    legend,
    listed,
    panel_title,
    panels,
)
from nnlc.tables.frames import Tables

_ACCURACY = "final validation accuracy (%)"
_BINS = 12
_FEWEST_IN_A_BIN = 5
"""Networks from which a median and quartiles are worth drawing."""
_BLOCKS = {"ReLU": RELU, "pooling": POOLING, "dropout": DROPOUT}
_JITTER = 0.3
_SIDES = (("with", BLUE, ""), ("without", ORANGE, "//"))


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting that accuracies are drawn against."""

    column: str
    label: str
    edges: Callable[[Floats], Floats]
    """From the values: where bins begin and end."""
    logarithmic: bool = False
    jitter: float = 0.0
    """How far apart points of one whole number are spread."""


def _powers(values: Floats) -> Floats:
    return np.geomspace(values.min(), values.max(), _BINS + 1)


def _steps(values: Floats) -> Floats:
    return np.linspace(values.min(), values.max(), _BINS + 1)


def _wholes(values: Floats) -> Floats:
    return np.arange(values.min(), values.max() + 2) - 0.5


SETTINGS = {
    "learning-rate": Setting("learning_rate", "learning rate", _powers, logarithmic=True),
    "batch-size": Setting("batch_size", "batch size (images)", _steps),
    "depth": Setting("depth", "convolutions", _wholes, jitter=_JITTER),
}
"""By the name of the picture."""


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
"""The last: of images whose classes nobody told."""


def draw_finals(tables: Tables, setting: Setting) -> tuple[Figure, str]:
    """A point a network, and over them median and quartiles of all.

    Returns:
        The figure, and what its caption must say beside the counts.
    """
    networks = metrics(tables, columns=(setting.column,))
    shown, note = datasets(networks)
    figure, found = panels(len(shown))
    for axes, (dataset, positions) in zip(found, shown, strict=True):
        _draw_points(axes, networks.iloc[positions], setting)
        axes.set_title(panel_title(dataset, len(positions)))
        axes.set_ylim(bottom=0)
    label_panels(found, setting.label, _ACCURACY)
    _draw_key(found[0], networks)
    legend(figure, found[0])
    missing = int((~_places(networks, setting)).sum())
    blank = f"{missing:,} have no place on these axes." if missing else ""
    median = "Black: the median of all, with bars from quartile to quartile."
    return figure, listed([median, blank, note])


def _places(networks: pd.DataFrame, setting: Setting) -> NDArray[np.bool_]:
    """Which networks can be drawn."""
    values = networks[setting.column].to_numpy(dtype=float)
    found: NDArray[np.bool_] = np.isfinite(
        networks["val_accuracy_percent_final"].to_numpy()
    ) & np.isfinite(values)
    if setting.logarithmic:
        found &= values > 0
    return found


def _draw_points(axes: Axes, networks: pd.DataFrame, setting: Setting) -> None:
    networks = networks[_places(networks, setting)]
    if not len(networks):
        return
    values = networks[setting.column].to_numpy(dtype=float)
    accuracy = networks["val_accuracy_percent_final"].to_numpy()
    spread = np.random.default_rng(0).uniform(-setting.jitter, setting.jitter, len(values))
    for mark, rows in zip(_MARKS, _kinds(networks), strict=True):
        axes.scatter(
            values[rows] + spread[rows],
            accuracy[rows],
            s=mark.size * _swelling(len(values)),
            color=mark.colour,
            marker=mark.shape,
            alpha=mark.alpha,
            linewidths=0.9,
            rasterized=True,
        )
    if setting.logarithmic:
        axes.set_xscale("log")
    if setting.jitter:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=11))
    band = _band(values, accuracy, setting.edges(values))
    axes.errorbar(
        band.epochs,
        band.middle,
        yerr=np.abs(np.stack([band.low, band.high]) - band.middle),
        color=BLACK,
        marker="s",
        markersize=4.5,
        elinewidth=1.2,
        zorder=3,
    )


def _swelling(points: int) -> float:
    """How much larger marks are where there are few."""
    return min(max(1000 / points, 1.0), 4.0)


def _kinds(networks: pd.DataFrame) -> tuple[Integers, ...]:
    """The rows of each of `_MARKS`."""
    diverged = networks["diverged"].fillna(value=False).to_numpy(dtype=bool)
    unknown = networks["never_learned"].isna().to_numpy() & ~diverged
    never = networks["never_learned"].fillna(value=False).to_numpy(dtype=bool) & ~diverged
    kinds = ~(diverged | never | unknown), never, diverged, unknown
    return tuple(map(np.flatnonzero, kinds))


def _draw_key(axes: Axes, networks: pd.DataFrame) -> None:
    """What the marks mean that there are, larger and denser than they are."""
    nothing: list[float] = []
    for mark, rows in zip(_MARKS, _kinds(networks), strict=True):
        if not len(rows):
            continue
        axes.scatter(nothing, nothing, s=40, color=mark.colour, marker=mark.shape, label=mark.name)
    axes.plot(nothing, nothing, color=BLACK, marker="s", markersize=4.5, label="median, quartiles")


def _band(values: Floats, accuracy: Floats, edges: Floats) -> Band:
    """Quartiles of the accuracies in each bin that has enough of them, at its values' median."""
    bins = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, max(len(edges) - 2, 0))
    members = [np.flatnonzero(bins == i) for i in range(max(len(edges) - 1, 1))]
    full = [rows for rows in members if len(rows) >= _FEWEST_IN_A_BIN]
    middles = [float(np.median(values[rows])) for rows in full]
    return Band.of(middles, [accuracy[rows] for rows in full])


def draw_layer_types(tables: Tables) -> tuple[Figure, str]:
    """Boxes: networks with and without a ReLU, a pooling, a dropout anywhere among their blocks."""
    networks = metrics(tables, columns=("layer_types",))
    shown, note = datasets(networks)
    figure, found = panels(len(shown))
    for axes, (dataset, positions) in zip(found, shown, strict=True):
        _draw_boxes(axes, networks.iloc[positions])
        axes.set_title(panel_title(dataset, len(positions)))
        axes.set_ylim(bottom=0)
    label_panels(found, "", _ACCURACY)
    for label, colour, hatch in _SIDES:
        found[0].fill_between([], [], color=colour, alpha=0.6, hatch=hatch, label=label)
    legend(figure, found[0])
    whiskers = (
        "With: at least one block of the feature part has it. Boxes from quartile to quartile, "
        "whiskers from the 5th percentile to the 95th; below each how many networks it stands for."
    )
    return figure, listed([whiskers, note])


def _draw_boxes(axes: Axes, networks: pd.DataFrame) -> None:
    blocks = networks["layer_types"]
    accuracy = networks["val_accuracy_percent_final"].to_numpy()
    ticks = []
    for i, bit in enumerate(_BLOCKS.values()):
        has = blocks.map(lambda types, bit=bit: any(block & bit for block in types))
        for j, (rows, (_, colour, hatch)) in enumerate(zip((has, ~has), _SIDES, strict=True)):
            values = accuracy[rows.to_numpy(dtype=bool)]
            values = values[np.isfinite(values)]
            place = i + 0.4 * (j - 0.5)
            ticks.append((place, f"{len(values):,}"))
            if len(values):
                _draw_box(axes, values, place, colour, hatch)
    axes.set_xticks([place for place, _ in ticks], [text for _, text in ticks], fontsize=10)
    for i, name in enumerate(_BLOCKS):
        axes.annotate(
            name,
            (i, 0),
            (0, -22),
            ("data", "axes fraction"),
            "offset points",
            ha="center",
            va="top",
        )
    axes.grid(visible=False, axis="x")


def _draw_box(axes: Axes, values: Floats, place: float, colour: str, hatch: str) -> None:
    parts = axes.boxplot(
        [values],
        positions=[place],
        widths=0.32,
        whis=(5, 95),
        showfliers=False,
        patch_artist=True,
        manage_ticks=False,
        medianprops={"color": BLACK, "linewidth": 1.8},
    )
    for box in parts["boxes"]:
        box.set(facecolor=colour, alpha=0.6, hatch=hatch)
