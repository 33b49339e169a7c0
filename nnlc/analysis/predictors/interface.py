"""What every predictor takes and gives, for many networks at once or for one.

    Curves → Predictor.predict(curves, epoch) → Predictions     a value from the points given
    Curves → StopRule.decide(curves)          → Stops           where training would have ended

A predictor sees the points that it is given, and no later ones. What it can't predict it says, with
the reason: no failure is a number.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Truths = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Curves:
    """The first points of many networks' curves; NaN for a blank field."""

    epochs: Floats
    """Of the points: 0.5, 1.0, …"""
    val_accuracy_percent: Floats
    """Networks × points."""
    train_loss: Floats
    """Networks × points, nats."""
    val_loss: Floats
    """Networks × points, nats."""

    def __len__(self) -> int:
        return len(self.val_accuracy_percent)

    @property
    def points(self) -> int:
        """How many points each curve has."""
        return len(self.epochs)

    def first(self, points: int) -> "Curves":
        """The same networks' first points."""
        values = (getattr(self, field.name)[..., :points] for field in fields(self))
        return Curves(*values)

    def of(self, networks: Integers | Truths | slice) -> "Curves":
        """Some of the networks."""
        values = (getattr(self, field.name)[networks] for field in fields(self)[1:])
        return Curves(self.epochs, *values)

    def finite(self) -> Truths:
        """Networks × points: accuracy and validation loss are both finite numbers."""
        return np.isfinite(self.val_accuracy_percent) & np.isfinite(self.val_loss)


@dataclass(frozen=True, eq=False)
class Prefix:
    """The first points of one network's curve, as a plug sees them; NaN for a blank field."""

    epochs: Floats
    """0.5, 1.0, …"""
    val_accuracy_percent: Floats
    train_loss: Floats
    """Nats."""
    val_loss: Floats
    """Nats."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one network's accuracy will be."""

    value: float
    """Percent."""
    uncertainty: float | None = None
    """A standard deviation in percent; None from methods that have none."""
    stop: bool = False
    """Whether the method would end the training here."""


@dataclass(frozen=True, slots=True)
class FitFailure:
    """Why there is no prediction for one network."""

    reason: str


Outcome = Prediction | FitFailure


@dataclass(frozen=True, eq=False)
class Predictions:
    """Outcomes of many networks."""

    values: Floats
    """Percent; NaN where there is none."""
    uncertainties: Floats
    """Standard deviations in percent; NaN where there is none."""
    stops: Truths
    reasons: tuple[str | None, ...]
    """Why there is no value; None where there is one."""

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> "Predictions":
        """The same as arrays."""
        given = [one if isinstance(one, Prediction) else Prediction(np.nan) for one in outcomes]
        return cls(
            np.array([one.value for one in given], dtype=float),
            np.array([np.nan if one.uncertainty is None else one.uncertainty for one in given]),
            np.array([one.stop for one in given], dtype=bool),
            tuple(one.reason if isinstance(one, FitFailure) else None for one in outcomes),
        )

    def one(self, network: int) -> Outcome:
        """The outcome of one network."""
        reason = self.reasons[network]
        if reason is not None:
            return FitFailure(reason)
        uncertainty = float(self.uncertainties[network])
        return Prediction(
            float(self.values[network]),
            None if np.isnan(uncertainty) else uncertainty,
            bool(self.stops[network]),
        )


@dataclass(frozen=True, eq=False)
class Stops:
    """Where a stop rule ends the training of many networks."""

    points: Integers
    """How many points each network was trained for, or all that count where it wasn't stopped."""
    converged: Truths
    """Whether the rule ended it, and not the last point."""
    values: Floats
    """Percent: the prediction where it converged, else the last accuracy seen."""
    reasons: tuple[str | None, ...]
    """What kept the rule from deciding; None where nothing did."""


class Predictor(ABC):
    """A method with its settings."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The method's name, without settings."""

    @abstractmethod
    def predict(self, curves: Curves, epoch: float) -> Predictions:
        """Each network's accuracy in percent at an epoch, from all points given."""


class Follower(ABC):
    """A stop rule on one network's way: it is shown each point once, in order."""

    @abstractmethod
    def add(self, curve: Curves) -> Outcome:
        """Look at a curve of one network that has one point more than the last time."""


class StopRule(Predictor):
    """A method that ends a network's training by itself.

    Attributes:
        epoch: the one it predicts, and trains to where it doesn't converge.
    """

    epoch: float

    @abstractmethod
    def decide(self, curves: Curves) -> Stops:
        """Where each network's training ends; later points change nothing."""

    @abstractmethod
    def follow(self) -> Follower:
        """The same for one network while it is being trained."""

    @property
    def earliest(self) -> int:
        """The first point at which it could stop."""
        return 1

    @property
    def last_point(self) -> int:
        """How many points there are up to `epoch`."""
        return round(2 * self.epoch)
