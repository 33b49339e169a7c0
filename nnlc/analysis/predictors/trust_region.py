"""Bounded nonlinear least squares for thousands of small problems at once.

It is the trust-region reflective method of Branch, Coleman and Li (SIAM J. Sci. Comput. 21(1),
1999) with Moré's search for the step (Lecture Notes in Mathematics 630, 1977), as in SciPy's
`least_squares` and `curve_fit` for bounded problems. Decisions and tolerances are SciPy's, so that
a fit that ends early in SciPy, or does not converge, does the same here. SciPy solves one problem
after the other; here each problem is a lane: one index along the last axis of all arrays.

No bit of a lane's result depends on the other lanes. Sums add row after row, and only singular
value decompositions, of at most 4 × 4, are left to LAPACK.

Array shapes: P parameters, R rows (points), L lanes.
"""

from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np

from nnlc.analysis.predictors.interface import Booleans, Floats, Integers
from nnlc.analysis.predictors.trust_region_step import (
    LocalModel,
    choose_step,
    dot,
    length,
    pick,
    solve_radius,
    total,
    triangularise,
)

RUNNING, CONVERGED, EXHAUSTED = 0, 1, -1
"""Status of a lane: running, converged, or failed with all evaluations used up."""


class Model(Protocol):
    """Function to fit."""

    @property
    def lower(self) -> Floats:
        """Return the least value of each parameter: P × 1."""

    @property
    def upper(self) -> Floats:
        """Return the greatest value of each parameter: P × 1."""

    def values(self, parameters: Floats, x: Floats) -> Floats:
        """Return the function at half epochs x (R × 1): P × L → R × L."""

    def jacobian(self, parameters: Floats, residuals: Floats, targets: Floats) -> Floats:
        """Return the derivatives of the residuals: P × L, R × L, R × L → P × R × L."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Criteria that end a fit; the defaults are SciPy's."""

    tolerance: float = 1e-8
    """Bound for the relative change of the cost, the relative step, and the gradient."""
    evaluations_per_parameter: int = 100


@dataclass(frozen=True, eq=False)
class Fits:
    """Results of many fits."""

    parameters: Floats
    """Parameters at the end of the fit, converged or not, P × L."""
    cost: Floats
    """Half the sum of the squared residuals, L."""
    converged: Booleans
    """True where the fit converged, L."""


@dataclass
class _Lanes:
    """State of the lanes that are still running; the last axis of every array is the lane."""

    number: Integers
    targets: Floats
    points: Integers
    parameters: Floats
    cost: Floats
    gradient: Floats
    radius: Floats
    damping: Floats
    evaluations: Integers
    status: Integers
    local: LocalModel

    def keep(self, which: Integers) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            kept = value.select(which) if isinstance(value, LocalModel) else pick(value, which)
            setattr(self, field.name, kept)


def fit(
    model: Model,
    targets: Floats,
    points: Integers,
    start: Floats,
    settings: Settings | None = None,
) -> Fits:
    """Fit a model in many lanes, each from its own start to its own targets.

    Args:
        model: the function.
        targets: values to fit, R × L; a lane's rows after its points are ignored.
        points: number of rows that count in each lane, L.
        start: starting parameters, strictly within the bounds, P × L.
        settings: criteria that end a fit.
    """
    targets = np.ascontiguousarray(targets)
    with np.errstate(all="ignore"):
        return _Solver(model, settings or Settings()).run(targets, points, start)


