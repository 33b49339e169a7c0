"""Comparison of prediction methods on the same networks: error and epochs saved."""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nnlc.analysis.parallel import decide_timed, predict_timed
from nnlc.analysis.predictors.interface import Predictor, StopRule
from nnlc.analysis.predictors.registry import (
    ALL_METHODS,
    DEFAULT_EPOCH,
    check_epoch,
    make_predictor,
    predictor_text,
)
from nnlc.analysis.scorable_networks import ScorableNetworks, find_scorable
from nnlc.errors import NnlcError
from nnlc.tables.frames import Tables

BASELINE = "last1"
TOP_SHARE = 0.1
CUTOFF_SHARES = (0.1, 0.2, 0.3, 0.5, 0.75)
"""Default cutoffs, as shares of the target epoch."""
COVERED_DEVIATIONS = 2
COMPARISON_COLUMNS = (
    *("method", "stop_rule", "cutoff_epoch", "target_epoch", "networks", "predicted", "failed"),
    *("not_converged", "epochs_saved_percent", "cost_error", "cost_standard_error"),
    *("mean_error", "standard_error", "median_error", "baseline_mean_error", "covered_percent"),
    *("top_overlap_percent", "milliseconds"),
)

_LEGEND = (
    "  saved: percent of the epochs that are not trained; a network without a prediction is",
    "  trained to the end. at a cost of: mean error of all networks, 0 for those trained to",
    "  the end. error, median: errors of the predicted networks. last1: error of the last",
    "  accuracy seen on these networks. Errors are in percentage points. top: percent of the",
    "  best tenth that is found. within: percent of the predictions with an error of at most",
    "  two standard deviations.",
)
"""Legend below the text table; indented, so that no line looks like a row."""

Floats = NDArray[np.float64]


def compare(
    tables: Tables,
    methods: Sequence[str] = ALL_METHODS,
    *,
    cutoffs: Sequence[float] | None = None,
    target: float = DEFAULT_EPOCH,
    only: Collection[str] | None = None,
    processes: int = 1,
) -> pd.DataFrame:
    """Compare how well methods predict the accuracy at a target epoch from the epochs before.

    Args:
        tables: the result of `load_tables`.
        methods: methods with settings, as `nnlc compare --list` shows them. The baseline `last1`
            is always added.
        cutoffs: last epochs that the methods see; None: five shares of the target.
        target: the epoch to predict.
        only: IDs of the networks to compare on; None: all.
        processes: number of processes; only `milliseconds` depends on it.

    Returns:
        One row for each method and cutoff, and one for each stop rule, in the order of `methods`
        after `last1`. Errors are in percentage points. Networks that diverged or end before the
        target are in no row: `attrs` lists their IDs as `diverged` and `short`. For each method
        that predicted no network, `attrs["failures"]` has the most common reason.

        - `method`: the method as given; `stop_rule`: True if the method chooses where to stop.
        - `cutoff_epoch`: the last epoch seen; for a stop rule, the mean epoch at which it stopped.
        - `target_epoch`: the epoch predicted.
        - `networks`: number of networks compared. Of these, `predicted` have a prediction and
          `failed` have none. A stop rule has no prediction either for the `not_converged` networks
          that it never stopped; missing for other methods.
        - `epochs_saved_percent`: percent of the epochs up to the target that are not trained. A
          network without a prediction is trained to the target.
        - `cost_error`, `cost_standard_error`: mean error over all networks, and its standard
          error. A network trained to the target has the error 0.
        - `mean_error`, `standard_error`, `median_error`: mean error over the predicted networks,
          its standard error, and the median.
        - `baseline_mean_error`: mean error of `last1` at the same cutoff on the same networks; for
          a stop rule, the mean error of the accuracy where it stopped.
        - `covered_percent`: percent of the predictions with an uncertainty whose error is at most
          two standard deviations.
        - `top_overlap_percent`: percent of each dataset's best tenth (at least one network) that
          is in the predicted best tenth; the expected value where ties are broken at random. A
          network trained to the target is ranked by its accuracy there. Missing where nothing is
          predicted.
        - `milliseconds`: processor time for each network. An ensemble's time includes all its
          fits, even those that an earlier method had already made.

    Raises:
        NnlcError: a method or setting is unknown, an epoch is impossible, or no network is left.
    """
    check_epoch("the target", target)
    made = _make(methods, target)
    ends = _check_cutoffs(cutoffs, target)
    scorable = find_scorable(tables, target, only=only)
    predictors = [one for one in made.values() if not isinstance(one, StopRule)]
    by_cutoff = {
        end: predict_timed(predictors, scorable.curves.first(round(2 * end)), target, processes)
        for end in ends
    }
    rows, failures = [], {}
    for text, one in made.items():
        if isinstance(one, StopRule):
            rows.append({"method": text, **_stop_rule_row(one, scorable, processes)})
            continue
        number = predictors.index(one)
        of_all = [by_cutoff[end][number][0] for end in ends]
        if not any(np.isfinite(found.values).any() for found in of_all):
            reasons = Counter(why for found in of_all for why in found.reasons)
            failures[text] = str(reasons.most_common(1)[0][0])
        for end in ends:
            found, seconds = by_cutoff[end][number]
            last = scorable.curves.val_accuracy_percent[:, round(2 * end) - 1]
            row = _scores(scorable, found.values, found.uncertainties, last, seconds)
            spent = np.where(np.isfinite(found.values), end, target).mean()
            row |= {"stop_rule": False, "cutoff_epoch": end, "not_converged": None}
            row["epochs_saved_percent"] = 100 * (1 - spent / target)
            rows.append({"method": text, **row})
    frame = pd.DataFrame(rows)
    frame["target_epoch"] = target
    frame["not_converged"] = frame["not_converged"].astype("Int64")
    frame = frame[list(COMPARISON_COLUMNS)]
    frame.attrs.update(
        diverged=list(scorable.diverged), short=list(scorable.short), failures=failures
    )
    return frame


