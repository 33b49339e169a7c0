"""Predictions of one method for each network, with the accuracies observed."""

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import pandas as pd

from nnlc.analysis.parallel import decide_timed, predict_timed
from nnlc.analysis.predictors.interface import Predictor, StopRule
from nnlc.analysis.predictors.registry import (
    DEFAULT_EPOCH,
    check_epoch,
    make_predictor,
    predictor_text,
)
from nnlc.analysis.scorable_networks import ScorableNetworks, find_scorable
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
        tables: the result of `load_tables`.
        method: a method with settings, such as "penguin:points=3"; `nnlc predict --list` shows
            all.
        target: the epoch to predict; None: the epoch in a stop rule's settings, or 20.
        cutoff: the last epoch that the method sees; None: half the target. A stop rule has none.
        only: IDs of the networks to predict; None: all.
        processes: number of processes; no result depends on it.

    Returns:
        One row for each network that can be scored, in the order of the tables. Accuracies are in
        percent, their differences and standard deviations in percentage points.

        - `id`, `dataset`.
        - `converged`: True if a stop rule stopped the network; for other methods, True if there is
          a prediction.
        - `end_epoch`: the last epoch seen.
        - `predicted`: the accuracy predicted; `uncertainty`: its standard deviation, NaN where
          the method gives none.
        - `observed`: the accuracy at the target. Where PENGUIN has not converged, its engine
          answers with this value; here, such a network has no prediction.
        - `error`: absolute difference of `predicted` and `observed`.
        - `reason`: why there is no prediction.

        `attrs` holds `method` (with all settings), `target`, `stop_rule`, and the IDs of the
        networks left out as `diverged` and `short`.

    Raises:
        NnlcError: a method or setting is unknown, an epoch is impossible, or no network is left.
    """
    epoch = DEFAULT_EPOCH if target is None else target
    made = make_predictor(method, epoch=epoch)
    if isinstance(made, StopRule):
        if target is not None and made.epoch != target:
            raise NnlcError(
                f"{method} predicts epoch {made.epoch:g}, but the target is epoch {target:g}; "
                "leave out one of them"
            )
        if cutoff is not None:
            raise NnlcError(f"{made.name} decides itself when to stop; leave out the cutoff")
        scorable = find_scorable(tables, made.epoch, only=only)
        columns = _by_stop_rule(made, scorable, processes)
    else:
        scorable = find_scorable(tables, epoch, only=only)
        columns = _by_cutoff(made, scorable, cutoff, processes)
    columns |= {"id": scorable.ids, "dataset": scorable.datasets, "observed": scorable.observed}
    columns["error"] = np.abs(columns["predicted"] - scorable.observed)
    found = pd.DataFrame(columns)[list(PREDICTION_COLUMNS)]
    found.attrs.update(
        method=predictor_text(made),
        target=scorable.target,
        stop_rule=isinstance(made, StopRule),
        diverged=list(scorable.diverged),
        short=list(scorable.short),
    )
    return found


def _by_stop_rule(rule: StopRule, scorable: ScorableNetworks, processes: int) -> dict[str, Any]:
    stops, _ = decide_timed(rule, scorable.curves, processes)
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
    method: Predictor, scorable: ScorableNetworks, cutoff: float | None, processes: int
) -> dict[str, Any]:
    end = max(0.5, np.floor(scorable.target) / 2) if cutoff is None else cutoff
    check_epoch("the cutoff", end)
    if end >= scorable.target:
        raise NnlcError(
            f"the cutoff, epoch {end:g}, is not before the target, epoch {scorable.target:g}: "
            "nothing would be left to predict"
        )
    first = scorable.curves.first(round(2 * end))
    [(found, _)] = predict_timed([method], first, scorable.target, processes)
    return {
        "converged": np.isfinite(found.values),
        "end_epoch": np.full(len(found.values), end),
        "predicted": found.values,
        "uncertainty": found.uncertainties,
        "reason": pd.Series(found.reasons, dtype=object),
    }


def network_lines(found: pd.DataFrame) -> Iterator[str]:
    """Yield the result of `predict` as a text table, a line for each network."""
    yield f"{'network':<27} {'end':>5} {'predicted':>10} {'observed':>9} {'error':>7}"
    for row in found.to_dict("records"):
        line = f"{row['id']:<27} {row['end_epoch']:>5g}"
        if row["converged"]:
            yield f"{line} {row['predicted']:>10.4f} {row['observed']:>9.4f} {row['error']:>7.4f}"
        else:
            yield f"{line} {'-':>10} {row['observed']:>9.4f} {'-':>7}  {row['reason']}"


def prediction_lines(found: pd.DataFrame) -> Iterator[str]:
    """Yield the result of `predict` summed up in a few lines of text."""
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
        yield f"error: mean {error.mean():.2f}, median {error.median():.2f} percentage points"
    reasons = found.loc[~converged, "reason"].dropna().value_counts()
    for reason, count in sorted(reasons.items(), key=lambda one: (-one[1], one[0])):
        yield f"  {counted(count, 'time')}: {reason}"
