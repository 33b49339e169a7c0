"""Predictors by name and settings: `penguin`, `penguin:points=3`, `ensemble:members=pow4+mmf4`.

A method is written as its name, followed by `:key=value` for each setting. Commands take several
methods, separated by commas.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from nnlc.analysis.predictors.families import FAMILIES
from nnlc.analysis.predictors.fitted import Ensemble, FamilyPredictor
from nnlc.analysis.predictors.gp import GaussianProcess
from nnlc.analysis.predictors.interface import ContextPredictor, Predictor, StopRule
from nnlc.analysis.predictors.observed import LastValue, Menndl
from nnlc.analysis.predictors.penguin import Penguin
from nnlc.analysis.predictors.plug_ins import PlugIn, load_plug_in, plug_in_names
from nnlc.errors import NnlcError

DEFAULT_EPOCH = 20.0
"""Default epoch to predict: PENGUIN's e_pred."""
MOST_EPOCHS = 10_000

_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


@dataclass(frozen=True)
class _Setting:
    read: Callable[[str], Any]
    """Function that converts text into a value; its ValueError says which values are allowed."""
    meaning: str


def _number(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise ValueError("a plain number")
    return float(text)


def _half_epochs(text: str) -> float:
    value = _number(text)
    if not _is_epoch(value):
        raise ValueError(f"a number of epochs from 0.5 to {MOST_EPOCHS}, in steps of 0.5")
    return value


def _is_epoch(value: float) -> bool:
    return 0.5 <= value <= MOST_EPOCHS and float(2 * value).is_integer()


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (_NUMBER.fullmatch(text) and text.isdigit() and least <= int(text) <= most):
            raise ValueError(f"a whole number from {least} to {most}")
        return int(text)

    return read


def _percent(text: str) -> float:
    if not (_NUMBER.fullmatch(text) and 0 < float(text) <= 100):
        raise ValueError("a plain number, more than 0 and at most 100 percentage points")
    return float(text)


def _weights(text: str) -> str:
    if text not in ("equal", "likelihood"):
        raise ValueError("equal or likelihood")
    return text


def _members(text: str) -> tuple[str, ...]:
    names = tuple(text.split("+"))
    if len(set(names)) != len(names) or not set(names) <= FAMILIES.keys():
        raise ValueError(f"different names, joined by +, of {', '.join(FAMILIES)}")
    return names


_EPOCH = _Setting(_half_epochs, "the epoch to predict; training stops before it or not at all")
_SETTINGS: dict[str, dict[str, _Setting]] = {
    "penguin": {
        "epoch": _EPOCH,
        "points": _Setting(_whole(2, 2 * MOST_EPOCHS), "half epochs before the first fit"),
        "window": _Setting(_whole(1, 1000), "number of predictions that must agree"),
        "tolerance": _Setting(
            _percent, "greatest distance of predictions from their median, percentage points"
        ),
    },
    "menndl": {
        "epoch": _EPOCH,
        "patience": _Setting(_half_epochs, "epochs without a lower training loss"),
    },
    "ensemble": {
        "weights": _Setting(_weights, "equal, or likelihood"),
        "members": _Setting(_members, "families, joined by +"),
    },
    "gp": {"most": _Setting(_whole(10, 5000), "most finished curves to learn from")},
}
_MAKERS: dict[str, Callable[..., Predictor]] = {
    "last1": LastValue,
    **{name: lambda name=name: FamilyPredictor(name) for name in FAMILIES},
    "ensemble": Ensemble,
    "gp": GaussianProcess,
    "penguin": Penguin,
    "menndl": Menndl,
}

BUILT_IN = tuple(_MAKERS)
"""Names of the methods that come with nnlc."""
ALL_METHODS = (*BUILT_IN[:-3], "ensemble:weights=likelihood", "gp", "penguin", "menndl")
"""All built-in methods; the ensemble with both kinds of weights."""


def make_predictor(text: str, *, epoch: float = DEFAULT_EPOCH) -> Predictor:
    """Return the predictor that a text names.

    Args:
        text: name and settings, such as `pow4` or `penguin:points=3:tolerance=1`.
        epoch: the epoch that a stop rule predicts, unless its settings give one.

    Raises:
        NnlcError: a method or setting is unknown (the message lists the known ones), a value or
            epoch is impossible, or a plug-in does not load.
    """
    check_epoch("the epoch to predict", epoch)
    name, *parts = text.split(":")
    given = _read_parts(text, parts)
    if name not in _MAKERS:
        known = plug_in_names()
        if name not in known:
            raise NnlcError(
                f"there is no method {name!r}; there are {', '.join([*BUILT_IN, *known])}"
            )
        return load_plug_in(name, given, epoch)
    settings = _SETTINGS.get(name, {})
    read: dict[str, Any] = {"epoch": epoch} if "epoch" in settings else {}
    for key, value in given.items():
        if key not in settings:
            raise NnlcError(f"{text}: {_no_setting(name, key)}")
        try:
            read[key] = settings[key].read(value)
        except ValueError as problem:
            raise NnlcError(f"{text}: {key} is {value[:40]!r}, but must be {problem}") from None
    made = _MAKERS[name](**read)
    if isinstance(made, Penguin) and made.points >= made.last_point:
        raise NnlcError(
            f"{text}: the first fit needs {made.points} points, but must come before epoch "
            f"{made.epoch:g}, which is point {made.last_point}; take fewer points or a later epoch"
        )
    return made


def check_epoch(name: str, epoch: float) -> None:
    """Check that an epoch is a multiple of 0.5 in the range that tables may have.

    Raises:
        NnlcError: the epoch is impossible.
    """
    if not _is_epoch(epoch):
        raise NnlcError(
            f"{name} is {epoch:g}, but must be from 0.5 to {MOST_EPOCHS} in steps of 0.5"
        )


def make_stop_rule(text: str, *, epoch: float = DEFAULT_EPOCH) -> StopRule:
    """Return the stop rule that a text names.

    Raises:
        NnlcError: as in `make_predictor`, or the method is no stop rule.
    """
    made = make_predictor(text, epoch=epoch)
    if isinstance(made, ContextPredictor):
        raise NnlcError(
            f"{text} learns from finished curves, of which a running campaign has none, and never "
            "stops a training; penguin and menndl do"
        )
    if not isinstance(made, StopRule):
        own = (
            "; so does a class of your own that has decides = True and predicts with stop=True"
            if isinstance(made, PlugIn)
            else ""
        )
        raise NnlcError(f"{text} never stops a training; penguin and menndl do{own}")
    return made


def predictor_text(predictor: Predictor) -> str:
    """Return a method with all its settings as text, which `make_predictor` reads exactly."""
    if isinstance(predictor, PlugIn):
        return f"{predictor.name}{predictor.settings}"
    parts = [predictor.name]
    for key in _SETTINGS.get(predictor.name, {}):
        value = getattr(predictor, key)
        parts.append(f"{key}={_written(value)}")
    return ":".join(parts)


def _written(value: str | float | tuple[str, ...]) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return "+".join(value)
    text = f"{Decimal(repr(value)):f}"  # settings allow no exponent
    return text.removesuffix(".0")


def describe_methods() -> list[str]:
    """Return a line for each method, with its formula or settings; plug-ins with their names."""
    lines = []
    for name in BUILT_IN:
        if name in FAMILIES:
            lines.append(f"{name:<10} {FAMILIES[name].formula}, x the half epoch")
        elif name == "last1":
            lines.append(f"{name:<10} the last accuracy seen")
        else:
            lines.append(f"{name:<10} {predictor_text(make_predictor(name))}")
            lines += [f"{'':<12}{k}: {one.meaning}" for k, one in _SETTINGS[name].items()]
    for name in plug_in_names():
        taken = "; not used: nnlc has a method of this name" if name in _MAKERS else ""
        lines.append(f"{name:<10} plug-in of another package{taken}")
    return lines


def _read_parts(text: str, parts: list[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not (key and equals and value and part.isprintable()) or key in given:
            raise NnlcError(
                f"{text}: {part!r} is no setting; write a method as its name and settings, each "
                "once: penguin:points=3:tolerance=1"
            )
        given[key] = value
    return given


def _no_setting(name: str, key: str) -> str:
    settings = _SETTINGS.get(name)
    if not settings:
        return f"{name} has no settings"
    made = predictor_text(_MAKERS[name]())
    return f"{name} has no setting {key!r}; it has {', '.join(settings)} ({made})"
