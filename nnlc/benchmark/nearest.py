"""Surrogate of tables: the existing network that is nearest to given hyperparameters."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from pandas.api.types import is_integer_dtype, is_numeric_dtype

from nnlc.benchmark.tabular import Floats, TabularNetworks
from nnlc.errors import NnlcError
from nnlc.families.layouts import has_layer, is_category
from nnlc.tables.frames import check_choice
from nnlc.wording import some_of

Surrogate = Literal["nearest"]

_LOGARITHMIC = {"learning_rate", "momentum", "dampening", "weight_decay"}
"""Hyperparameters that the sampler draws as powers of ten, or as 0."""


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """Values of a hyperparameter among the networks that have it."""

    name: str
    choices: tuple[Any, ...] = ()
    """Values without an order, texts or blocks of layers; empty for numbers."""
    low: float = 0
    """Smallest number; on a logarithmic scale, the smallest positive one, as which 0 counts."""
    high: float = 0
    whole: bool = False
    logarithmic: bool = False
    optional: bool = False
    """True if some network does not have it."""

    @property
    def differs(self) -> bool:
        """True if the networks have more than one value."""
        return len(self.choices) > 1 or self.low < self.high

    @property
    def known(self) -> str:
        """Values in words, for messages."""
        numbers = f"numbers from {self.low:g} to {self.high:g}"
        return some_of([str(one) for one in self.choices], 8) or numbers

    def scaled(self, value: Any) -> float:
        """Return a number between 0 and 1, or the place among `choices`; NaN if it is missing.

        Raises:
            NnlcError: no network can have this value.
        """
        try:
            if pd.isna(value) and self.optional:
                return math.nan
            if self.choices:
                return self.choices.index(value)
            number = float(value)
            if math.isnan(number) or -math.inf < number < 0 <= self.low:
                raise ValueError
            number = min(max(number, self.low), self.high)
        except (TypeError, ValueError, OverflowError):
            raise NnlcError(
                f"no network has the {self.name} {value!r}: there are {self.known}"
            ) from None
        if not self.differs:
            return 0
        if self.logarithmic:
            return math.log(number / self.low) / math.log(self.high / self.low)
        return (number - self.low) / (self.high - self.low)


class NearestNetwork:
    """Existing networks that answer for all others: the one at the smallest distance.

    The distance is Gower's: the sum over all hyperparameters of differences between 0 and 1.

    - Numbers: the difference divided by the range among the networks. learning_rate, momentum,
      dampening and weight_decay are compared by their logarithms, 0 as the smallest positive value.
      A number beyond the range counts as its end, but a negative one is refused if none is there.
    - Texts, and blocks of layers: 0 if equal, otherwise 1.
    - A hyperparameter that only one of the two has: 1; that neither has: 0.

    A network has the layers that its depth, fc_layers and blocks say. Values of further layers are
    ignored, so that a space without conditions can be searched. Among networks at the same
    distance, the one whose ID sorts first answers.

    Args:
        frame: as from `hyperparameters`.

    Attributes:
        hyperparameters: those of the networks; the ones that decide on layers stand before these.

    Raises:
        NnlcError: there is no hyperparameter in which the networks differ.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        frame = frame.sort_index()
        self._ids = tuple(frame.index)
        self.hyperparameters = tuple(_hyperparameter(str(name), frame[name]) for name in frame)
        if not any(one.differs for one in self.hyperparameters):
            raise NnlcError(
                "a surrogate needs hyperparameters in which the networks differ, and these tables "
                "have none: leave out surrogate=, and choose networks by their IDs"
            )
        columns = [[one.scaled(value) for value in frame[one.name]] for one in self.hyperparameters]
        self._scaled: Floats = np.array(columns, float).T
        self._unordered = np.array([bool(one.choices) for one in self.hyperparameters])

    def find(self, values: Mapping[str, Any]) -> str:
        """Return the ID of the network that is nearest to these hyperparameters.

        Args:
            values: hyperparameters by name; one that is left out is missing. None and NaN are
                missing too, and refused for a hyperparameter that every network has.

        Raises:
            NnlcError: there is no hyperparameter of such a name, or no such value.
        """
        names = [one.name for one in self.hyperparameters]
        unknown = [name for name in values if name not in names]
        if unknown or not values:
            what = (
                f"there is no hyperparameter {unknown[0]!r}" if unknown else "there are no values"
            )
            raise NnlcError(f"{what}: give {some_of(names, 12)}")
        there: dict[str, Any] = {}
        wanted = np.full(len(names), math.nan)
        for place, one in enumerate(self.hyperparameters):
            if one.name in values and has_layer(one.name, there):
                wanted[place] = one.scaled(values[one.name])
            if not math.isnan(wanted[place]):
                there[one.name] = values[one.name]
        apart = np.abs(self._scaled - wanted)
        apart = np.where(self._unordered, apart > 0, apart)
        lacking = np.isnan(self._scaled).astype(int) + np.isnan(wanted)
        distances = np.where(lacking == 0, apart, lacking == 1).sum(axis=1)
        return str(self._ids[int(np.argmin(distances))])


def _hyperparameter(name: str, column: "pd.Series[Any]") -> Hyperparameter:
    optional = bool(column.isna().any())
    values = column[~column.isin([math.inf, -math.inf])].dropna()
    if is_category(name) or not is_numeric_dtype(column):
        return Hyperparameter(name, tuple(sorted(set(values.tolist()))), optional=optional)
    logarithmic = name in _LOGARITHMIC and bool((values > 0).any())
    low = (values[values > 0] if logarithmic else values).min()
    whole = is_integer_dtype(column)
    return Hyperparameter(name, (), float(low), float(values.max()), whole, logarithmic, optional)


def nearest_network(surrogate: Surrogate | None, chosen: TabularNetworks) -> NearestNetwork | None:
    """Return the surrogate that an adapter's argument names, or None.

    Raises:
        NnlcError: there is no such surrogate, or the networks don't differ in a hyperparameter.
    """
    if surrogate is None:
        return None
    check_choice("surrogate", surrogate, ("nearest",))
    return NearestNetwork(chosen.hyperparameters)
