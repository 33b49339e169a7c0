"""Fit of a machine's rates to measured seconds.

The fit is robust least squares on the logarithm of predicted over measured seconds, so that small
and large networks count alike and outliers count little. The rates are the nominal machine's times
a common factor, times a factor for each rate. The common factor is free; the others are pulled
towards 1 a little, so that ten networks already give a useful machine.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from nnlc.networks.cost import Machine
from nnlc.networks.work import Work

FEWEST_NETWORKS = 10
"""Minimum number of networks for a fit."""
FOLDS = 10
"""Folds of the cross-validation."""
_USUAL_DEVIATION = 0.15
"""Deviation of the logarithm beyond which a network counts as an outlier."""
_PRIOR_WEIGHT = 0.15
"""Weight of the logarithm of a rate's own factor, over the weight of a network."""
_MAX_LOG_FACTOR = 7.0
"""Greatest logarithm of a factor: e^7 is about 1,100."""

Array: TypeAlias = npt.NDArray[np.float64]


class Sample(NamedTuple):
    """Work and measured seconds of a half epoch of one network."""

    work: Work
    seconds: float


class Errors(NamedTuple):
    """Relative errors of predictions, as shares of the measured values."""

    median: float
    nine_in_ten: float
    """Ninth decile: nine in ten errors are smaller."""


def fit_machine(samples: Sequence[Sample], nominal: Machine) -> Machine:
    """Return the machine that fits these samples best; the result is deterministic.

    Rates that are infinite on the nominal machine stay infinite.

    Args:
        samples: at least one, all with positive seconds.
        nominal: the nominal machine of the same kind of device.
    """
    work, measured = _arrays(samples)
    unit_seconds = np.array(nominal.unit_seconds)
    paid = unit_seconds > 0
    work, start = work[:, paid], np.log(unit_seconds[paid])

    def residuals(parameters: Array) -> Array:
        factor, deviations = parameters[0], parameters[1:]
        predicted = work @ np.exp(start + factor + deviations)
        return np.concatenate([np.log(predicted / measured), _PRIOR_WEIGHT * deviations])

    found = least_squares(
        residuals,
        np.zeros(1 + len(start)),
        bounds=(-_MAX_LOG_FACTOR, _MAX_LOG_FACTOR),
        loss="soft_l1",
        f_scale=_USUAL_DEVIATION,
    )
    unit_seconds[paid] = np.exp(start + found.x[0] + found.x[1:])
    return Machine.from_unit_seconds(Work(*map(float, unit_seconds)))


def errors(samples: Sequence[Sample], machine: Machine) -> Errors:
    """Return the errors of a machine's predictions."""
    return errors_of([machine.seconds(work) / seconds for work, seconds in samples])


def cross_validated_errors(samples: Sequence[Sample], nominal: Machine) -> Errors:
    """Return the errors of cross-validated predictions: each fold's from a fit to the others."""
    folds = min(FOLDS, len(samples))
    ratios: list[float] = []
    for fold in range(folds):
        others = [s for i, s in enumerate(samples) if i % folds != fold]
        machine = fit_machine(others, nominal)
        ratios += [machine.seconds(s.work) / s.seconds for s in samples[fold::folds]]
    return errors_of(ratios)


def _arrays(samples: Sequence[Sample]) -> tuple[Array, Array]:
    return np.array([s.work for s in samples], float), np.array([s.seconds for s in samples])


def errors_of(ratios: Sequence[float]) -> Errors:
    """Return the errors of the ratios predicted / measured."""
    off = np.abs(np.array(ratios) - 1)
    return Errors(float(np.median(off)), float(np.quantile(off, 0.9)))
