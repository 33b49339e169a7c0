"""Picture of the training losses' saw-tooth: changes within an epoch and between epochs.

Training images are shuffled once an epoch and each is seen once. A network that remembers images
has a lower loss in an epoch's first half than in its second: its loss rises from the half epoch
(x.5) to the end of the epoch, and falls to the next half epoch.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnlc.plotting.curve_plots import MOST_LABELLED
from nnlc.plotting.grids import (
    Band,
    Floats,
    Integers,
    ValueCurves,
    half_epochs_to_draw,
    largest_datasets,
)
from nnlc.plotting.style import (
    BLUE,
    VERMILLION,
    dataset_name,
    epoch_axis,
    join_sentences,
    label_panels,
    legend,
    panel_title,
    panels,
    scaled,
    small_text,
)
from nnlc.tables.frames import Tables

_WITHIN = "from an epoch's first half to its second"
_ACROSS = "from there to the next epoch's first half"
_AT_HALVES, _AT_WHOLES = "epochs' first halves (x.5)", "second halves (x+0.5)"
_FALLING_EPOCHS = 5
"""Number of first epochs left out of long curves: fast-falling losses would hide the rest."""


def draw_saw_tooth(tables: Tables, width: float | None = None) -> tuple[Figure, str]:
    """Draw few networks' losses in both halves of epochs, or many networks' changes of loss.

    Returns:
        The figure, and text for its caption.
    """
    if len(tables) <= MOST_LABELLED:
        return _draw_each(tables, width), ""
    shown, note = largest_datasets(tables.networks)
    figure, found = panels(len(shown), width)
    curves = ValueCurves(tables, "train_loss")
    for axes, (dataset, positions) in zip(found, shown, strict=True):
        _draw_changes(axes, curves, positions)
        axes.set_title(panel_title(dataset, len(positions)))
    label_panels(found, "epoch", "change of the training loss (%)")
    legend(figure, found[0])
    bands = "Lines are medians over networks, bands reach from quartile to quartile."
    start = f"Epochs 1 to {_FALLING_EPOCHS} are not shown: losses fall fast in them."
    return figure, join_sentences([bands, start if _first(curves) > 2 else "", note])


def _first(curves: ValueCurves) -> int:
    """Return the number of the first half epoch whose change is drawn."""
    return 2 * _FALLING_EPOCHS + 1 if curves.lengths.max() > 4 * _FALLING_EPOCHS else 2


def _draw_changes(axes: Axes, curves: ValueCurves, positions: Integers) -> None:
    numbers = half_epochs_to_draw(int(curves.lengths[positions].max()))
    numbers = numbers[numbers >= _first(curves)]
    for parity, colour, line, label in ((0, VERMILLION, "-", _WITHIN), (1, BLUE, "--", _ACROSS)):
        chosen = numbers[numbers % 2 == parity]
        changes = [_change(curves.at(n - 1, positions), curves.at(n, positions)) for n in chosen]
        band = Band.from_values(chosen / 2, changes)
        axes.fill_between(band.epochs, band.low, band.high, color=colour, alpha=0.18, lw=0)
        axes.plot(band.epochs, band.middle, color=colour, linestyle=line, label=label)
    axes.axhline(0, color="#666666", linewidth=scaled(0.9), zorder=1)
    epoch_axis(axes, numbers[-1] / 2 if len(numbers) else 0)


def _change(before: Floats, after: Floats) -> Floats:
    """Return the change in percent; NaN where it is undefined."""
    usable = np.isfinite(after) & (before > 0)
    changes = np.full(len(before), np.nan)
    changes[usable] = 100 * (after[usable] / before[usable] - 1)
    return changes


def _draw_each(tables: Tables, width: float | None) -> Figure:
    figure, found = panels(len(tables), width)
    curves = ValueCurves(tables, "train_loss")
    named = tables.networks[["id", "dataset"]].itertuples(index=False)
    for i, (axes, (id_, dataset)) in enumerate(zip(found, named, strict=True)):
        values = curves.of_network(i)
        numbers = np.arange(1, len(values) + 1)
        halves = numbers % 2 == 1
        axes.plot(numbers / 2, values, color="#bbbbbb", linewidth=scaled(1))
        for chosen, colour, mark, label in (
            (halves, BLUE, "v", _AT_HALVES),
            (~halves, VERMILLION, "^", _AT_WHOLES),
        ):
            style: Any = {"color": colour, "markersize": scaled(4), "label": label}
            axes.plot(numbers[chosen] / 2, values[chosen], mark, **style)
        axes.set_title(f"{id_}\n{dataset_name(dataset)}", fontsize=small_text(9), weight="normal")
        epoch_axis(axes, len(values) / 2)
    label_panels(found, "epoch", "training loss (nats)")
    legend(figure, found[0])
    return figure
