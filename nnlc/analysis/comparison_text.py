"""Text tables of comparisons of prediction methods."""

import math
from collections.abc import Iterator

import pandas as pd

from nnlc.networks.image_sets import shown_name

_LEGEND = (
    "  saved: percent of the epochs that are not trained; a network without a prediction is",
    "  trained to the end. at a cost of: mean error of all networks, 0 for those trained to",
    "  the end; - if nothing is predicted. error, median: errors of the predicted networks.",
    "  last1: error of the last accuracy seen on these networks. Errors are in percentage",
    "  points. top: percent of the best tenth that is found. within: percent of the",
    "  predictions with an error of at most two standard deviations.",
)
"""Legend below the text table; indented, so that no line looks like a row."""


def comparison_lines(found: pd.DataFrame) -> Iterator[str]:
    """Yield the result of `compare` as a text table: percent, except epochs and milliseconds."""
    width = max(6, *(len(name) for name in found["method"]))
    yield (
        f"{'method':<{width}} {'cutoff':>6} {'saved':>6} {'at a cost of':>13} "
        f"{'error':>13} {'median':>7} {'last1':>6} "
        f"{'top':>5} {'within':>6} {'predicted':>11} {'ms':>7}"
    )
    dataset = None
    for row in found.to_dict("records"):
        if row["dataset"] != dataset:
            dataset = row["dataset"]
            yield f"{shown_name(dataset)}, accuracy at epoch {row['target_epoch']:g}"
        cost = error = "-"
        if row["predicted"]:
            cost = f"{rounded(row['cost_error'], 2)} ± {rounded(row['cost_standard_error'], 2)}"
            error = f"{rounded(row['mean_error'], 2)} ± {rounded(row['standard_error'], 2)}"
        yield (
            f"{row['method']:<{width}} {row['cutoff_epoch']:>6.4g} "
            f"{rounded(row['epochs_saved_percent'], 1):>6} {cost:>13} {error:>13} "
            f"{rounded(row['median_error'], 2):>7} {rounded(row['baseline_mean_error'], 2):>6} "
            f"{rounded(row['top_overlap_percent'], 0):>5} {rounded(row['covered_percent'], 0):>6} "
            f"{row['predicted']:>5}/{row['networks']:<5} {row['milliseconds']:>7.2f}"
        )
    for name, why in found.attrs.get("failures", {}).items():
        yield f"{name} predicted nothing: {why}"
    yield from _LEGEND


def rounded(value: float, digits: int) -> str:
    """Return a number as text, or "-" if it is not finite."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"
