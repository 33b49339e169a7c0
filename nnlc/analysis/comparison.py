"""Comparison of prediction methods on the same networks: error and epochs saved."""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nnlc.analysis.contexts import LearnFrom, learned_lines, with_contexts
from nnlc.analysis.predictors.interface import Predictor, StopRule
from nnlc.analysis.predictors.registry import ALL_METHODS, make_predictor, predictor_text
from nnlc.analysis.scorable_networks import ScorableNetworks, find_scorable, left_out
from nnlc.errors import NnlcError, check_kind
from nnlc.tables.frames import Tables, check_choice

BASELINE = "last1"
TOP_SHARE = 0.1
CUTOFF_SHARES = (0.1, 0.2, 0.3, 0.5, 0.75)
"""Default cutoffs, as shares of the target epoch."""
FINE_SHARES = tuple(i / 20 for i in range(1, 20))
COVERED_DEVIATIONS = 2
COMPARISON_COLUMNS = (
    *("dataset", "method", "stop_rule", "cutoff_epoch", "target_epoch", "networks", "predicted"),
    *("failed", "not_converged", "epochs_saved_percent", "cost_error", "cost_standard_error"),
    *("mean_error", "standard_error", "median_error", "baseline_mean_error", "covered_percent"),
    *("top_overlap_percent", "milliseconds"),
)

Floats = NDArray[np.float64]


def compare(
    tables: Tables,
    methods: Sequence[str] = ALL_METHODS,
    *,
    cutoffs: Sequence[float] | Literal["fine"] | None = None,
    target: float | None = None,
    only: Collection[str] | None = None,
    learn_from: LearnFrom = "same",
    processes: int = 1,
) -> pd.DataFrame:
    """Compare how well methods predict the accuracy at a target epoch from the epochs before.

    Args:
        tables: the result of `load_tables`.
        methods: methods with settings, as `nnlc compare --list` shows them. The baseline `last1`
            is always added.
        cutoffs: last epochs that the methods see; None: five shares of the target; "fine": every
            twentieth of it.
        target: the epoch to predict; None: for each dataset, the last epoch of its campaign, or
            that of its longest curve if its tables have no campaign.
        only: IDs of the networks to compare on; None: all.
        learn_from: the finished networks from which methods such as `gp` learn: those of the
            "same" dataset, of all "others", of "all"; or other tables. No method learns from the
            network that it predicts: see module `contexts`.
        processes: number of processes; only `milliseconds` depends on it.

    Returns:
        For each dataset, one row for each method and cutoff, and one for each stop rule, in the
        order of `methods` after `last1`. Errors are in percentage points. Networks that diverged or
        end before the target are in no row: `attrs` lists their IDs as `diverged` and `short`, and
        counts them in `left_out`. For each method that predicted no network, `attrs["failures"]`
        has the most common reason. `attrs["learned"]` has a line for each dataset that says from
        which networks methods learned.

        - `dataset`; `method`: the method as given; `stop_rule`: True if the method chooses where
          to stop.
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
        - `top_overlap_percent`: percent of the best tenth (at least one network) that is in the
          predicted best tenth; the expected value where ties are broken at random. A network
          trained to the target is ranked by its accuracy there. Missing where nothing is predicted.
        - `milliseconds`: processor time for each network. An ensemble's time includes all its
          fits, even those that an earlier method had already made.

    Raises:
        NnlcError: a method or setting is unknown, an epoch is impossible, or no network is left.
    """
    datasets = find_scorable(tables, target, only=only)
    scored = [one for one in datasets if one.ids]
    planned = [(_make(methods, one.target), _check_cutoffs(cutoffs, one)) for one in scored]
    rows: list[dict[str, Any]] = []
    failures: dict[str, str] = {}
    scored = with_contexts(scored, planned[0][0].values(), tables, learn_from)
    for one, (made, ends) in zip(scored, planned, strict=True):
        for row in _compare_dataset(one, made, ends, processes, failures):
            rows.append({"dataset": one.dataset, "target_epoch": one.target, **row})
    frame = pd.DataFrame(rows)
    frame["not_converged"] = frame["not_converged"].astype("Int64")
    frame = frame[list(COMPARISON_COLUMNS)]
    useful = set(frame.loc[frame["predicted"] > 0, "method"])
    frame.attrs |= left_out(datasets)
    frame.attrs["learned"] = learned_lines(scored, learn_from)
    frame.attrs["failures"] = {one: why for one, why in failures.items() if one not in useful}
    return frame


