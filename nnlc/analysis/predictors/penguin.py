"""PENGUIN: fit a saturating curve after each half epoch, and stop when the predictions agree.

Source: A. Keller Rorabaugh et al., "Building high-throughput neural architecture search workflows
via a decoupled fitness prediction engine", IEEE TPDS 33(11), 2022. The published engine fits with
SciPy's `curve_fit`. Module `trust_region` does the same for many networks at once, with the same
parameters wherever at least three points determine them.
"""

from dataclasses import dataclass, field, replace
from functools import partial
from statistics import median

import numpy as np

from nnlc.analysis.predictors.interface import (
    Booleans,
    Curves,
    FitFailure,
    Floats,
    Follower,
    Integers,
    Outcome,
    Prediction,
    Predictions,
    StopRule,
    Stops,
)
from nnlc.analysis.predictors.trust_region import fit, half_epoch_column

START = (10.0, 1.001, 100.0)
"""Values of a, b and c at which every fit starts."""
ASYMPTOTE_IN_BOUNDS = 199.99
"""Least asymptote `a` that counts as at its bound, 200: the curve has not levelled off yet."""
LANES = 2048
"""Number of fits run together; more would not fit into the CPU's caches."""
_NO_PREDICTION = "no prediction: every fit failed or has its asymptote at the bound"
_DIFFERENCE = float(np.sqrt(np.finfo(float).eps))


class Saturation:
    """Saturating curve a − b^(c − x) with 0.5 ≤ a ≤ 200, b ≥ 1, c ≥ 0, at half epochs x = 1, 2, …

    Derivatives are forward differences, as in `curve_fit`'s default: two points don't determine
    three parameters, so that the fit to them depends on the derivatives' last bits.
    """

    lower = np.array([[0.5], [1.0], [0.0]])
    upper = np.array([[200.0], [np.inf], [np.inf]])

    def values(self, parameters: Floats, x: Floats) -> Floats:
        """Return the function at half epochs x (rows × 1): 3 × L → rows × L."""
        a, b, c = parameters
        return np.asarray(a - b ** (c - x))

    def jacobian(self, parameters: Floats, residuals: Floats, targets: Floats) -> Floats:
        """Return the derivatives by a, b and c: 3 × L, rows × L, rows × L → 3 × rows × L."""
        x, derivatives = half_epoch_column(len(residuals)), np.empty((3, *residuals.shape))
        for i in range(3):
            moved = parameters.copy()
            moved[i] += _DIFFERENCE * np.maximum(1.0, np.abs(parameters[i]))
            past = moved[i] > self.upper[i]
            moved[i] = np.where(past, 2 * parameters[i] - moved[i], moved[i])
            change = self.values(moved, x) - targets - residuals
            derivatives[i] = change / (moved[i] - parameters[i])
        return derivatives

    @staticmethod
    def at(parameters: Floats, epoch: float) -> Floats:
        """Return the function at an epoch: 3 × L → L."""
        a, b, c = parameters
        return np.asarray(a - b ** (c - 2 * epoch))


@dataclass
class _RecentPredictions:
    """Recent predictions for one network."""

    window: int
    tolerance: float
    recent: list[float] = field(default_factory=list)
    latest: float = float("nan")
    has_any: bool = False
    """True if a prediction was ever added."""

    def add(self, asymptote: float, prediction: float) -> bool:
        """Add the result of a fit; return True if the predictions have converged."""
        if asymptote >= ASYMPTOTE_IN_BOUNDS:
            self.recent.clear()
            self.latest = float("nan")
            return False
        if not (np.isfinite(asymptote) and np.isfinite(prediction)):
            return False
        self.latest, self.has_any = prediction, True
        self.recent.append(prediction)
        if len(self.recent) < self.window:
            return False
        middle = median(self.recent)
        agree = all(abs(one - middle) <= self.tolerance for one in self.recent)
        if agree and 0 < prediction <= 100:
            return True
        del self.recent[0]
        return False


