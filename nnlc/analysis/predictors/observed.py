"""Methods that fit no curve: the last accuracy seen, and MENNDL's rule of patience."""

from dataclasses import dataclass, replace

import numpy as np

from nnlc.analysis.predictors.interface import (
    Booleans,
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
)


@dataclass(frozen=True)
class LastValue(Predictor):
    """Predictor that returns the last accuracy seen: the baseline for all methods."""

    name = "last1"

    def predict(self, curves: Curves, epoch: float) -> Predictions:  # noqa: ARG002
        """Return the last accuracy seen, for any epoch."""
        values = curves.val_accuracy_percent[:, -1]
        return _seen(values, np.zeros(len(values), dtype=bool), curves.epochs[-1])


@dataclass(frozen=True)
class Menndl(StopRule):
    """MENNDL's rule: stop if the training loss has had no new minimum for `patience` epochs.

    Source: the baseline of the PENGUIN article (see module `penguin`). A loss of NaN is no new
    minimum.

    Attributes:
        epoch: the last epoch; 20 in the article.
        patience: number of epochs without a new minimum after which training stops.
    """

    name = "menndl"
    epoch: float = 20.0
    patience: float = 10.0

    @property
    def earliest(self) -> int:
        """Return the first point at which the rule can stop, for a loss that never fell."""
        return round(2 * self.patience) + 1

    def decide(self, curves: Curves) -> Stops:
        """Return where each network's training stops; the prediction is the accuracy there."""
        seen = curves.first(self.last_point)
        losses = np.where(np.isnan(seen.train_loss), np.inf, seen.train_loss)
        lowest = np.minimum.accumulate(losses, axis=1)
        fell = np.ones_like(losses, dtype=bool)
        fell[:, 1:] = losses[:, 1:] < lowest[:, :-1]
        numbers = np.arange(seen.points)
        since = numbers - np.maximum.accumulate(np.where(fell, numbers, 0), axis=1)
        # Training ends at the last point anyway. A network without an accuracy is not stopped.
        known = np.isfinite(seen.val_accuracy_percent)
        unknown = np.isnan(seen.train_loss).any(axis=1).astype(bool) & (not seen.knows_losses)
        known[unknown] = False
        stale = (since >= self.earliest - 1) & (numbers < self.last_point - 1) & known
        converged = stale.any(axis=1)
        points = np.where(converged, stale.argmax(axis=1) + 1, seen.points)
        values = seen.val_accuracy_percent[np.arange(len(seen)), points - 1]
        reasons = tuple("a training loss is unknown" if one else None for one in unknown)
        return Stops(points, np.asarray(converged), values, reasons)

    def predict(self, curves: Curves, epoch: float) -> Predictions:
        """Return the accuracy where the rule would have stopped, or else the last one seen."""
        stops = replace(self, epoch=epoch).decide(curves)
        return _seen(stops.values, stops.converged, curves.epochs[-1])

    def follow(self) -> Follower:
        """Return MENNDL's rule for one network during its training."""
        return self._decide_so_far

    def _decide_so_far(self, curve: Curves) -> Outcome:
        """Decide from all points so far; no state is kept between calls."""
        value = float(curve.val_accuracy_percent[0, -1])
        stop = bool(self.decide(curve).converged[0])
        if np.isfinite(value):
            return Prediction(value, stop=stop)
        return FitFailure(_blank(curve.epochs[-1]))


def _seen(values: Floats, stops: Booleans, epoch: float) -> Predictions:
    finite = np.isfinite(values)
    reasons = tuple(None if known else _blank(epoch) for known in finite)
    nothing = np.full(len(values), np.nan)
    return Predictions(np.where(finite, values, np.nan), nothing, stops, reasons)


def _blank(epoch: float) -> str:
    return f"the accuracy at epoch {epoch:g} is not a finite number"