def check_comparison(found: pd.DataFrame) -> None:
    """Check that a frame is the result of `compare`, of this or an older version."""
    check_kind("found", found, pd.DataFrame, "the result of nnlc.compare")
    if lacking := {"method", "stop_rule", "predicted", "epochs_saved_percent"}.difference(found):
        raise NnlcError(f"found has no column {min(lacking)}: give the result of nnlc.compare")


def _compare_dataset(
    scorable: ScorableNetworks,
    made: dict[str, Predictor],
    ends: Sequence[float],
    processes: int,
    failures: dict[str, str],
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one dataset; add each useless method's most common reason to `failures`."""
    target = scorable.target
    predictors = [one for one in made.values() if not isinstance(one, StopRule)]
    by_cutoff = {end: scorable.predict(predictors, end, processes) for end in ends}
    for text, one in made.items():
        if isinstance(one, StopRule):
            yield {"method": text, **_stop_rule_row(one, scorable, processes)}
            continue
        number = predictors.index(one)
        of_all = [by_cutoff[end][number][0] for end in ends]
        if not any(np.isfinite(found.values).any() for found in of_all):
            reasons = Counter(why for found in of_all for why in found.reasons)
            failures[text] = str(reasons.most_common(1)[0][0])
        for end in ends:
            found, seconds = by_cutoff[end][number]
            last = scorable.curves.val_accuracy_percent[:, scorable.points(end) - 1]
            row = _scores(scorable, found.values, found.uncertainties, last, seconds)
            spent = np.where(np.isfinite(found.values), end, target).mean()
            row |= {"stop_rule": False, "cutoff_epoch": end, "not_converged": None}
            row["epochs_saved_percent"] = 100 * (1 - spent / target)
            yield {"method": text, **row}


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


def _check_cutoffs(
    cutoffs: Sequence[float] | Literal["fine"] | None, scorable: ScorableNetworks
) -> list[float]:
    target, step = scorable.target, scorable.step
    if isinstance(cutoffs, str):
        check_choice("cutoffs", cutoffs, ("fine",))
    if cutoffs is None or isinstance(cutoffs, str):
        shares = CUTOFF_SHARES if cutoffs is None else FINE_SHARES
        ends = [max(1.0, round(share * target / step)) * step for share in shares]
        cutoffs = [end for end in ends if end < target]
        if not cutoffs:
            raise NnlcError(f"the target, epoch {target:g}, has no half epoch before it")
    for end in cutoffs:
        scorable.check_cutoff(end)
    if not cutoffs:
        raise NnlcError("there is no cutoff; give at least one epoch")
    return sorted(set(map(float, cutoffs)))


def _stop_rule_row(rule: StopRule, scorable: ScorableNetworks, processes: int) -> dict[str, Any]:
    stops, seconds = scorable.decide(rule, processes)
    values = np.where(stops.converged, stops.values, np.nan)
    last = scorable.curves.val_accuracy_percent[np.arange(len(values)), stops.points - 1]
    row = _scores(scorable, values, np.full(len(values), np.nan), last, seconds)
    mean_end = float(stops.points.mean() * scorable.step)
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
    """Return the percentage of the best tenth that is in the predicted best tenth."""
    ranked = np.where(np.isfinite(values), values, scorable.observed)
    count = max(1, round(TOP_SHARE * len(values)))
    shared = _in_top(scorable.observed, count) @ _in_top(ranked, count)
    return 100 * float(shared) / count


def _in_top(values: Floats, count: int) -> Floats:
    """Return each value's probability to be among the `count` largest, with ties at random."""
    least = np.sort(values)[-count]
    above, equal = values > least, values == least
    return np.asarray(above + equal * (count - above.sum()) / equal.sum())
