"""A stop rule beside a network that is being trained: told each half epoch, it says when to end.

    stopper = Stopper("penguin:epoch=20")
    for row in rows_as_they_come:
        decision = stopper.add(row)
        if decision.stop:
            break

Its state is the rows: `Stopper(method, rows)` goes on where one ended that was told these.
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
    """What a stop rule says after a half epoch."""

    stop: bool
    epoch: float
    """Of the half epoch."""
    predicted: float | None = None
    """Percent at the rule's epoch, as far as it is known."""
    reason: str | None = None
    """Why nothing is predicted."""


class Stopper:
    """A stop rule on one network's way; deterministic, and the same as the rule over whole tables.

    Args:
        method: a stop rule, such as "penguin:points=3" or "menndl".
        rows: half epochs that it is told at once, in order.
        epoch: the one that is predicted, unless the method's settings say otherwise.

    Attributes:
        method: with all its settings.
        target: the epoch that is predicted.
        decision: the last one; None before the first half epoch.

    Raises:
        NnlcError: an unknown method or one that never stops, or rows after it has stopped.
    """

    def __init__(
        self, method: str, rows: "Iterable[Row]" = (), *, epoch: float = DEFAULT_EPOCH
    ) -> None:
        rule: StopRule = make_stop_rule(method, epoch=epoch)
        self.method, self.target = predictor_text(rule), rule.epoch
        self.decision: Decision | None = None
        self._follower = rule.follow()
        self._rows: list[tuple[float, float, float]] = []
        for row in rows:
            self.add(row)

    def add(self, row: "Row") -> Decision:
        """Tell of the next half epoch.

        Raises:
            NnlcError: it has stopped already.
        """
        if self.decision is not None and self.decision.stop:
            raise NnlcError(
                f"{self.method} stopped this network at epoch {self.decision.epoch:g}; there is no "
                "half epoch after it"
            )
        values = (row.val_accuracy_percent, row.train_loss, row.val_loss)
        accuracy, train_loss, val_loss = (np.nan if one is None else one for one in values)
        self._rows.append((accuracy, train_loss, val_loss))
        columns = np.array(self._rows).T[:, np.newaxis]
        epochs = np.arange(1, len(self._rows) + 1) / 2
        outcome = self._follower.add(Curves(epochs, *columns))
        if isinstance(outcome, FitFailure):
            self.decision = Decision(False, float(epochs[-1]), reason=outcome.reason)
        else:
            self.decision = Decision(outcome.stop, float(epochs[-1]), outcome.value)
        return self.decision
