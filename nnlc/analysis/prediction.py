"""Predictions of one method for each network, with the accuracies observed."""

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import pandas as pd

from nnlc.analysis.contexts import LearnFrom, learned_lines, with_contexts
from nnlc.analysis.predictors.interface import Predictor, StopRule
from nnlc.analysis.predictors.registry import MOST_EPOCHS, make_predictor, predictor_text
from nnlc.analysis.scorable_networks import ScorableNetworks, find_scorable, left_out
from nnlc.errors import NnlcError
from nnlc.networks.image_sets import shown_name
from nnlc.tables.frames import Tables
from nnlc.wording import counted

PREDICTION_COLUMNS = (
    *("id", "dataset", "converged", "end_epoch", "target_epoch"),
    *("predicted", "uncertainty", "observed", "error", "reason"),
)


def predict(
    tables: Tables,
    *,
    method: str = "penguin",
    target: float | None = None,
    cutoff: float | None = None,
    only: Collection[str] | None = None,
    learn_from: LearnFrom = "same",
    processes: int = 1,
) -> pd.DataFrame:
    """Predict each network's accuracy from the first part of its curve.

    Args:
        tables: the result of `load_tables`.
        method: a method with settings, such as "penguin:points=3"; `nnlc predict --list` shows
            all.
        target: the epoch to predict; None: the epoch in a stop rule's settings; or, for each
            dataset, the last epoch of its campaign, or that of its longest curve if its tables have
            no campaign.
        cutoff: the last epoch that the method sees; None: half the target. A stop rule has none.
        only: IDs of the networks to predict; None: all.
        learn_from: the finished networks from which a method such as `gp` learns, as in `compare`.
        processes: number of processes; no result depends on it.

    Returns:
        One row for each network that can be scored, by dataset, in the order of the tables.
        Accuracies are in percent, their differences and standard deviations in percentage points.

        - `id`, `dataset`.
        - `converged`: True if a stop rule stopped the network; for other methods, True if there is
          a prediction.
        - `end_epoch`: the last epoch seen; `target_epoch`: the epoch predicted.
        - `predicted`: the accuracy predicted; `uncertainty`: its standard deviation, NaN where
          the method gives none.
        - `observed`: the accuracy at the target. Where PENGUIN has not converged, its engine
          answers with this value; here, such a network has no prediction.
        - `error`: absolute difference of `predicted` and `observed`.
        - `reason`: why there is no prediction.

        `attrs` holds `methods`, the method of each dataset with all settings; `method` and
        `target`, if they are the same for all; `stop_rule`; the IDs of the networks left out as
        `diverged` and `short`, and lines that count them as `left_out`; and as `learned`, lines
        that say from which networks the method learned.

    Raises:
        NnlcError: a method or setting is unknown, an epoch is impossible, or no network is left.
    """
    # A stop rule without an epoch of its own takes the one given here.
    asked = float(MOST_EPOCHS) if target is None else target
    made = make_predictor(method, epoch=asked)
    if isinstance(made, StopRule):
        if made.epoch != asked and target is not None:
            raise NnlcError(
                f"{method} predicts epoch {made.epoch:g}, but the target is epoch {target:g}; "
                "leave out one of them"
            )
        if cutoff is not None:
            raise NnlcError(f"{made.name} decides itself when to stop; leave out the cutoff")
        target = target if made.epoch == asked else made.epoch
    datasets = find_scorable(tables, target, only=only)
    left = with_contexts([one for one in datasets if one.ids], [made], tables, learn_from)
    scored = [(make_predictor(method, epoch=one.target), one) for one in left]
    parts = [_predict_dataset(own, one, cutoff, processes) for own, one in scored]
    found = pd.concat(parts, ignore_index=True)
    methods = {one.dataset: predictor_text(own) for own, one in scored}
    is_rule = isinstance(made, StopRule)
    found.attrs |= {"methods": methods, "stop_rule": is_rule, **left_out(datasets)}
    found.attrs["learned"] = learned_lines(left, learn_from)
    if found["target_epoch"].nunique() == 1:
        [text] = set(methods.values())
        found.attrs |= {"method": text, "target": found["target_epoch"][0]}
    return found


def _predict_dataset(
    method: Predictor, scorable: ScorableNetworks, cutoff: float | None, processes: int
) -> pd.DataFrame:
    if isinstance(method, StopRule):
        columns = _by_stop_rule(method, scorable, processes)
    else:
        columns = _by_cutoff(method, scorable, cutoff, processes)
    columns |= {"id": scorable.ids, "dataset": scorable.dataset}
    columns |= {"target_epoch": scorable.target, "observed": scorable.observed}
    columns["error"] = np.abs(columns["predicted"] - scorable.observed)
    return pd.DataFrame(columns)[list(PREDICTION_COLUMNS)]


def _by_stop_rule(rule: StopRule, scorable: ScorableNetworks, processes: int) -> dict[str, Any]:
    stops, _ = scorable.decide(rule, processes)
    waited = f"has not converged by epoch {rule.epoch:g}"
    reasons = [
        None if converged else why or waited
        for converged, why in zip(stops.converged, stops.reasons, strict=True)
    ]
    return {
        "converged": stops.converged,
        "end_epoch": stops.points * scorable.step,
        "predicted": np.where(stops.converged, stops.values, np.nan),
        "uncertainty": np.full(len(reasons), np.nan),
        "reason": pd.Series(reasons, dtype=object),
    }


def _by_cutoff(
    method: Predictor, scorable: ScorableNetworks, cutoff: float | None, processes: int
) -> dict[str, Any]:
    half = max(1.0, scorable.target // (2 * scorable.step)) * scorable.step
    end = half if cutoff is None else cutoff
    scorable.check_cutoff(end)
    [(found, _)] = scorable.predict([method], end, processes)
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
    """Yield the result of `predict` summed up in a few lines of text for each dataset."""
    for dataset, rows in found.groupby("dataset", sort=False):
        target, networks, name = rows["target_epoch"].iloc[0], len(rows), shown_name(str(dataset))
        converged, error = rows["converged"], rows.loc[rows["converged"], "error"]
        yield f"{name}, accuracy at epoch {target:g} by {found.attrs['methods'][dataset]}"
        if not found.attrs["stop_rule"]:
            cutoff = rows["end_epoch"].iloc[0]
            yield f"{converged.sum()} of {networks} networks predicted from epochs up to {cutoff:g}"
        else:
            spent, whole = rows["end_epoch"].sum(), target * networks
            yield f"{converged.sum()} of {networks} networks converged"
            yield (
                f"epochs: {spent:,.1f} of {whole:,.1f}, {100 * (1 - spent / whole):.1f} % saved; a "
                f"network ends at epoch {rows['end_epoch'].median():g} (median)"
            )
        if len(error):
            yield f"error: mean {error.mean():.2f}, median {error.median():.2f} percentage points"
        reasons = rows.loc[~converged, "reason"].dropna().value_counts()
        for reason, count in sorted(reasons.items(), key=lambda one: (-one[1], one[0])):
            yield f"  {counted(count, 'time')}: {reason}"
    yield from found.attrs["learned"]
    yield from found.attrs["left_out"]
