"""Picture of a comparison of prediction methods: mean error against epochs saved."""

from collections.abc import Iterable
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnlc.plotting.style import (
    BLACK,
    COLOURS,
    LINES,
    escape_dollars,
    join_sentences,
    label_panels,
    legend,
    legend_beside,
    panel_title,
    panels,
    scaled,
    shorten,
    wide_panel,
)
from nnlc.wording import counted

_MOST_NAMED = 6
"""Number of methods in colour, the baseline not counted; the rest are grey."""
_BASELINE = "last1"
_MOST_IN_CAPTION = 12
"""Number of grey methods that the caption names."""
_ERROR = "mean absolute error\n(percentage points)"
_STOP_MARKS = "D^vPX*"


def draw_comparison(found: pd.DataFrame, width: float | None = None) -> tuple[Figure, str]:
    """Draw mean error against epochs saved: a line for each method, a mark for each stop rule.

    Args:
        found: the result of `nnlc.compare`.
        width: width of the figure in inches; None: as wide as its panel needs.

    Returns:
        The figure and its caption.
    """
    found = found if "dataset" in found else found.assign(dataset="")  # those of older versions
    datasets, short = found["dataset"].unique(), _short_names(found["method"])
    drawn = found[found["predicted"] > 0]
    order = _by_error(drawn[~drawn["stop_rule"]])
    rules = list(drawn.loc[drawn["stop_rule"], "method"].unique())
    if several := len(datasets) > 1:
        figure, panel_of = panels(len(datasets), width)
    else:
        figure, *panel_of = wide_panel(width, 4.2)
    for axes, dataset in zip(panel_of, datasets, strict=True):
        _draw_panel(axes, drawn[drawn["dataset"] == dataset], order, rules, short)
        if several:
            networks = found.loc[found["dataset"] == dataset, "networks"]
            axes.set_title(panel_title(dataset, int(networks.max())))
    label_panels(panel_of, "epochs saved (%)", _ERROR)
    if len(drawn):
        (legend if several else legend_beside)(figure, panel_of[0])
    return figure, _caption(found, [short[name] for name in order[_MOST_NAMED:]], short)


def _draw_panel(
    axes: Axes, lines: pd.DataFrame, order: list[str], rules: list[str], short: dict[str, str]
) -> None:
    """Draw the methods of one dataset, with the colours and labels that they have in all panels.

    Args:
        axes: the panel.
        lines: rows of the dataset.
        order: methods that choose no stop, in the order of their colours.
        rules: stop rules, in the order of their marks.
        short: names for the legend.
    """
    for name in order[_MOST_NAMED:]:
        _draw_line(axes, lines, name, color="#c8c8c8", linewidth=scaled(1), zorder=1)
    _draw_line(axes, lines, _BASELINE, color=BLACK, label=_BASELINE)
    for i, name in enumerate(order[:_MOST_NAMED]):
        style = {"color": COLOURS[i], "linestyle": LINES[i % len(LINES)]}
        _draw_line(axes, lines, name, label=escape_dollars(short[name]), **style)
    for i, name in enumerate(rules):
        label = f"{escape_dollars(short[name])} (stops by itself)"
        style = {"color": COLOURS[-1 - i % len(COLOURS)], "linestyle": "", "clip_on": False}
        style |= {"marker": _STOP_MARKS[i % len(_STOP_MARKS)], "markersize": scaled(9)}
        _draw_line(axes, lines, name, label=label, **style)
    axes.set_ylim(bottom=0)


def _by_error(lines: pd.DataFrame) -> list[str]:
    """Return the methods but the baseline, sorted by their mean error relative to the baseline's.

    Both errors are over the networks that a method predicted; their number has no effect.
    """
    others = lines[lines["method"] != _BASELINE]
    shares = (others["mean_error"] / others["baseline_mean_error"]).groupby(others["method"]).mean()
    return [str(name) for name in shares.sort_values(kind="stable").index]


def _draw_line(axes: Axes, lines: pd.DataFrame, method: str, **style: Any) -> None:
    rows = lines[lines["method"] == method].sort_values("epochs_saved_percent")
    axes.errorbar(
        rows["epochs_saved_percent"],
        rows["cost_error"],
        yerr=rows["cost_standard_error"],
        elinewidth=scaled(0.8),
        **{"marker": "o", "markersize": scaled(4), **style},
    )


def _short_names(names: Iterable[str]) -> dict[str, str]:
    """Return a shortened form of each name, long enough that all differ."""
    whole, letters = set(names), 28
    while len({shorten(name, letters) for name in whole}) < len(whole):
        letters += 1
    return {name: shorten(name, letters) for name in whole}


def _caption(found: pd.DataFrame, rest: list[str], short: dict[str, str]) -> str:
    networks = int(found.groupby("dataset")["networks"].max().sum())
    targets = " or ".join(f"{target:g}" for target in found["target_epoch"].unique())
    failed = int(found["failed"].sum())
    never = found.dropna(subset="not_converged").groupby("method", sort=False)["not_converged"]
    waited = [
        f"{short[str(name)]} {counted(int(count), 'network')}"
        for name, count in never.sum().items()
        if count
    ]
    nothing = int((found["predicted"] == 0).sum())
    names = rest[:_MOST_IN_CAPTION]
    names += [f"{len(rest) - _MOST_IN_CAPTION} more"] * (len(rest) > _MOST_IN_CAPTION)
    return join_sentences(
        [
            f"{counted(networks, 'network')}, accuracy at epoch {targets} predicted; errors are "
            "means of all networks, bars are standard errors.",
            f"Grey: {', '.join(names)}." if rest else "",
            f"Not converged: {', '.join(waited)}." if waited else "",
            "Where a method has no prediction, a network is trained to the end, with no error."
            if failed or waited
            else "",
            f"Left out: {counted(nothing, 'point')} where nothing was predicted."
            if nothing
            else "",
        ]
    )
