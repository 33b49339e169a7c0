"""Methods without a curve: the last accuracy seen, and MENNDL's rule of patience."""

from dataclasses import dataclass, replace

import numpy as np

from nnlc.analysis.predictors.interface import (
    Curves,
    FitFailure,
    Floats,
    Follower,
    Outcome,
    Prediction,
    Predictions,
    Predictor,
    StopRule,
    Stops,
    Truths,
)


@dataclass(frozen=True)
class LastValue(Predictor):
    """The last accuracy seen: what every other method must beat."""

    name = "last1"

    def predict(self, curves: Curves, epoch: float) -> Predictions:  # noqa: ARG002
        """The last accuracy, whatever the epoch."""
        values = curves.val_accuracy_percent[:, -1]
        return _seen(values, np.zeros(len(values), dtype=bool), curves.epochs[-1])


@dataclass(frozen=True)
class Menndl(StopRule):
    """MENNDL's rule: stop where the training loss has not fallen below its minimum for long.

    Source: the baseline of the PENGUIN article (see `penguin`). A loss that is not a number has
    not fallen.

    Attributes:
        epoch: the last; the article's is 20.
        patience: for how many epochs.
    """

    name = "menndl"
    epoch: float = 20.0
    patience: float = 10.0

    @property
    def earliest(self) -> int:
        """Where a loss that never falls has not fallen for long enough."""
        return round(2 * self.patience) + 1

    def decide(self, curves: Curves) -> Stops:
        """Where each network's training ends; the prediction is the accuracy there."""
        seen = curves.first(self.last_point)
        losses = np.where(np.isnan(seen.train_loss), np.inf, seen.train_loss)
        lowest = np.minimum.accumulate(losses, axis=1)
        fell = np.ones_like(losses, dtype=bool)
        fell[:, 1:] = losses[:, 1:] < lowest[:, :-1]
        numbers = np.arange(seen.points)
        since = numbers - np.maximum.accumulate(np.where(fell, numbers, 0), axis=1)
        # At the last point training ends anyway; and what can't be told is not stopped for.
        known = np.isfinite(seen.val_accuracy_percent)
        stale = (since >= self.earliest - 1) & (numbers < self.last_point - 1) & known
        converged = stale.any(axis=1)
        points = np.where(converged, stale.argmax(axis=1) + 1, seen.points)
        values = seen.val_accuracy_percent[np.arange(len(seen)), points - 1]
        return Stops(points, np.asarray(converged), values, (None,) * len(seen))

    def predict(self, curves: Curves, epoch: float) -> Predictions:
        """The accuracy where it would have stopped, or the last one seen."""
        stops = replace(self, epoch=epoch).decide(curves)
        return _seen(stops.values, stops.converged, curves.epochs[-1])

    def follow(self) -> Follower:
        """MENNDL's rule beside one network that is being trained."""
        return _Follower(self)


class _Follower(Follower):
    def __init__(self, method: Menndl) -> None:
        self._method = method

    def add(self, curve: Curves) -> Outcome:
        """Decide from all points so far; nothing else is remembered."""
        value = float(curve.val_accuracy_percent[0, -1])
        stop = bool(self._method.decide(curve).converged[0])
        if np.isfinite(value):
            return Prediction(value, stop=stop)
        return FitFailure(_blank(curve.epochs[-1]))


def _seen(values: Floats, stops: Truths, epoch: float) -> Predictions:
    finite = np.isfinite(values)
    reasons = tuple(None if known else _blank(epoch) for known in finite)
    nothing = np.full(len(values), np.nan)
    return Predictions(np.where(finite, values, np.nan), nothing, stops, reasons)


def _blank(epoch: float) -> str:
    return f"the accuracy at epoch {epoch:g} is not a finite number"
