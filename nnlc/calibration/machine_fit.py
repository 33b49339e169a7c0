"""Fits what a machine does in a second to seconds that were measured on it.

Least squares on the logarithms of predicted / measured, so that a small network counts as much as a
large one, robust against those that were disturbed. A common factor is free; what the single rates
deviate from the nominal machine's by, beside it, is held back a little: ten networks give a useful
machine, and a hundred have the word.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from nnlc.networks.cost import Machine
from nnlc.networks.work import Work

FEWEST_NETWORKS = 10
"""For a fit."""
FOLDS = 10
"""Each network is predicted by a machine that was fitted without its fold."""
_USUAL = 0.15
"""Deviation of a logarithm; far beyond it a network is an outlier."""
_HOLD = 0.15
"""Weight of a rate's deviation from the nominal machine's, beside that of one network."""
_MOST = 7.0
"""No rate moves by more than a factor of e^7, about 1,100."""

Values: TypeAlias = npt.NDArray[np.float64]


class Sample(NamedTuple):
    """What was measured of one network."""

    work: Work
    seconds: float


class Errors(NamedTuple):
    """Of predictions, as shares of what was measured."""

    median: float
    nine_in_ten: float
    """So many are below."""


def fit_machine(samples: Sequence[Sample], nominal: Machine) -> Machine:
    """The machine that explains these samples best; deterministic.

    What is free on the nominal machine stays free.

    Args:
        samples: at least one; positive seconds.
        nominal: of the same kind of device.
    """
    work, measured = _arrays(samples)
    unit_seconds = np.array(nominal.unit_seconds)
    paid = unit_seconds > 0
    work, start = work[:, paid], np.log(unit_seconds[paid])

    def residuals(parameters: Values) -> Values:
        factor, deviations = parameters[0], parameters[1:]
        predicted = work @ np.exp(start + factor + deviations)
        return np.concatenate([np.log(predicted / measured), _HOLD * deviations])

    found = least_squares(
        residuals,
        np.zeros(1 + len(start)),
        bounds=(-_MOST, _MOST),
        loss="soft_l1",
        f_scale=_USUAL,
    )
    unit_seconds[paid] = np.exp(start + found.x[0] + found.x[1:])
    return Machine.from_unit_seconds(Work(*map(float, unit_seconds)))


def errors(samples: Sequence[Sample], machine: Machine) -> Errors:
    """How far a machine's predictions are off."""
    return errors_of([machine.seconds(work) / seconds for work, seconds in samples])


def errors_unseen(samples: Sequence[Sample], nominal: Machine) -> Errors:
    """The same of networks that the fit has not seen: each fold by a fit of all others."""
    folds = min(FOLDS, len(samples))
    ratios: list[float] = []
    for fold in range(folds):
        others = [s for i, s in enumerate(samples) if i % folds != fold]
        machine = fit_machine(others, nominal)
        ratios += [machine.seconds(s.work) / s.seconds for s in samples[fold::folds]]
    return errors_of(ratios)


def _arrays(samples: Sequence[Sample]) -> tuple[Values, Values]:
    return np.array([s.work for s in samples], float), np.array([s.seconds for s in samples])


def errors_of(ratios: Sequence[float]) -> Errors:
    """Of predicted / measured."""
    off = np.abs(np.array(ratios) - 1)
    return Errors(float(np.median(off)), float(np.quantile(off, 0.9)))
