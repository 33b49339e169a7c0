"""PENGUIN: fit a saturating curve again after each half epoch, stop when its predictions agree.

Source: A. Keller Rorabaugh et al., "Building high-throughput neural architecture search workflows
via a decoupled fitness prediction engine", IEEE TPDS 33(11), 2022. The published engine fits with
SciPy's `curve_fit`; `trustregion` does the same for many networks at once, and gives the same
parameters where three points or more determine them.
"""

from dataclasses import dataclass, field, replace
from statistics import median

import numpy as np

from nnlc.analysis.predictors.interface import (
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
    Truths,
)
from nnlc.analysis.predictors.trust_region import fit

START = (10.0, 1.001, 100.0)
"""Where every fit of a, b and c begins."""
ASYMPTOTE_IN_BOUNDS = 199.99
"""An `a` from here on leans on its bound, 200: the curve has no bend yet."""
LANES = 2048
"""How many fits run side by side, if there are so many: more only fall out of the caches."""
_NOTHING = "no prediction stands: the fits failed, or lean on their bound"
_DIFFERENCE = float(np.sqrt(np.finfo(float).eps))


class Saturation:
    """f(x) = a − b^(c − x) with 0.5 ≤ a ≤ 200, b ≥ 1, c ≥ 0, at x = 1, 2, …: half epochs.

    Derivatives are forward differences, as `curve_fit` takes them when it is given none: two points
    don't determine three parameters, and what comes of them depends on the derivatives' last bits.
    """

    lower = np.array([[0.5], [1.0], [0.0]])
    upper = np.array([[200.0], [np.inf], [np.inf]])

    def values(self, parameters: Floats, rows: int) -> Floats:
        """The function at the first half epochs: 3 × L → rows × L."""
        a, b, c = parameters
        x = np.arange(1.0, rows + 1)[:, np.newaxis]
        return np.asarray(a - b ** (c - x))

    def jacobian(self, parameters: Floats, residuals: Floats, targets: Floats) -> Floats:
        """3 × L, rows × L, rows × L → 3 × rows × L."""
        derivatives = np.empty((3, *residuals.shape))
        for i in range(3):
            moved = parameters.copy()
            moved[i] += _DIFFERENCE * np.maximum(1.0, np.abs(parameters[i]))
            past = moved[i] > self.upper[i]
            moved[i] = np.where(past, 2 * parameters[i] - moved[i], moved[i])
            change = self.values(moved, len(residuals)) - targets - residuals
            derivatives[i] = change / (moved[i] - parameters[i])
        return derivatives

    @staticmethod
    def at(parameters: Floats, epoch: float) -> Floats:
        """The function at an epoch: 3 × L → L."""
        a, b, c = parameters
        return np.asarray(a - b ** (c - 2 * epoch))