def _make(methods: Sequence[str], target: float) -> dict[str, Predictor]:
    """Return the predictors by the text that named them; a method named twice counts once."""
    if isinstance(methods, str):
        raise NnlcError("methods is a text, but must be a list of texts")
    made: dict[str, tuple[str, Predictor]] = {}
    for text in (BASELINE, *methods):
        one = make_predictor(text, epoch=target)
        if isinstance(one, StopRule) and one.epoch != target:
            raise NnlcError(
                f"{text} predicts epoch {one.epoch:g}, but the target is epoch {target:g}; leave "
                "out the method's epoch, or change the target"
            )
        made.setdefault(predictor_text(one), (text, one))
    return dict(made.values())


def _check_cutoffs(cutoffs: Sequence[float] | None, target: float) -> list[float]:
    if cutoffs is None:
        shares = [max(1.0, round(2 * share * target)) / 2 for share in CUTOFF_SHARES]
        cutoffs = [end for end in shares if end < target]
        if not cutoffs:
            raise NnlcError(f"the target, epoch {target:g}, has no half epoch before it")
    for end in cutoffs:
        check_epoch("a cutoff", end)
        if end >= target:
            raise NnlcError(
                f"the cutoff, epoch {end:g}, is not before the target, epoch {target:g}; give an "
                "earlier one"
            )
    if not cutoffs:
        raise NnlcError("there is no cutoff; give at least one epoch")
    return sorted(set(map(float, cutoffs)))


def _stop_rule_row(rule: StopRule, scorable: ScorableNetworks, processes: int) -> dict[str, Any]:
    stops, seconds = decide_timed(rule, scorable.curves, processes)
    values = np.where(stops.converged, stops.values, np.nan)
    last = scorable.curves.val_accuracy_percent[np.arange(len(values)), stops.points - 1]
    row = _scores(scorable, values, np.full(len(values), np.nan), last, seconds)
    mean_end = float(stops.points.mean() / 2)
    row |= {"stop_rule": True, "cutoff_epoch": mean_end}
    row["epochs_saved_percent"] = 100 * (1 - mean_end / scorable.target)
    waited = ~stops.converged & [why is None for why in stops.reasons]
    row["not_converged"] = int(waited.sum())
    row["failed"] -= row["not_converged"]
    return row


