"""Largest share of epochs that each prediction method saves at no more than some mean error."""

from collections.abc import Iterator

import pandas as pd

from nnlc.analysis.comparison import check_comparison
from nnlc.analysis.comparison_text import rounded
from nnlc.errors import NnlcError
from nnlc.networks.image_sets import shown_name

SAVINGS_COLUMNS = (
    *("dataset", "method", "stop_rule", "most_error", "epochs_saved_percent", "cutoff_epoch"),
    *("target_epoch", "cost_error", "cost_standard_error", "networks"),
)


def savings(found: pd.DataFrame, error: float) -> pd.DataFrame:
    """Return the largest share of epochs that each method saves at no more than a mean error.

    The share is the best of the cutoffs compared, chosen on the networks on which the error is
    measured; so expect a little less on other networks.

    Args:
        found: the result of `compare`, best with `cutoffs="fine"`.
        error: the largest mean error over all networks, in percentage points; a network without a
            prediction is trained to the end, and has the error 0.

    Returns:
        A row for each dataset and method, the largest share of each dataset first: `dataset`,
        `method`, `stop_rule`; `most_error`, the argument; and, from the best row of `found`,
        `epochs_saved_percent`, `cutoff_epoch`, `target_epoch`, `cost_error`,
        `cost_standard_error`, `networks`. Share, cutoff and errors are NaN for a method that saves
        nothing with so small an error.

    Raises:
        NnlcError: the error is not from 0 to 100 percentage points.
    """
    check_comparison(found)
    if not 0 <= error <= 100:
        raise NnlcError(f"the error is {error:g}, but must be from 0 to 100 percentage points")
    good = found[(found["epochs_saved_percent"] > 0) & (found["cost_error"] <= error)]
    good = good.sort_values(["epochs_saved_percent", "cost_error"], ascending=[False, True])
    keys = ["dataset", "method"]
    best = good.drop_duplicates(keys)[
        [*keys, "epochs_saved_percent", "cutoff_epoch", "cost_error", "cost_standard_error"]
    ]
    rows = found.drop_duplicates(keys)[[*keys, "stop_rule", "target_epoch", "networks"]]
    rows = rows.merge(best, on=keys, how="left").assign(most_error=float(error))
    by, up = ["dataset", "epochs_saved_percent"], [True, False]
    return rows.sort_values(by, ascending=up, ignore_index=True)[list(SAVINGS_COLUMNS)]


def savings_lines(found: pd.DataFrame) -> Iterator[str]:
    """Yield the result of `savings` as text, a line for each method."""
    width = max(map(len, found["method"]))
    for dataset, rows in found.groupby("dataset", sort=False):
        first = rows.iloc[0]
        yield (
            f"{shown_name(str(dataset))}, accuracy at epoch {first['target_epoch']:g}: epochs "
            f"saved at a mean error of at most {first['most_error']:g} percentage "
            f"point{'' if first['most_error'] == 1 else 's'}"
        )
        for row in rows.to_dict("records"):
            line = f"  {row['method']:<{width}}"
            if pd.isna(row["epochs_saved_percent"]):
                yield f"{line}   none"
                continue
            stop = "stops at epoch" if row["stop_rule"] else "cutoff at epoch"
            yield (
                f"{line} {row['epochs_saved_percent']:5.1f} %  {stop} {row['cutoff_epoch']:.4g}"
                f"{' (mean)' if row['stop_rule'] else ''}, error {row['cost_error']:.2f} ± "
                f"{rounded(row['cost_standard_error'], 2)}"
            )
    yield "  Each cutoff is the best one on these same networks: expect to save less on others."
