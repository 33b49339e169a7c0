"""The saw-tooth of training losses: how they change within an epoch, and from one to the next.

The training images are shuffled once an epoch, and each is seen once in it. A network that
remembers them does worse in an epoch's second half, on images that it saw longer ago, than in the
first: its loss rises from x.5 to x + 0.5, and falls from there to the next x.5.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnlc.plotting.curve_plots import MOST_LABELLED
from nnlc.plotting.grids import Band, Curves, Floats, Integers, datasets, half_epochs_to_draw
from nnlc.plotting.style import (
    BLUE,
    VERMILLION,
    dataset_name,
    label_panels,
    legend,
    listed,
    panel_title,
    panels,
)
from nnlc.tables.frames import Tables

_WITHIN = "from an epoch's first half to its second"
_ACROSS = "from there to the next epoch's first half"
_AT_HALVES, _AT_WHOLES = "epochs' first halves (x.5)", "second halves (x+0.5)"
_FALLING_EPOCHS = 5
"""In so many losses fall too fast for anything else to be seen; shorter curves are drawn whole."""


def draw_saw_tooth(tables: Tables) -> tuple[Figure, str]:
    """Few networks: both halves' losses. Many: by how much the loss changes from half to half.

    Returns:
        The figure, and what its caption must say beside the counts.
    """
    if len(tables) <= MOST_LABELLED:
        return _draw_each(tables), ""
    shown, note = datasets(tables.networks)
    figure, found = panels(len(shown))
    curves = Curves(tables, "train_loss")
    for axes, (dataset, positions) in zip(found, shown, strict=True):
        _draw_changes(axes, curves, positions)
        axes.set_title(panel_title(dataset, len(positions)))
    label_panels(found, "epoch", "change of the training loss (%)")
    legend(figure, found[0])
    bands = "Lines are medians over networks, bands reach from quartile to quartile."
    start = f"Epochs 1 to {_FALLING_EPOCHS} are not shown: losses fall fast in them."
    return figure, listed([bands, start if _first(curves) > 2 else "", note])


def _first(curves: Curves) -> int:
    """The first half epoch whose change is drawn."""
    return 2 * _FALLING_EPOCHS + 1 if curves.lengths.max() > 4 * _FALLING_EPOCHS else 2


def _draw_changes(axes: Axes, curves: Curves, positions: Integers) -> None:
    numbers = half_epochs_to_draw(int(curves.lengths[positions].max()))
    numbers = numbers[numbers >= _first(curves)]
    for parity, colour, line, label in ((0, VERMILLION, "-", _WITHIN), (1, BLUE, "--", _ACROSS)):
        chosen = numbers[numbers % 2 == parity]
        changes = [_change(curves.at(n - 1, positions), curves.at(n, positions)) for n in chosen]
        band = Band.of(chosen / 2, changes)
        axes.fill_between(band.epochs, band.low, band.high, color=colour, alpha=0.18, lw=0)
        axes.plot(band.epochs, band.middle, color=colour, linestyle=line, label=label)
    axes.axhline(0, color="#666666", linewidth=0.9, zorder=1)
    axes.set_xlim(left=0)


def _change(before: Floats, after: Floats) -> Floats:
    """In percent; NaN where either is not finite or there is nothing to divide by."""
    usable = np.isfinite(after) & (before > 0)
    changes = np.full(len(before), np.nan)
    changes[usable] = 100 * (after[usable] / before[usable] - 1)
    return changes


def _draw_each(tables: Tables) -> Figure:
    figure, found = panels(len(tables))
    curves = Curves(tables, "train_loss")
    named = tables.networks[["id", "dataset"]].itertuples(index=False)
    for i, (axes, (id_, dataset)) in enumerate(zip(found, named, strict=True)):
        values = curves.of(i)
        numbers = np.arange(1, len(values) + 1)
        halves = numbers % 2 == 1
        axes.plot(numbers / 2, values, color="#bbbbbb", linewidth=1)
        for chosen, colour, mark, label in (
            (halves, BLUE, "v", _AT_HALVES),
            (~halves, VERMILLION, "^", _AT_WHOLES),
        ):
            axes.plot(
                numbers[chosen] / 2, values[chosen], mark, color=colour, markersize=4, label=label
            )
        axes.set_title(f"{id_}\n{dataset_name(dataset)}", fontsize=11)
        axes.set_xlim(left=0)
    label_panels(found, "epoch", "training loss (nats)")
    legend(figure, found[0])
    return figure
