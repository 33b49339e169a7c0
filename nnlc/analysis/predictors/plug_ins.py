"""Plug-ins: predictors of other packages, as entry points of the group `nnlc.predictors`.

A plug-in that does not load, raises an exception or returns no valid prediction is reported by its
name; it never ends the program.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint
from numbers import Real
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from nnlc.analysis.predictors.interface import (
    POINT_FIELDS,
    ContextPredictor,
    Curves,
    FitFailure,
    Floats,
    Follower,
    Outcome,
    Prediction,
    Predictions,
    Predictor,
    Prefix,
    StopRule,
    Stops,
)
from nnlc.errors import NnlcError
from nnlc.system.foreign_code import (
    ForeignCodeError,
    installed_entry_points,
    package_of,
    running_foreign_code,
)
from nnlc.wording import one_line

if TYPE_CHECKING:
    import pandas as pd

GROUP = "nnlc.predictors"


def plug_in_names() -> list[str]:
    """Return the names of all installed plug-ins, without loading them."""
    return sorted({one.name for one in installed_entry_points(GROUP)})


def load_plug_in(name: str, settings: dict[str, str], epoch: float) -> Predictor:
    """Load a plug-in and return its predictor.

    Args:
        name: name of the plug-in.
        settings: keyword arguments for the plug-in; texts that are numbers become numbers.
        epoch: the epoch to predict, if the plug-in decides when to stop.

    Raises:
        NnlcError: no package or several have a plug-in of this name, it does not load, or it
            refuses its settings.
    """
    found = [one for one in installed_entry_points(GROUP) if one.name == name]
    if len({one.value for one in found}) != 1:
        several = ", ".join(sorted(map(package_of, found)))
        raise NnlcError(
            f"{len(found)} packages have a predictor {name!r}: {several}; uninstall all but one"
            if found
            else f"no package has a predictor {name!r}"
        )
    return _make(name, found[0], settings, epoch)


def _make(name: str, entry: EntryPoint, settings: dict[str, str], epoch: float) -> Predictor:
    doing = "loaded"
    given = {key: _value(text) for key, text in sorted(settings.items())}
    try:
        with running_foreign_code():
            maker = entry.load()
            doing = "made"
            plug = maker(**given)
            learn, decides = getattr(plug, "learn", None), bool(getattr(plug, "decides", False))
            learns = callable(learn)  # `learn` may be a setting
            function = learn if learns else plug.predict
    except ForeignCodeError as problem:
        raise NnlcError(
            f"the predictor {name!r} of {package_of(entry)} can't be {doing}: {problem}"
        ) from None
    text = "".join(f":{key}={value}" for key, value in given.items())
    if decides and learns:
        raise NnlcError(
            f"the predictor {name!r} of {package_of(entry)} learns from finished curves, of "
            "which a running campaign has none, so it can't have `decides = True`; leave out one "
            "of them"
        )
    if decides:
        return PlugInStopRule(name, function, text, epoch=epoch)
    return (PlugInLearner if learns else PlugIn)(name, function, text)


@dataclass(frozen=True, eq=False)
class PlugIn(Predictor):
    """Predictor of another package."""

    name: str
    """Name of the entry point."""
    function: Any
    settings: str = ""
    """Settings as in a method's text, sorted by name."""

    def predict(self, curves: Curves, epoch: float) -> Predictions:
        """Predict one network after the other."""
        return Predictions.from_outcomes([ask(self, one, epoch) for one in _prefixes(curves)])


@dataclass(frozen=True, eq=False)
class PlugInLearner(ContextPredictor, PlugIn):
    """Predictor of another package that learns from finished curves; `function` is its `learn`."""

    def fit(self, context: Curves) -> Predictor:
        """Return what the plug-in learned; if it raises an exception, each prediction says so."""
        names = ("epochs", *POINT_FIELDS)
        arrays: dict[str, Any] = {name: _read_only(getattr(context, name)) for name in names}
        rows = cast("pd.DataFrame", context.networks).reset_index(drop=True)
        try:
            with running_foreign_code():
                learned = self.function(replace(context, networks=rows, **arrays))
                given = learned if isinstance(learned, FitFailure) else None
                known = given or getattr(learned, "predict", None)
                if not (given or callable(known)):
                    known = FitFailure(
                        f"{self.name}: learn returned {_kind(learned)}; it must return an object "
                        "with predict, such as self"
                    )
        except ForeignCodeError as raised:
            known = FitFailure(f"{self.name} raised {raised}")
        return PlugIn(self.name, (lambda *_: known) if isinstance(known, FitFailure) else known)


