"""Predictors of other packages: entry points of the group `nnlc.predictors`.

Whatever a plug does, it is its own failure, told with its name: it may not load, raise, or give
what is no prediction.
"""

import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from importlib.metadata import EntryPoint, entry_points
from numbers import Real
from types import FrameType
from typing import Any, cast

import numpy as np

from nnlc.analysis.predictors.interface import (
    Curves,
    FitFailure,
    Follower,
    Outcome,
    Prediction,
    Predictions,
    Predictor,
    Prefix,
    StopRule,
    Stops,
)
from nnlc.console import printing_aside
from nnlc.errors import NnlcError
from nnlc.wording import printable

GROUP = "nnlc.predictors"
LONGEST_TEXT = 200
"""Characters of a plug's words that are passed on."""


class PlugError(Exception):
    """What a plug raised, in words; it may have been anything."""


@contextmanager
def _contained() -> Iterator[None]:
    """Let nothing out that a plug prints or raises, but the user's Ctrl-C.

    Raises:
        PlugError: in place of whatever the plug raised.
    """
    pressed: list[int] = []
    handler = signal.getsignal(signal.SIGINT)

    def hear(number: int, frame: FrameType | None) -> None:
        pressed.append(number)
        cast(Any, handler)(number, frame)

    listens = callable(handler) and threading.current_thread() is threading.main_thread()
    if listens:
        signal.signal(signal.SIGINT, hear)
    try:
        with printing_aside():
            yield
    except BaseException as problem:
        if pressed and isinstance(problem, KeyboardInterrupt):
            raise
        raise PlugError(_told(problem)) from None
    finally:
        if listens:
            signal.signal(signal.SIGINT, handler)


def plug_names() -> list[str]:
    """The names of all plugs that are installed; none is loaded."""
    return sorted({one.name for one in _installed()})


def _installed() -> list[EntryPoint]:
    try:
        return list(entry_points(group=GROUP))
    except Exception as problem:  # whatever a package's damaged metadata give
        raise NnlcError(
            f"the entry points of a Python package here can't be read: {_told(problem)}; 'pip "
            "check' may tell which; install it again"
        ) from None


def load_plug(name: str, settings: dict[str, str], epoch: float) -> Predictor:
    """Load a plug and make its predictor.

    Args:
        name: the plug's.
        settings: are handed to it as keywords, numbers as numbers.
        epoch: the one to be predicted, if it decides when to stop.

    Raises:
        NnlcError: no such plug, several, or one that doesn't load or refuses its settings.
    """
    found = [one for one in _installed() if one.name == name]
    if len({one.value for one in found}) != 1:
        several = ", ".join(sorted(map(_origin, found)))
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
        with _contained():
            maker = entry.load()
            doing = "made"
            plug = maker(**given)
            predict, decides = plug.predict, bool(getattr(plug, "decides", False))
    except PlugError as problem:
        raise NnlcError(
            f"the predictor {name!r} of {_origin(entry)} can't be {doing}: {problem}"
        ) from None
    text = "".join(f":{key}={value}" for key, value in given.items())
    if decides:
        return PlugRule(name, predict, text, epoch=epoch)
    return Plug(name, predict, text)


@dataclass(frozen=True, eq=False)
class Plug(Predictor):
    """A predictor of another package."""

    plug_name: str
    function: Any
    settings: str = ""
    """As a method's text has them, in one order."""

    @property
    def name(self) -> str:
        """The entry point's."""
        return self.plug_name

    def predict(self, curves: Curves, epoch: float) -> Predictions:
        """Ask it about one network after the other."""
        return Predictions.of([ask(self, one, epoch) for one in _prefixes(curves)])


