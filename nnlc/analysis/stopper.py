"""Stop rule for one network during training, which decides after each half epoch.

    stopper = Stopper("penguin:epoch=20")
    for row in rows_as_they_come:
        decision = stopper.add(row)
        if decision.stop:
            break

Its only state is the rows: after an interruption, `Stopper(method, rows)` continues from them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnlc.analysis.predictors.interface import Curves, FitFailure, StopRule
from nnlc.analysis.predictors.registry import DEFAULT_EPOCH, make_stop_rule, predictor_text
from nnlc.errors import NnlcError

if TYPE_CHECKING:
    from nnlc.tables import Row


@dataclass(frozen=True, slots=True)
class Decision:
    """Decision of a stop rule after a half epoch."""

    stop: bool
    epoch: float
    """Epoch at the end of the half epoch: 0.5, 1.0, …"""
    predicted: float | None = None
    """Accuracy in percent predicted for the rule's epoch; None if there is no prediction."""
    reason: str | None = None
    """Reason why nothing is predicted."""


class Stopper:
    """Stop rule applied to one network half epoch by half epoch.

    It is deterministic, and stops at the same half epoch as the rule applied to a whole table.

    Args:
        method: a stop rule, such as "penguin:points=3" or "menndl".
        rows: rows of the half epochs trained before, in order.
        epoch: the epoch to predict, unless the method's settings give one.

    Attributes:
        method: the method with all its settings.
        target: the epoch that is predicted.
        decision: the newest decision; None before the first half epoch.

    Raises:
        NnlcError: the method is unknown or never stops, or there are rows after its stop.
    """

    def __init__(
        self, method: str, rows: "Iterable[Row]" = (), *, epoch: float = DEFAULT_EPOCH
    ) -> None:
        rule: StopRule = make_stop_rule(method, epoch=epoch)
        self.method, self.target = predictor_text(rule), rule.epoch
        self.decision: Decision | None = None
        self._follow = rule.follow()
        self._rows: list[tuple[float, float, float]] = []
        for row in rows:
            self.add(row)

    def add(self, row: "Row") -> Decision:
        """Add the row of the next half epoch and return the decision.

        Raises:
            NnlcError: the rule has stopped already.
        """
        if self.decision is not None and self.decision.stop:
            raise NnlcError(
                f"{self.method} stopped this network at epoch {self.decision.epoch:g}; no further "
                "half epoch can be added"
            )
        values = (row.val_accuracy_percent, row.train_loss, row.val_loss)
        accuracy, train_loss, val_loss = (np.nan if one is None else one for one in values)
        self._rows.append((accuracy, train_loss, val_loss))
        columns = np.array(self._rows).T[:, np.newaxis]
        epochs = np.arange(1, len(self._rows) + 1) / 2
        outcome = self._follow(Curves(epochs, *columns))
        if isinstance(outcome, FitFailure):
            self.decision = Decision(False, float(epochs[-1]), reason=outcome.reason)
        else:
            self.decision = Decision(outcome.stop, float(epochs[-1]), outcome.value)
        return self.decision