@dataclass(frozen=True, eq=False)
class PlugInStopRule(PlugIn, StopRule):
    """Predictor of another package that decides when to stop."""

    epoch: float = field(kw_only=True)

    def decide(self, curves: Curves) -> Stops:
        """Return where each network stops: predict after each point, until the plug-in stops."""
        seen = curves.first(self.last_point)
        points = np.full(len(seen), seen.points)
        converged = np.zeros(len(seen), dtype=bool)
        values = seen.val_accuracy_percent[:, -1].copy()
        reasons: list[str | None] = [None] * len(seen)
        for network in range(len(seen)):
            curve = seen.select(slice(network, network + 1))
            for count in range(1, min(seen.points, self.last_point - 1) + 1):
                outcome = self._ask_so_far(curve.first(count))
                reasons[network] = outcome.reason if isinstance(outcome, FitFailure) else None
                if isinstance(outcome, Prediction) and outcome.stop:
                    points[network], converged[network] = count, True
                    values[network] = outcome.value
                    break
        return Stops(points, converged, values, tuple(reasons))

    def follow(self) -> Follower:
        """Return the rule for one network; it keeps no state between points."""
        return self._ask_so_far

    def _ask_so_far(self, curve: Curves) -> Outcome:
        """Predict from all points so far; at the last point, where training ends, never stop."""
        outcome = ask(self, next(_prefixes(curve)), self.epoch)
        if isinstance(outcome, Prediction) and curve.points >= self.last_point:
            return replace(outcome, stop=False)
        return outcome


def ask(plug: PlugIn, prefix: Prefix, epoch: float) -> Outcome:
    """Return a plug-in's outcome for one network; if it is invalid, a failure with its name."""
    try:
        with running_foreign_code():
            outcome = plug.function(prefix, epoch)
            problem = _problem(outcome)
            if problem is not None:
                return FitFailure(f"{plug.name} {problem}")
            if isinstance(outcome, FitFailure):
                return FitFailure(one_line(outcome.reason) or f"{plug.name} gave no reason")
            uncertainty = None if outcome.uncertainty is None else float(outcome.uncertainty)
            return Prediction(float(outcome.value), uncertainty, bool(outcome.stop))
    except ForeignCodeError as raised:
        return FitFailure(f"{plug.name} raised {raised}")


def _problem(outcome: Any) -> str | None:
    """Return the problem of a plug-in's outcome; None if it is valid."""
    if isinstance(outcome, FitFailure):
        return None if isinstance(outcome.reason, str) else "gave no text as its reason"
    if not isinstance(outcome, Prediction):
        return f"gave {one_line(type(outcome).__name__)}, neither Prediction nor FitFailure"
    if not _is_number(outcome.value) or not 0 <= outcome.value <= 100:
        return f"gave {_shown(outcome.value)}, which is no accuracy from 0 to 100 percent"
    uncertainty = outcome.uncertainty
    if uncertainty is not None and not (_is_number(uncertainty) and uncertainty >= 0):
        return f"gave {_shown(uncertainty)}, which is no standard deviation"
    if not isinstance(outcome.stop, bool | np.bool_):
        return "gave a stop that is neither True nor False"
    return None


def _kind(value: Any) -> str:
    return "None" if value is None else one_line(type(value).__name__)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _prefixes(curves: Curves) -> Iterator[Prefix]:
    """Yield each network's points as read-only arrays, copied."""
    for network in range(len(curves)):
        accuracy, train_loss, val_loss = (
            _read_only(getattr(curves, name)[network]) for name in POINT_FIELDS
        )
        known: dict[Any, Any] = {}
        if curves.networks is not None:
            known = curves.networks.iloc[network].to_dict()
        epochs = _read_only(curves.epochs)
        yield Prefix(epochs, accuracy, train_loss, val_loss, MappingProxyType(known))


def _read_only(values: Floats) -> Floats:
    copied = np.array(values)
    copied.setflags(write=False)
    return copied


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _shown(value: Any) -> str:
    """Return a plug-in's value as one line; NumPy's numbers like Python's."""
    return one_line(repr(value.item() if isinstance(value, np.generic) else value))