class _Solver:
    def __init__(self, model: Model, settings: Settings) -> None:
        self._model, self._settings = model, settings
        self._limit = settings.evaluations_per_parameter * len(model.lower)

    def run(self, targets: Floats, points: Integers, start: Floats) -> Fits:
        lanes = self._begin(targets, points, start)
        done = Fits(start.copy(), lanes.cost.copy(), np.zeros(len(points), dtype=bool))
        while len(lanes.number):
            used_up = (lanes.evaluations >= self._limit) & (lanes.status == RUNNING)
            lanes.status[used_up] = EXHAUSTED
            ended = lanes.status != RUNNING
            if ended.any():
                which = lanes.number[ended]
                done.parameters[:, which] = lanes.parameters[:, ended]
                done.cost[which] = lanes.cost[ended]
                done.converged[which] = lanes.status[ended] == CONVERGED
                lanes.keep(np.flatnonzero(~ended))
            else:
                self._step(lanes)
        return done

    def _begin(self, targets: Floats, points: Integers, start: Floats) -> _Lanes:
        parameters, count = start.shape
        lanes = _Lanes(
            number=np.arange(count),
            targets=targets,
            points=points,
            parameters=start.copy(),
            cost=np.zeros(count),
            gradient=np.zeros((parameters, count)),
            radius=np.zeros(count),
            damping=np.zeros(count),
            evaluations=np.ones(count, dtype=np.int64),
            status=np.full(count, RUNNING),
            local=LocalModel.empty(parameters, count),
        )
        everywhere = lanes.number
        self._differentiate(lanes, everywhere, self._residuals(lanes, start, everywhere))
        scale, _ = self._scale(start, lanes.gradient)
        radius = length(start / np.sqrt(scale))
        lanes.radius = np.where(radius == 0, 1.0, radius)
        return lanes

    def _residuals(self, lanes: _Lanes, parameters: Floats, which: Integers) -> Floats:
        rows = int(lanes.points[which].max())
        away = self._model.values(parameters, half_epoch_column(rows)) - pick(
            lanes.targets[:rows], which
        )
        return np.where(np.arange(rows)[:, np.newaxis] < lanes.points[which], away, 0.0)

    def _differentiate(self, lanes: _Lanes, which: Integers, residuals: Floats) -> None:
        """Build models at the parameters of the lanes `which`; end those with a small gradient."""
        rows = len(residuals)
        targets, parameters = pick(lanes.targets[:rows], which), pick(lanes.parameters, which)
        counts = np.arange(rows)[:, np.newaxis] < lanes.points[which]
        derivatives = self._model.jacobian(parameters, residuals, targets)
        derivatives = np.where(counts, derivatives, 0.0)
        triangle, projected = triangularise(derivatives, residuals)
        gradient = np.ascontiguousarray(total(derivatives * residuals, axis=1))
        lanes.cost[which] = 0.5 * dot(residuals, residuals)
        lanes.gradient[:, which] = gradient
        distance, slope = self._scale(parameters, gradient)
        steepness = np.abs(gradient * distance).max(axis=0)
        flat = steepness < self._settings.tolerance
        lanes.status[which] = np.where(flat, CONVERGED, lanes.status[which])
        lanes.local.update(
            which,
            triangle,
            projected,
            gradient,
            np.sqrt(distance),
            gradient * slope,
            np.maximum(0.995, 1 - steepness),
        )

    def _scale(self, parameters: Floats, gradient: Floats) -> tuple[Floats, Floats]:
        """Return Coleman and Li's distances to the bounds downhill, and these distances' slopes."""
        lower, upper = self._model.lower, self._model.upper
        down, up = (gradient > 0) & np.isfinite(lower), (gradient < 0) & np.isfinite(upper)
        distance = np.where(down, parameters - lower, np.where(up, upper - parameters, 1.0))
        return distance, down.astype(float) - up

    def _step(self, lanes: _Lanes) -> None:
        """Try a step in every lane; take it where the cost falls."""
        model, local, radius = self._model, lanes.local, lanes.radius
        inward, lanes.damping = solve_radius(local, lanes.points, radius, lanes.damping)
        step, scaled, promised = choose_step(
            lanes.parameters, local, inward, radius, model.lower, model.upper
        )
        there = lanes.parameters + step
        there = np.where(there <= model.lower, np.nextafter(model.lower, model.upper), there)
        there = np.where(there >= model.upper, np.nextafter(model.upper, model.lower), there)
        residuals = self._residuals(lanes, there, np.arange(len(lanes.number)))
        lanes.evaluations += 1

        cost, stride = 0.5 * dot(residuals, residuals), length(scaled)
        finite = np.asarray(np.isfinite(residuals).all(axis=0))
        gain = np.where(finite, lanes.cost - cost, -1.0)
        agreement = np.where(
            promised > 0, gain / promised, np.where((promised == 0) & (gain == 0), 1.0, 0.0)
        )
        self._end_small_steps(lanes, finite, gain, agreement, length(step))
        wide = (agreement > 0.75) & (stride > 0.95 * radius)
        next_radius = np.where(wide, 2 * radius, radius)
        next_radius = np.where(agreement < 0.25, 0.25 * stride, next_radius)
        running = lanes.status == RUNNING
        lanes.damping = np.where(
            finite & running, lanes.damping * radius / next_radius, lanes.damping
        )
        lanes.radius = np.where(finite, np.where(running, next_radius, radius), 0.25 * stride)

        taken = np.flatnonzero(gain > 0)
        if len(taken):
            lanes.parameters[:, taken] = there[:, taken]
            self._differentiate(lanes, taken, pick(residuals, taken))

    def _end_small_steps(
        self, lanes: _Lanes, finite: Booleans, gain: Floats, agreement: Floats, step: Floats
    ) -> None:
        tolerance = self._settings.tolerance
        settled = (gain < tolerance * lanes.cost) & (agreement > 0.25)
        still = step < tolerance * (tolerance + length(lanes.parameters))
        lanes.status = np.where(finite & (still | settled), CONVERGED, lanes.status)


def half_epoch_column(rows: int) -> Floats:
    """Return the half epochs 1, 2, … as a column: R × 1."""
    return np.arange(1.0, rows + 1)[:, np.newaxis]
