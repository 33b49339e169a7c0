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
    legend_beside,
    shorten,
    wide_panel,
)
from nnlc.wording import counted

_MOST_NAMED = 6
"""Number of methods in colour, the baseline not counted; the rest are grey."""
_BASELINE = "last1"
_MOST_IN_CAPTION = 12
"""Number of grey methods that the caption names."""
_STOP_MARKS = "D^vPX*"


def draw_comparison(found: pd.DataFrame) -> tuple[Figure, str]:
    """Draw mean error against epochs saved: a line for each method, a mark for each stop rule.

    Args:
        found: the result of `nnlc.compare`.

    Returns:
        The figure and its caption.
    """
    figure, axes = wide_panel(4.2)
    drawn, short = found[found["predicted"] > 0], _short_names(found["method"])
    lines, stops = drawn[~drawn["stop_rule"]], drawn[drawn["stop_rule"]]
    order = _by_error(lines)
    named, rest = order[:_MOST_NAMED], order[_MOST_NAMED:]
    for name in rest:
        _draw_line(axes, lines[lines["method"] == name], color="#c8c8c8", linewidth=1, zorder=1)
    _draw_line(axes, lines[lines["method"] == _BASELINE], color=BLACK, label=_BASELINE)
    for i, name in enumerate(named):
        style = {"color": COLOURS[i], "linestyle": LINES[i % len(LINES)]}
        _draw_line(axes, lines[lines["method"] == name], label=escape_dollars(short[name]), **style)
    for i, name in enumerate(stops["method"]):
        label = f"{escape_dollars(short[name])} (stops by itself)"
        style = {"color": COLOURS[-1 - i % len(COLOURS)], "label": label}
        style |= {"markersize": 9, "linestyle": "", "clip_on": False}
        _draw_line(axes, stops.iloc[[i]], marker=_STOP_MARKS[i % len(_STOP_MARKS)], **style)
    axes.set_xlabel("epochs saved (%)")
    axes.set_ylabel("mean absolute error of all\nnetworks (percentage points)")
    axes.set_ylim(bottom=0)
    if len(drawn):
        legend_beside(figure, axes)
    return figure, _caption(found, [short[name] for name in rest], short)


def _by_error(lines: pd.DataFrame) -> list[str]:
    """Return the methods but the baseline, sorted by their mean error relative to the baseline's.

    Both errors are over the networks that a method predicted; their number has no effect.
    """
    others = lines[lines["method"] != _BASELINE]
    shares = (others["mean_error"] / others["baseline_mean_error"]).groupby(others["method"]).mean()
    return [str(name) for name in shares.sort_values(kind="stable").index]


def _draw_line(axes: Axes, rows: pd.DataFrame, **style: Any) -> None:
    rows = rows.sort_values("epochs_saved_percent")
    axes.errorbar(
        rows["epochs_saved_percent"],
        rows["cost_error"],
        yerr=rows["cost_standard_error"],
        elinewidth=0.8,
        **{"marker": "o", "markersize": 4, **style},
    )


def _short_names(names: Iterable[str]) -> dict[str, str]:
    """Return a shortened form of each name, long enough that all differ."""
    whole, letters = set(names), 28
    while len({shorten(name, letters) for name in whole}) < len(whole):
        letters += 1
    return {name: shorten(name, letters) for name in whole}


def _caption(found: pd.DataFrame, rest: list[str], short: dict[str, str]) -> str:
    networks, target = int(found["networks"].max()), found["target_epoch"].iloc[0]
    failed = int(found["failed"].sum())
    waited = [
        f"{short[name]} {counted(int(count), 'network')}"
        for name, count in found[["method", "not_converged"]].dropna().itertuples(index=False)
        if count
    ]
    nothing = int((found["predicted"] == 0).sum())
    names = rest[:_MOST_IN_CAPTION]
    names += [f"{len(rest) - _MOST_IN_CAPTION} more"] * (len(rest) > _MOST_IN_CAPTION)
    return join_sentences(
        [
            f"{counted(networks, 'network')}, accuracy at epoch {target:g} predicted; bars are "
            "standard errors.",
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