@dataclass
class _Record:
    """One network's recent predictions."""

    window: int
    tolerance: float
    recent: list[float] = field(default_factory=list)
    latest: float = float("nan")
    has_any: bool = False
    """Whether a prediction was ever recorded."""

    def add(self, asymptote: float, prediction: float) -> bool:
        """Record what a fit gave; whether the predictions have converged."""
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

    A network with an accuracy or validation loss that is not finite is not stopped from there on.

    Attributes:
        epoch: e_pred, the epoch whose accuracy is predicted.
        points: how many points the first fit has; the engine's are 2.
        window: N, how many predictions must agree.
        tolerance: t, how far in percent they may lie from their median.
    """

    name = "penguin"
    epoch: float = 20.0
    points: int = 2
    window: int = 3
    tolerance: float = 0.5

    @property
    def earliest(self) -> int:
        """Where as many fits have been made as must agree."""
        return self.points + self.window - 1

    def decide(self, curves: Curves) -> Stops:
        """Where each network's training ends, and the accuracy predicted for `epoch`."""
        return self._run(curves)[0]

    def predict(self, curves: Curves, epoch: float) -> Predictions:
        """The converged prediction, or the newest recorded one."""
        stops, latest = replace(self, epoch=epoch)._run(curves)
        given = np.where(stops.converged, stops.values, latest)
        reasons = tuple(
            None if converged else why or _no_accuracy(value)
            for converged, why, value in zip(stops.converged, stops.reasons, given, strict=True)
        )
        values = np.where([why is None for why in reasons], given, np.nan)
        return Predictions(values, np.full(len(values), np.nan), stops.converged, reasons)

    def follow(self) -> Follower:
        """PENGUIN beside one network that is being trained."""
        return _Follower(self)

    def record(self) -> _Record:
        """Nothing predicted yet."""
        return _Record(self.window, self.tolerance)

    def _run(self, curves: Curves) -> tuple[Stops, Floats]:
        seen = curves.first(self.last_point)
        accuracies = seen.val_accuracy_percent
        known = _leading(seen.finite())
        last = np.minimum(known, self.last_point - 1)
        records = [self.record() for _ in range(len(seen))]
        points = np.full(len(seen), seen.points)
        converged = np.zeros(len(seen), dtype=bool)
        values = accuracies[:, -1].copy()
        under_way, begin = np.flatnonzero(last >= self.points), self.points
        while len(under_way):
            # Fits don't depend on one another: some are begun before it is known whether they will
            # be needed, so that there are always many side by side.
            end = begin + 1 + LANES // len(under_way)
            counts = [np.arange(begin, min(end, last[network] + 1)) for network in under_way]
            owners = np.repeat(under_way, [len(one) for one in counts])
            reached = np.concatenate(counts)
            found = fit_first(accuracies[owners], reached)
            predicted = Saturation.at(found, self.epoch)
            for i, network in enumerate(owners):
                if not converged[network] and records[network].add(found[0, i], predicted[i]):
                    converged[network] = True
                    points[network], values[network] = reached[i], predicted[i]
            begin = end
            under_way = under_way[~converged[under_way] & (last[under_way] >= begin)]
        latest = np.array([record.latest for record in records])
        failures = [None if record.has_any else _NOTHING for record in records]
        for network in np.flatnonzero(known < seen.points):
            failures[network] = _lost(seen, known[network])
        reasons = tuple(None if c else why for c, why in zip(converged, failures, strict=True))
        return Stops(points, converged, values, reasons), latest


class _Follower(Follower):
    def __init__(self, method: Penguin) -> None:
        self._method, self._record = method, method.record()

    def add(self, curve: Curves) -> Outcome:
        """One fit more, to all points so far."""
        method, points = self._method, curve.points
        known = int(_leading(curve.finite())[0])
        if known < points:
            return FitFailure(_lost(curve, known))
        if method.points <= points < method.last_point:
            found = fit_first(curve.val_accuracy_percent, np.array([points]))
            predicted = float(Saturation.at(found, method.epoch)[0])
            if self._record.add(float(found[0, 0]), predicted):
                return Prediction(predicted, stop=True)
        if points >= method.last_point:
            return FitFailure(f"has not converged by epoch {method.epoch:g}")
        why = _no_accuracy(self._record.latest)
        return Prediction(self._record.latest) if why is None else FitFailure(why)


def fit_first(accuracies: Floats, points: Integers) -> Floats:
    """a, b and c for the first points of curves; NaN where the fit fails, as SciPy's would.

    Args:
        accuracies: curves × half epochs, percent.
        points: how many count, for each curve.

    Returns:
        3 × curves.
    """
    start = np.array(START)[:, np.newaxis].repeat(len(points), axis=1)
    fits = fit(Saturation(), accuracies[:, : points.max()].T, points, start)
    return np.where(fits.converged, fits.parameters, np.nan)


def _leading(truths: Truths) -> Integers:
    """How many of each row's first entries hold without a gap."""
    return np.asarray(np.logical_and.accumulate(truths, axis=1).sum(axis=1))


def _no_accuracy(latest: float) -> str | None:
    """What is wrong with the newest recorded prediction; None where nothing is."""
    if not np.isfinite(latest):
        return _NOTHING
    return None if 0 <= latest <= 100 else f"its curve gives {latest:.4g}%, which is no accuracy"


def _lost(curves: Curves, known: int) -> str:
    return f"accuracy or validation loss is not finite at epoch {curves.epochs[known]:g}"
