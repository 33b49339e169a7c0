"""Gaussian process over the first points of curves and the settings of their networks.

The process predicts by how much the log-odds of the accuracy rise from the last point seen to the
epoch asked for. Its mean is that of the context. Its covariance is a sum of two Matérn functions
(ν = 5/2): one of the distance between first points, one of the distance between settings. Its five
parameters (noise, two amplitudes, two lengths) maximise the marginal likelihood times a broad
prior. Uncertainties are scaled so that 95% of the leave-one-out predictions within the context have
an error of at most two standard deviations. Source: Rasmussen and Williams, "Gaussian Processes for
Machine Learning" (MIT Press, 2006), equations 2.25, 2.26, 2.30, 4.17 and 5.10 to 5.12.

Nothing here calls BLAS: its digits depend on the number of threads, and on a busy machine its
threads wait for one another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from nnlc.analysis.predictors.interface import (
    ContextPredictor,
    Curves,
    FitFailure,
    Floats,
    Integers,
    Predictions,
    Predictor,
)
from nnlc.families.layouts import drawn_numbers

if TYPE_CHECKING:
    import pandas as pd

FEWEST_CURVES = 10
"""Fewest finished curves from which anything is learned."""
LEAST_DEVIATION = 0.01
"""Least uncertainty in percentage points, even where all known curves are the same."""

_LOGARITHMIC = ("learning_rate", "batch_size", "parameters", "multiply_adds")
_LINEAR = ("momentum", "dampening", "weight_decay", *drawn_numbers(), "depth")
_MOST_IN_SEARCH = 100
"""Most curves on which parameters are searched, which takes about a hundred eliminations."""
_START = np.log([0.2, 0.6, 2.7, 0.6, 2.7])
"""Logarithms of the parameters where the search begins: noise; amplitude and length for first
points; amplitude and length for settings. Also the centre of their prior."""
_PRIOR_DEVIATION = 1.5
_FIRST_STEP, _LAST_STEP = 1.0, 0.25
_LEAST_SHARE = 0.001
"""Least share of right or of wrong answers in an accuracy, so that its log-odds are finite."""
_COVERED_SHARE = 0.95


@dataclass(frozen=True)
class GaussianProcess(ContextPredictor):
    """Predictor that learns a Gaussian process from finished curves.

    Attributes:
        most: most curves to learn from; of more, so many are taken, evenly spread over the context.
    """

    name = "gp"
    most: int = 500

    def fit(self, context: Curves) -> Predictor:
        """Return a predictor that learns from the context when it is asked for an epoch."""
        return _Learned(context.select(_spread(np.arange(len(context)), self.most)))


@dataclass(frozen=True, eq=False)
class _Learned(Predictor):
    """Gaussian process with the curves that it learns from."""

    name = "gp"
    context: Curves

    def predict(self, curves: Curves, epoch: float) -> Predictions:
        """Predict all networks by a process for curves of so many points."""
        count = len(self.context)
        if count < FEWEST_CURVES:
            why = f"gp learns from at least {FEWEST_CURVES} finished curves, and there are {count}"
            return Predictions.from_outcomes([FitFailure(why)] * len(curves))
        final = self.context.val_accuracy_percent[:, round(2 * epoch) - 1]
        values, uncertainties = _regress(self.context.first(curves.points), final, curves)
        none = (None,) * len(values)
        return Predictions(values, uncertainties, np.zeros(len(values), dtype=bool), none)


def _regress(seen: Curves, final: Floats, curves: Curves) -> tuple[Floats, Floats]:
    """Return predicted accuracies and their standard deviations, in percentage points.

    Args:
        seen: first points of the context's curves.
        final: accuracies of the context's networks at the epoch to predict.
        curves: curves to predict, of the same points.
    """
    spans = [_scaled(of(seen), of(curves)) for of in (_of_points, _of_settings)]
    within = [_squares(known, known) for known, _ in spans]
    across = [_squares(new, known) for known, new in spans]
    begin = _log_odds(seen.val_accuracy_percent[:, -1])
    gain = _log_odds(final) - begin
    mean, deviation = gain.mean(), max(gain.std(), 1e-6)
    wanted = (gain - mean) / deviation
    theta = _most_likely(within, wanted)
    precision = _inverse(_covariance(theta, within))
    weights = np.einsum("ij,j", precision, wanted)

    # Each network of the context is predicted from all others.
    variance = 1 / np.diag(precision)
    left_out = mean + deviation * (wanted - weights * variance)
    checked, spread = _in_percent(begin + left_out, deviation * np.sqrt(variance))
    share = min(1.0, _COVERED_SHARE * (1 + 1 / len(final)))
    factor = np.quantile(np.abs(checked - final) / (2 * spread), share, method="higher")

    cross = _covariance(theta, across, noise=False)
    alone = np.exp(2 * theta[[0, 1, 3]]).sum()  # noise and amplitudes
    variance = alone - (np.einsum("ij,jk", cross, precision) * cross).sum(axis=1)
    rise = mean + deviation * np.einsum("ij,j", cross, weights)
    odds = _log_odds(curves.val_accuracy_percent[:, -1]) + rise
    values, spread = _in_percent(odds, deviation * np.sqrt(np.maximum(variance, 1e-9)))
    return values, np.maximum(factor * spread, LEAST_DEVIATION)


def _most_likely(squares: Sequence[Floats], wanted: Floats) -> Floats:
    """Return the most likely parameters, by a search along the axes with ever smaller steps."""
    few = _spread(np.arange(len(wanted)), _MOST_IN_SEARCH)
    squares, wanted = [one[np.ix_(few, few)] for one in squares], wanted[few]
    theta, step = _START, _FIRST_STEP
    least = _cost(theta, squares, wanted)
    moves = [sign * axis for axis in np.eye(len(theta)) for sign in (1, -1)]
    while step >= _LAST_STEP:
        before = least
        for move in moves:
            cost = _cost(theta + step * move, squares, wanted)
            if cost < least:
                theta, least = theta + step * move, cost
        if least == before:
            step /= 2
    return theta


def _cost(theta: Floats, squares: Sequence[Floats], wanted: Floats) -> float:
    """Return minus twice the logarithm of marginal likelihood times prior, up to a constant."""
    # Gaussian elimination of the covariance with `wanted` as its last column.
    rest = np.column_stack([_covariance(theta, squares), wanted])
    cost = float(np.sum((theta - _START) ** 2)) / _PRIOR_DEVIATION**2
    for _ in wanted:
        pivot = rest[0, 0]
        if not pivot > 0:
            return np.inf
        cost += np.log(pivot) + rest[0, -1] ** 2 / pivot
        rest = rest[1:, 1:] - np.multiply.outer(rest[1:, 0], rest[0, 1:] / pivot)
    return cost


def _inverse(matrix: Floats) -> Floats:
    """Return the inverse of a positive definite matrix by Gauss-Jordan elimination."""
    inverse = matrix.copy()
    for i, row in enumerate(inverse):
        pivot, column = row[i], inverse[:, i].copy()
        row[i], column[i] = 1, 0
        row /= pivot
        inverse[:, i] *= np.arange(len(matrix)) == i
        inverse -= np.multiply.outer(column, row)
    return inverse


def _covariance(theta: Floats, squares: Sequence[Floats], *, noise: bool = True) -> Floats:
    """Return the covariance at squared distances between first points and between settings.

    Args:
        theta: logarithms of the parameters.
        squares: the two arrays of squared distances.
        noise: True if networks are compared with themselves, on the diagonal.
    """
    own, *pairs = np.exp(2 * theta)
    whole = np.zeros(squares[0].shape)
    for one, amplitude, length in zip(squares, pairs[::2], pairs[1::2], strict=True):
        distance = np.sqrt(5 * one / length)
        whole += amplitude * (1 + distance + distance**2 / 3) * np.exp(-distance)
    if noise:
        whole[np.diag_indices(len(whole))] += own
    return whole


def _of_points(curves: Curves) -> Floats:
    """Return accuracy and losses at the last point, and their changes over the second half."""
    half = max(0, curves.points // 2 - 1)
    fields = (curves.val_accuracy_percent, curves.train_loss, curves.val_loss)
    columns = [one[:, -1] for one in fields] + [one[:, -1] - one[:, half] for one in fields]
    return np.stack(columns, axis=1)


def _of_settings(curves: Curves) -> Floats:
    """Return the settings of networks, NaN where they are unknown."""
    # Other families may have texts or lists under these names.
    numbers = cast("pd.DataFrame", curves.networks).select_dtypes(["number", "bool"])
    known = numbers.reindex(columns=[*_LOGARITHMIC, *_LINEAR])
    features = known.to_numpy(dtype=float, na_value=np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithmic = np.log(features[:, : len(_LOGARITHMIC)])
    return np.hstack([logarithmic, features[:, len(_LOGARITHMIC) :]])


def _scaled(known: Floats, new: Floats) -> tuple[Floats, Floats]:
    """Return both features with mean 0 and a mean square length of 1 in the context.

    Features that the context does not know of all its networks, or that are all the same there,
    are left out. One that a new network does not have is taken to be the context's mean.
    """
    used = np.asarray(np.isfinite(known).all(axis=0))
    used[used] = np.ptp(known[:, used], axis=0) > 0
    known, new = known[:, used], new[:, used]
    mean, deviation = known.mean(axis=0), known.std(axis=0) * np.sqrt(max(1, used.sum()))
    new = (new - mean) / deviation
    return (known - mean) / deviation, np.where(np.isfinite(new), new, 0.0)


def _squares(first: Floats, second: Floats) -> Floats:
    """Return the squared distances between the rows of two arrays."""
    squares = np.zeros((len(first), len(second)))
    for one, other in zip(first.T, second.T, strict=True):
        squares += np.subtract.outer(one, other) ** 2
    return squares


def _log_odds(accuracies: Floats) -> Floats:
    shares = np.clip(accuracies / 100, _LEAST_SHARE, 1 - _LEAST_SHARE)
    return np.log(shares / (1 - shares))


def _in_percent(odds: Floats, deviation: Floats) -> tuple[Floats, Floats]:
    """Return accuracies and their standard deviations from those of log-odds."""
    shifts = (0, -2 * deviation, 2 * deviation)
    middle, low, high = (100 / (1 + np.exp(-odds - shift)) for shift in shifts)
    return middle, np.maximum(high - low, 1e-6) / 4


def _spread(places: Integers, most: int) -> Integers:
    """Return all places, or `most` of them, evenly spread."""
    if len(places) <= most:
        return places
    return places[np.arange(most) * len(places) // most]