def _scores(
    scorable: ScorableNetworks, values: Floats, uncertainties: Floats, last: Floats, seconds: float
) -> dict[str, Any]:
    known = np.isfinite(values)
    costs = np.where(known, np.abs(values - scorable.observed), 0.0)
    errors = costs[known]
    sure = np.isfinite(uncertainties[known])
    count = len(errors)
    within = errors[sure] <= COVERED_DEVIATIONS * uncertainties[known][sure]
    return {
        "networks": len(values),
        "predicted": count,
        "failed": len(values) - count,
        "cost_error": float(costs.mean()),
        "cost_standard_error": _standard_error(costs),
        "mean_error": float(errors.mean()) if count else math.nan,
        "standard_error": _standard_error(errors),
        "median_error": float(np.median(errors)) if count else math.nan,
        "baseline_mean_error": (
            float(np.abs(last - scorable.observed)[known].mean()) if count else math.nan
        ),
        "covered_percent": 100 * float(within.mean()) if len(within) else math.nan,
        "top_overlap_percent": _top_overlap(scorable, values) if count else math.nan,
        "milliseconds": 1000 * seconds / len(values),
    }


def _standard_error(errors: Floats) -> float:
    """Return the standard error of the mean; NaN for fewer than two errors."""
    return float(errors.std(ddof=1)) / math.sqrt(len(errors)) if len(errors) > 1 else math.nan


def _top_overlap(scorable: ScorableNetworks, values: Floats) -> float:
    """Return the percentage of each dataset's best tenth that is in the predicted best tenth."""
    ranked = np.where(np.isfinite(values), values, scorable.observed)
    datasets = np.array(scorable.datasets)
    shared, wanted = 0.0, 0
    for dataset in sorted(set(scorable.datasets)):
        own = datasets == dataset
        count = max(1, round(TOP_SHARE * int(own.sum())))
        shared += float(_in_top(scorable.observed[own], count) @ _in_top(ranked[own], count))
        wanted += count
    return 100 * shared / wanted


def _in_top(values: Floats, count: int) -> Floats:
    """Return each value's probability to be among the `count` largest, with ties at random."""
    least = np.sort(values)[-count]
    above, equal = values > least, values == least
    return np.asarray(above + equal * (count - above.sum()) / equal.sum())


def comparison_lines(found: pd.DataFrame) -> Iterator[str]:
    """Yield the result of `compare` as a text table: percent, except epochs and milliseconds."""
    width = max(6, *(len(name) for name in found["method"]))
    yield (
        f"{'method':<{width}} {'cutoff':>6} {'saved':>6} {'at a cost of':>13} "
        f"{'error':>13} {'median':>7} {'last1':>6} "
        f"{'top':>5} {'within':>6} {'predicted':>11} {'ms':>7}"
    )
    for row in found.to_dict("records"):
        cost = f"{_text(row['cost_error'], 2)} ± {_text(row['cost_standard_error'], 2)}"
        error = f"{_text(row['mean_error'], 2)} ± {_text(row['standard_error'], 2)}"
        yield (
            f"{row['method']:<{width}} {row['cutoff_epoch']:>6.4g} "
            f"{_text(row['epochs_saved_percent'], 1):>6} {cost:>13} {error:>13} "
            f"{_text(row['median_error'], 2):>7} {_text(row['baseline_mean_error'], 2):>6} "
            f"{_text(row['top_overlap_percent'], 0):>5} {_text(row['covered_percent'], 0):>6} "
            f"{row['predicted']:>5}/{row['networks']:<5} {row['milliseconds']:>7.2f}"
        )
    for name, why in found.attrs.get("failures", {}).items():
        yield f"{name} predicted nothing: {why}"
    yield from _LEGEND


def _text(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"