@dataclass(frozen=True, eq=False)
class PlugRule(Plug, StopRule):
    """A predictor of another package that may say `stop`."""

    epoch: float = field(kw_only=True)

    def decide(self, curves: Curves) -> Stops:
        """Ask it about one network after the other, at one point after the other."""
        seen = curves.first(self.last_point)
        points = np.full(len(seen), seen.points)
        converged = np.zeros(len(seen), dtype=bool)
        values = seen.val_accuracy_percent[:, -1].copy()
        reasons: list[str | None] = [None] * len(seen)
        for network in range(len(seen)):
            curve = seen.of(slice(network, network + 1))
            for count in range(1, min(seen.points, self.last_point - 1) + 1):
                outcome = self.follow().add(curve.first(count))
                reasons[network] = outcome.reason if isinstance(outcome, FitFailure) else None
                if isinstance(outcome, Prediction) and outcome.stop:
                    points[network], converged[network] = count, True
                    values[network] = outcome.value
                    break
        return Stops(points, converged, values, tuple(reasons))

    def follow(self) -> Follower:
        """The same for one network; nothing is remembered."""
        return _Follower(self)


class _Follower(Follower):
    def __init__(self, rule: PlugRule) -> None:
        self._rule = rule

    def add(self, curve: Curves) -> Outcome:
        """Ask about all points so far; at the last point training ends anyway."""
        outcome = ask(self._rule, next(_prefixes(curve)), self._rule.epoch)
        if isinstance(outcome, Prediction) and curve.points >= self._rule.last_point:
            return replace(outcome, stop=False)
        return outcome


def ask(plug: Plug, prefix: Prefix, epoch: float) -> Outcome:
    """What a plug says of one network; a failure with its name, if that is nothing."""
    try:
        with _contained():
            outcome = plug.function(prefix, epoch)
            problem = _problem(outcome)
            if problem is not None:
                return FitFailure(f"{plug.name} {problem}")
            if isinstance(outcome, FitFailure):
                return FitFailure(_line(outcome.reason) or f"{plug.name} gave no reason")
            uncertainty = None if outcome.uncertainty is None else float(outcome.uncertainty)
            return Prediction(float(outcome.value), uncertainty, bool(outcome.stop))
    except PlugError as raised:
        return FitFailure(f"{plug.name} raised {raised}")


def _problem(outcome: Any) -> str | None:
    """What is wrong with what a plug gave."""
    if isinstance(outcome, FitFailure):
        return None if isinstance(outcome.reason, str) else "gave no text as its reason"
    if not isinstance(outcome, Prediction):
        return f"gave {_line(type(outcome).__name__)}, neither Prediction nor FitFailure"
    if not _is_number(outcome.value) or not 0 <= outcome.value <= 100:
        return f"gave {_line(repr(outcome.value))}, which is no accuracy in percent"
    uncertainty = outcome.uncertainty
    if uncertainty is not None and not (_is_number(uncertainty) and uncertainty >= 0):
        return f"gave {_line(repr(uncertainty))}, which is no standard deviation"
    if not isinstance(outcome.stop, bool | np.bool_):
        return "gave no truth as its stop"
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _prefixes(curves: Curves) -> Iterator[Prefix]:
    """Each network's points, as arrays of its own that can't be written to."""
    for network in range(len(curves)):
        one = curves.of(slice(network, network + 1))
        arrays = [np.array(getattr(one, field.name)).reshape(-1) for field in fields(Prefix)]
        for array in arrays:
            array.setflags(write=False)
        yield Prefix(*arrays)


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _origin(entry: EntryPoint) -> str:
    package = entry.dist.name if entry.dist else "an unknown package"
    return f"{_line(package)} ({_line(entry.value)})"


def _told(problem: BaseException) -> str:
    try:
        text = str(problem)
    except BaseException:  # whatever it is, it can't say
        text = "(no text)"
    return _line(f"{type(problem).__name__}: {text}")


def _line(text: str) -> str:
    """A plug's words as one printable line."""
    shown = printable(text[: LONGEST_TEXT + 1])
    return shown if len(shown) <= LONGEST_TEXT else shown[: LONGEST_TEXT - 1] + "…"