@dataclass(frozen=True)
class Penguin(StopRule):
    """PENGUIN with its documented settings.

    After the first accuracy or validation loss that is not finite, a network is never stopped.

    Attributes:
        epoch: e_pred, the epoch whose accuracy is predicted.
        points: number of points of the first fit; 2 in the published engine.
        window: N, number of consecutive predictions that must agree.
        tolerance: t, greatest distance of these predictions from their median, in percentage
            points.
    """

    name = "penguin"
    epoch: float = 20.0
    points: int = 2
    window: int = 3
    tolerance: float = 0.5

    @property
    def earliest(self) -> int:
        """Return the number of the point at which `window` fits have been made."""
        return self.points + self.window - 1

    def decide(self, curves: Curves) -> Stops:
        """Return where each network's training stops, and the accuracy predicted for `epoch`."""
        return self._run(curves)[0]

    def predict(self, curves: Curves, epoch: float) -> Predictions:
        """Return the converged prediction, or else the newest one."""
        stops, latest = replace(self, epoch=epoch)._run(curves)
        given = np.where(stops.converged, stops.values, latest)
        reasons = tuple(
            None if converged else why or _not_an_accuracy(value)
            for converged, why, value in zip(stops.converged, stops.reasons, given, strict=True)
        )
        values = np.where([why is None for why in reasons], given, np.nan)
        return Predictions(values, np.full(len(values), np.nan), stops.converged, reasons)

    def follow(self) -> Follower:
        """Return PENGUIN for one network during its training."""
        return partial(self._fit_so_far, self.new_predictions())

    def new_predictions(self) -> _RecentPredictions:
        """Return an empty list of recent predictions."""
        return _RecentPredictions(self.window, self.tolerance)

    def _fit_so_far(self, recent: _RecentPredictions, curve: Curves) -> Outcome:
        """Fit all points so far, and compare the prediction with those before."""
        known = int(_count_leading(curve.finite())[0])
        if known < curve.points:
            return FitFailure(_not_finite(curve, known))
        if self.points <= curve.points < self.last_point:
            found = fit_first(curve.val_accuracy_percent, np.array([curve.points]))
            predicted = float(Saturation.at(found, self.epoch)[0])
            if recent.add(float(found[0, 0]), predicted):
                return Prediction(predicted, stop=True)
        if curve.points >= self.last_point:
            return FitFailure(f"has not converged by epoch {self.epoch:g}")
        why = _not_an_accuracy(recent.latest)
        return Prediction(recent.latest) if why is None else FitFailure(why)

    def _run(self, curves: Curves) -> tuple[Stops, Floats]:
        seen = curves.first(self.last_point)
        accuracies = seen.val_accuracy_percent
        known = _count_leading(seen.finite())
        last = np.minimum(known, self.last_point - 1)
        recent = [self.new_predictions() for _ in range(len(seen))]
        points = np.full(len(seen), seen.points)
        converged = np.zeros(len(seen), dtype=bool)
        values = accuracies[:, -1].copy()
        running, begin = np.flatnonzero(last >= self.points), self.points
        while len(running):
            # Fits run many at a time, for speed; those after the stop are then not used.
            end = begin + 1 + LANES // len(running)
            counts = [np.arange(begin, min(end, last[network] + 1)) for network in running]
            owners = np.repeat(running, [len(one) for one in counts])
            reached = np.concatenate(counts)
            found = fit_first(accuracies[owners], reached)
            predicted = Saturation.at(found, self.epoch)
            for i, network in enumerate(owners):
                if not converged[network] and recent[network].add(found[0, i], predicted[i]):
                    converged[network] = True
                    points[network], values[network] = reached[i], predicted[i]
            begin = end
            running = running[~converged[running] & (last[running] >= begin)]
        latest = np.array([one.latest for one in recent])
        failures = [None if one.has_any else _NO_PREDICTION for one in recent]
        for network in np.flatnonzero(known < seen.points):
            failures[network] = _not_finite(seen, known[network])
        reasons = tuple(None if c else why for c, why in zip(converged, failures, strict=True))
        return Stops(points, converged, values, reasons), latest


def fit_first(accuracies: Floats, points: Integers) -> Floats:
    """Return a, b and c fitted to the first points of curves; NaN where SciPy's fit would fail.

    Args:
        accuracies: curves × half epochs, percent.
        points: for each curve, the number of points to fit.

    Returns:
        3 × curves.
    """
    start = np.array(START)[:, np.newaxis].repeat(len(points), axis=1)
    fits = fit(Saturation(), accuracies[:, : points.max()].T, points, start)
    return np.where(fits.converged, fits.parameters, np.nan)


def _count_leading(finite: Booleans) -> Integers:
    """Return for each row the number of True values before its first False."""
    return np.asarray(np.logical_and.accumulate(finite, axis=1).sum(axis=1))


def _not_an_accuracy(latest: float) -> str | None:
    """Return the problem of the newest prediction; None if it is an accuracy."""
    if not np.isfinite(latest):
        return _NO_PREDICTION
    return None if 0 <= latest <= 100 else f"its curve gives {latest:.4g}%, which is no accuracy"


def _not_finite(curves: Curves, known: int) -> str:
    return f"accuracy or validation loss is not finite at epoch {curves.epochs[known]:g}"
