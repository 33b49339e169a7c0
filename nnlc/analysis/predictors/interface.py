"""Interface of all predictors, for many networks at once or for one.

    Curves → Predictor.predict(curves, epoch) → Predictions     accuracy at a later epoch
    Curves → StopRule.decide(curves)          → Stops           where training would have ended
    Curves → ContextPredictor.fit(context)    → Predictor       after learning from other networks

A predictor sees only the points that it is given. If it can't predict, it returns a reason, never a
number.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


POINT_FIELDS = ("val_accuracy_percent", "train_loss", "val_loss")
"""Fields of `Curves` and `Prefix` with a value for each point."""


@dataclass(frozen=True, eq=False)
class Curves:
    """First points of many networks' curves, or whole curves; NaN for a blank field."""

    epochs: Floats
    """Epochs of the points: 0.5, 1.0, …"""
    val_accuracy_percent: Floats
    """Validation accuracy in percent, networks × points."""
    train_loss: Floats
    """Training loss in nats, networks × points."""
    val_loss: Floats
    """Validation loss in nats, networks × points."""
    knows_losses: bool = field(default=True, kw_only=True)
    """False if a loss of NaN is unknown, and no sign that the network diverged."""
    networks: "pd.DataFrame | None" = field(default=None, kw_only=True)
    """Columns of `Tables.networks` that are known before a training, a row for each curve; only
    for methods that learn from other networks."""

    def __len__(self) -> int:
        return len(self.val_accuracy_percent)

    @property
    def points(self) -> int:
        """Return the number of points of each curve."""
        return len(self.epochs)

    def first(self, points: int) -> "Curves":
        """Return the first points of each curve."""
        values = {name: getattr(self, name)[:, :points] for name in POINT_FIELDS}
        return replace(self, epochs=self.epochs[:points], **values)

    def select(self, networks: Integers | Booleans | slice) -> "Curves":
        """Return the curves of some networks."""
        values: dict[str, Any] = {name: getattr(self, name)[networks] for name in POINT_FIELDS}
        rows = None if self.networks is None else self.networks.iloc[networks]
        return replace(self, networks=rows, **values)

    def finite(self) -> Booleans:
        """Return True where accuracy and validation loss are both finite, networks × points.

        A loss may be unknown.
        """
        unknown = np.isnan(self.val_loss) & (not self.knows_losses)
        return np.isfinite(self.val_accuracy_percent) & (np.isfinite(self.val_loss) | unknown)


@dataclass(frozen=True, eq=False)
class Prefix:
    """First points of one network's curve, as a plug-in gets them; NaN for a blank field."""

    epochs: Floats
    """Epochs of the points: 0.5, 1.0, …"""
    val_accuracy_percent: Floats
    """Validation accuracy in percent at each point."""
    train_loss: Floats
    """Training loss in nats at each point."""
    val_loss: Floats
    """Validation loss in nats at each point."""
    network: Mapping[str, Any] = field(default_factory=dict)
    """Values known before the training, as in `Curves.networks`; empty unless the method learns."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Predicted accuracy of one network."""

    value: float
    """Accuracy in percent."""
    uncertainty: float | None = None
    """Standard deviation in percentage points; None from methods that give none."""
    stop: bool = False
    """True if the method would end the training here."""


@dataclass(frozen=True, slots=True)
class FitFailure:
    """Failure to predict one network's accuracy, with its reason."""

    reason: str


Outcome = Prediction | FitFailure


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions for many networks, or the reasons why there are none."""

    values: Floats
    """Predicted accuracies in percent; NaN without a prediction."""
    uncertainties: Floats
    """Standard deviations in percentage points; NaN where the method gives none."""
    stops: Booleans
    """True where the method would end the training."""
    reasons: tuple[str | None, ...]
    """Reason why a network has no prediction; None where it has one."""

    @classmethod
    def from_outcomes(cls, outcomes: Sequence[Outcome]) -> "Predictions":
        """Return the outcomes of single networks as arrays."""
        given = [one if isinstance(one, Prediction) else Prediction(np.nan) for one in outcomes]
        return cls(
            np.array([one.value for one in given], dtype=float),
            np.array([np.nan if one.uncertainty is None else one.uncertainty for one in given]),
            np.array([one.stop for one in given], dtype=bool),
            tuple(one.reason if isinstance(one, FitFailure) else None for one in outcomes),
        )

    def select(self, networks: Integers) -> "Predictions":
        """Return the predictions for some networks."""
        return Predictions(
            self.values[networks],
            self.uncertainties[networks],
            self.stops[networks],
            tuple(self.reasons[i] for i in networks),
        )

    def one(self, network: int) -> Outcome:
        """Return the outcome of one network."""
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
    """Decisions of a stop rule for many networks."""

    points: Integers
    """Number of points after which each network was stopped; without a stop, all its points."""
    converged: Booleans
    """True where the rule stopped the network."""
    values: Floats
    """Accuracy in percent: the prediction where the rule stopped, else the last one seen."""
    reasons: tuple[str | None, ...]
    """Reason why the rule could not decide; None where it could."""


class Predictor(ABC):
    """Prediction method with its settings.

    Attributes:
        name: the method's name, without settings.
    """

    name: str

    @abstractmethod
    def predict(self, curves: Curves, epoch: float) -> Predictions:
        """Predict each network's accuracy at an epoch from all points given."""


class ContextPredictor(Predictor):
    """Prediction method that first learns from finished curves of other networks."""

    @abstractmethod
    def fit(self, context: Curves) -> Predictor:
        """Return a predictor that has learned from whole curves with their `networks`."""

    def predict(self, curves: Curves, epoch: float) -> Predictions:  # noqa: ARG002
        """Return failures: nothing has been learned."""
        failure = FitFailure("there are no finished curves to learn from")
        return Predictions.from_outcomes([failure] * len(curves))


Follower = Callable[[Curves], Outcome]
"""Stop rule applied to one network: called after each point with the curve so far."""


class StopRule(Predictor):
    """Prediction method that decides when to stop a network's training.

    Attributes:
        epoch: the epoch to predict; a network that is not stopped is trained up to it.
    """

    epoch: float

    @abstractmethod
    def decide(self, curves: Curves) -> Stops:
        """Return where each network's training stops; points after the stop have no effect."""

    @abstractmethod
    def follow(self) -> Follower:
        """Return a function that applies this rule to one network during its training."""

    @property
    def earliest(self) -> int:
        """Return the number of the first point at which the rule can stop."""
        return 1

    @property
    def last_point(self) -> int:
        """Return the number of points up to `epoch`."""
        return round(2 * self.epoch)
