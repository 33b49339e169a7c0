"""Importance of settings: the share of the accuracy's variance that each of them explains."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nnlc.analysis.ranking import DEFAULT_COLUMN, column_of, numeric_columns
from nnlc.errors import NnlcError
from nnlc.families.layouts import derived_numbers, drawn_numbers, own_numbers
from nnlc.networks.image_sets import shown_name
from nnlc.tables.frames import Tables
from nnlc.wording import counted

IMPORTANCE_COLUMNS = ("dataset", "setting", "share", "standard_error", "networks")
FEWEST_NETWORKS = 10
"""Number of networks below which no share is given."""

_RESAMPLES = 200


SETTINGS = (
    *("learning_rate", "batch_size", "momentum", "dampening", "weight_decay", "depth"),
    *(*drawn_numbers(), *derived_numbers(), "parameters", "multiply_adds"),
)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def importance(
    tables: Tables, settings: Sequence[str] = SETTINGS, *, of: str = DEFAULT_COLUMN
) -> pd.DataFrame:
    """Return the share of the accuracy's variance that each setting explains by itself.

    Networks are put into k groups by the setting: a group for each of its values, or, if it has
    more than √n values for n networks, about √n groups of equal size, which never separate equal
    values. The share is Kelley's epsilon squared of the accuracies' ranks,

        ε² = 1 − (1 − η²) (n − 1) / (n − k),

    with η², the sum of squares between the groups over the total one (Kruskal and Wallis' H,
    corrected for ties, over n − 1). So units and outliers have no effect, and an optimum in the
    middle counts. For a setting without effect, the mean of ε² is 0; it may be slightly negative.
    Each share is of one setting alone: shares of related settings overlap, interactions are in
    none, and the sum may differ from 1. Sources: T. L. Kelley, PNAS 21 (1935) 554-559; W. H.
    Kruskal and W. A. Wallis, JASA 47 (1952) 583-621.

    Args:
        tables: the result of `load_tables`. Networks that diverged count with their accuracy.
        settings: numeric columns of networks or of `metrics`, or `fc_layers`, `largest_kernel`,
            `pooling_share`, `dropout_share`, `relu_share` (shares of blocks with such a layer); by
            default, those that have a value, other families' own numbers and flags among them.
        of: column of `metrics`, or of networks, whose variance is explained.

    Returns:
        A row for each dataset and setting, the largest share of each dataset first: `dataset`,
        `setting`, `share`; `standard_error` of 200 bootstrap samples of the networks, always the
        same ones, up to twice too large for shares near 0; `networks`, the number with both values.
        Share and error are NaN for fewer than ten networks, or if all have the same value.

    Raises:
        NnlcError: there is no setting; or a setting or column is unknown or has no numbers, and
            the message lists the known ones.
    """
    numbers = _with_derived(tables)
    values = column_of(numbers, of)
    if settings is SETTINGS:
        names = [*SETTINGS, *own_numbers(tables.networks)]
        settings = [name for name in names if name in numbers and numbers[name].notna().any()]
    if not settings:
        raise NnlcError("there is no setting; name at least one column of networks")
    given = {name: column_of(numbers, name) for name in settings}
    rows = []
    for dataset in tables.networks["dataset"].unique():
        own = (tables.networks["dataset"] == dataset) & values.notna()
        for name, setting in given.items():
            both = own & setting.notna()
            share, error = _share_and_error(setting[both], values[both])
            rows.append((dataset, name, share, error, int(both.sum())))
    found = pd.DataFrame(rows, columns=list(IMPORTANCE_COLUMNS))
    found = found.sort_values(["dataset", "share"], ascending=[True, False], ignore_index=True)
    found.attrs["of"] = of
    return found


def _with_derived(tables: Tables) -> pd.DataFrame:
    numbers = numeric_columns(tables)
    for name, values in derived_numbers(tables.networks).items():
        numbers[name] = pd.Series(values, index=numbers.index, dtype="float64")
    return numbers


def _share_and_error(
    setting: "pd.Series[float]", values: "pd.Series[float]"
) -> tuple[float, float]:
    if len(values) < FEWEST_NETWORKS:
        return math.nan, math.nan
    settings = np.unique(setting, return_inverse=True)[1]
    accuracies = np.unique(values, return_inverse=True)[1]
    draws = np.random.default_rng(0).integers(0, len(values), (_RESAMPLES, len(values)))
    resampled = np.array([_epsilon_squared(settings[draw], accuracies[draw]) for draw in draws])
    known = resampled[np.isfinite(resampled)]
    share = _epsilon_squared(settings, accuracies)
    return share, float(known.std(ddof=1)) if math.isfinite(share) else math.nan


def _epsilon_squared(settings: Integers, accuracies: Integers) -> float:
    """Return ε² of the ranks of accuracies; NaN if either has one value only.

    Args:
        settings: each network's setting as an integer that rises with it.
        accuracies: each network's accuracy, likewise.
    """
    count = len(settings)
    groups, most = settings, round(math.sqrt(count))
    if len(np.unique(settings)) > most:
        groups = (_ranks(settings) * most / count).astype(np.int64)
    sizes = np.bincount(groups)
    ranks = _ranks(accuracies) - count / 2
    total, number = float(ranks @ ranks), int((sizes > 0).sum())
    if total == 0 or number < 2:
        return math.nan
    sums = np.bincount(groups, ranks)
    between = float((sums[sizes > 0] ** 2 / sizes[sizes > 0]).sum())
    return 1 - (1 - between / total) * (count - 1) / (count - number)


def _ranks(codes: Integers) -> Floats:
    """Return the middle of the places that each network shares with its equals, from 0 to n."""
    sizes = np.bincount(codes)
    return np.asarray((np.cumsum(sizes) - sizes / 2)[codes])


def importance_lines(found: pd.DataFrame) -> Iterator[str]:
    """Yield the result of `importance` as text, a line for each setting."""
    for dataset, rows in found.groupby("dataset", sort=False):
        of = f"the variance of {found.attrs['of']} (ranks)"
        yield f"{shown_name(str(dataset))}, share of {of} that each setting explains"
        width = max(map(len, rows["setting"]))
        for row in rows.to_dict("records"):
            share, why = f"{'-':>7}       ", ", all of one value"
            if math.isfinite(row["share"]):
                share = f"{100 * row['share']:5.1f} % ± {100 * row['standard_error']:4.1f}"
                why = ""
            elif row["networks"] < FEWEST_NETWORKS:
                why = f", too few: {FEWEST_NETWORKS} are needed"
            networks = counted(row["networks"], "network")
            yield f"  {row['setting']:<{width}} {share}  {networks}{why}"
    yield "  Shares are corrected for chance: one near or below 0 means that nothing is explained."
