"""What one method predicts of each network, beside what was seen."""

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import pandas as pd

from nnlc.analysis.observation import Observation, observe
from nnlc.analysis.parallel import decide_shared, predict_shared
from nnlc.analysis.predictors.interface import Predictor, StopRule
from nnlc.analysis.predictors.registry import (
    DEFAULT_EPOCH,
    check_epoch,
    make_predictor,
    predictor_text,
)
from nnlc.errors import NnlcError
from nnlc.tables.frames import Tables
from nnlc.wording import counted

PREDICTION_COLUMNS = (
    *("id", "dataset", "converged", "end_epoch", "predicted", "uncertainty", "observed"),
    *("error", "reason"),
)


def predict(
    tables: Tables,
    *,
    method: str = "penguin",
    target: float | None = None,
    cutoff: float | None = None,
    only: Collection[str] | None = None,
    processes: int = 1,
) -> pd.DataFrame:
    """Predict each network's accuracy from the first part of its curve.

    Args:
        tables: what `load_tables` gave.
        method: as `nnlc predict --list` tells them, such as "penguin:points=3".
        target: the epoch to predict; None is that of a stop rule's settings, or 20.
        cutoff: the last epoch that is seen; a stop rule finds its own. None is half the target.
        only: IDs of the networks to look at; None takes all.
        processes: how many share the work; the numbers don't depend on it.

    Returns:
        A row for each network that can be scored, in the order of the tables; accuracies in
        percent.

        - `id`, `dataset`.
        - `converged`: a stop rule ended its training; for other methods, there is a prediction.
        - `end_epoch`: the last epoch seen.
        - `predicted`, `uncertainty` (a standard deviation, NaN where the method has none).
        - `observed`: at the target, which is also what PENGUIN's engine answers where it has not
          converged; here that is no prediction. `error`: how far from it the prediction is.
        - `reason`: why there is no prediction.

        `attrs` holds `method` (with all settings), `target`, `stop_rule`, and the IDs of the
        networks left out, `diverged` and `short`.

    Raises:
        NnlcError: an unknown method or setting, an epoch that can't be, or nothing to predict.
    """
    made = make_predictor(method, epoch=DEFAULT_EPOCH if target is None else target)
    if isinstance(made, StopRule):
        if target is not None and made.epoch != target:
            raise NnlcError(f"{method} predicts epoch {made.epoch:g}, not {target:g}; say one")
        if cutoff is not None:
            raise NnlcError(f"{made.name} finds its own end; leave out the cutoff")
    elif target is None:
        target = DEFAULT_EPOCH
    seen = observe(tables, made.epoch if isinstance(made, StopRule) else target or 0, only=only)
    if isinstance(made, StopRule):
        columns = _by_stop_rule(made, seen, processes)
    else:
        columns = _by_cutoff(made, seen, cutoff, processes)
    columns |= {"id": seen.ids, "dataset": seen.datasets, "observed": seen.observed}
    columns["error"] = np.abs(columns["predicted"] - seen.observed)
    found = pd.DataFrame(columns)[list(PREDICTION_COLUMNS)]
    found.attrs.update(
        method=predictor_text(made),
        target=seen.target,
        stop_rule=isinstance(made, StopRule),
        diverged=list(seen.diverged),
        short=list(seen.short),
    )
    return found


def _by_stop_rule(rule: StopRule, seen: Observation, processes: int) -> dict[str, Any]:
    stops = decide_shared(rule, seen.curves, processes)
    waited = f"has not converged by epoch {rule.epoch:g}"
    reasons = [
        None if converged else why or waited
        for converged, why in zip(stops.converged, stops.reasons, strict=True)
    ]
    return {
        "converged": stops.converged,
        "end_epoch": stops.points / 2,
        "predicted": np.where(stops.converged, stops.values, np.nan),
        "uncertainty": np.full(len(reasons), np.nan),
        "reason": pd.Series(reasons, dtype=object),
    }


def _by_cutoff(
    method: Predictor, seen: Observation, cutoff: float | None, processes: int
) -> dict[str, Any]:
    end = max(0.5, np.floor(seen.target) / 2) if cutoff is None else cutoff
    check_epoch("the cutoff", end)
    if end >= seen.target:
        raise NnlcError(
            f"the cutoff, epoch {end:g}, is not before the target, epoch {seen.target:g}: nothing "
            "would be left to predict"
        )
    first = seen.curves.first(round(2 * end))
    found = predict_shared(method, first, seen.target, processes)
    return {
        "converged": np.isfinite(found.values),
        "end_epoch": np.full(len(found.values), end),
        "predicted": found.values,
        "uncertainty": found.uncertainties,
        "reason": pd.Series(found.reasons, dtype=object),
    }


def network_lines(found: pd.DataFrame) -> Iterator[str]:
    """What `predict` found of each network, a line each."""
    yield f"{'network':<27} {'end':>5} {'predicted':>10} {'observed':>9} {'error':>7}"
    for row in found.to_dict("records"):
        line = f"{row['id']:<27} {row['end_epoch']:>5g}"
        if row["converged"]:
            yield f"{line} {row['predicted']:>10.4f} {row['observed']:>9.4f} {row['error']:>7.4f}"
        else:
            yield f"{line} {'-':>10} {row['observed']:>9.4f} {'-':>7}  {row['reason']}"


def prediction_lines(found: pd.DataFrame) -> Iterator[str]:
    """What `predict` found, in a few lines of text."""
    target, networks = found.attrs["target"], len(found)
    converged, error = found["converged"], found.loc[found["converged"], "error"]
    yield f"{found.attrs['method']}: accuracy at epoch {target:g}"
    for key, words in (("diverged", "diverged"), ("short", f"end before epoch {target:g}")):
        if found.attrs[key]:
            yield f"{counted(len(found.attrs[key]), 'network')} {words}: left out"
    if not found.attrs["stop_rule"]:
        cutoff = found["end_epoch"].iloc[0]
        yield f"{converged.sum()} of {networks} networks predicted from epochs up to {cutoff:g}"
    else:
        spent, whole = found["end_epoch"].sum(), target * networks
        yield f"{converged.sum()} of {networks} networks converged"
        yield (
            f"epochs: {spent:,.1f} of {whole:,.1f}, {100 * (1 - spent / whole):.1f} % saved; a "
            f"network ends at epoch {found['end_epoch'].median():g} (median)"
        )
    if len(error):
        yield f"error: mean {error.mean():.2f} %, median {error.median():.2f} %"
    reasons = found.loc[~converged, "reason"].dropna().value_counts()
    for reason, count in sorted(reasons.items(), key=lambda one: (-one[1], one[0])):
        yield f"  {counted(count, 'time')}: {reason}"
