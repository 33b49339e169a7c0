"""Fits of a family of curves to many networks' first points, and predictions from these fits.

A fit starts at the best point of a fixed grid over the shape θ (module `starts`) and then optimises
all parameters (module `trust_region`). It uses no random numbers, and no network depends on
another. A bad fit is a failure with its reason.
"""

from dataclasses import dataclass

import numpy as np

from nnlc.analysis.predictors.families import Family
from nnlc.analysis.predictors.interface import Floats, Integers
from nnlc.analysis.predictors.starts import best_start
from nnlc.analysis.predictors.trust_region import Settings, fit, half_epoch_column
from nnlc.analysis.predictors.trust_region_step import dot, triangularise
from nnlc.wording import counted

SETTINGS = Settings(tolerance=1e-10, evaluations_per_parameter=50)
LEAST_RISE = 0.001
"""Percentage points by which a fitted curve must rise from its first to its last point."""
CHUNK = 512
"""Networks fitted together; arrays of networks × grid × points must fit into the CPU's caches."""
_AT_BOUND = 1e-6


@dataclass(frozen=True, eq=False)
class FamilyFits:
    """A family fitted to many networks.

    Attributes:
        family: the family.
        parameters: P × networks: coefficients, then θ.
        cost: half the sum of the squared residuals of each network.
        points: number of points of each network.
        reasons: reason why each network's fit is bad; None for a good fit.
    """

    family: Family
    parameters: Floats
    cost: Floats
    points: int
    reasons: tuple[str | None, ...]

    def at(self, epoch: float) -> Floats:
        """Return the fitted accuracies in percent at an epoch."""
        return np.asarray(self.family.values(self.parameters, np.array([[2 * epoch]]))[0])

    def uncertainty_at(self, epoch: float) -> Floats:
        """Return standard deviations of the accuracies at an epoch; NaN if unknown.

        They are in percentage points. The variance is that of the residuals plus that of the fitted
        curve, by the delta method. Parameters at their bounds count as exact.
        """
        family, lower, upper = self.family, self.family.lower, self.family.upper
        variance = 2 * self.cost / (self.points - family.size)
        jacobian = family.slopes(self.parameters, half_epoch_column(self.points))
        gradient = family.slopes(self.parameters, np.array([[2 * epoch]]))[:, 0]
        near = np.minimum(self.parameters - lower, upper - self.parameters)
        free = near > _AT_BOUND * np.minimum(
            upper - lower, np.maximum(1.0, np.abs(self.parameters))
        )
        jacobian, gradient = jacobian * free[:, np.newaxis], gradient * free
        triangle, _ = triangularise(jacobian, np.zeros(jacobian.shape[1:]))
        share = _solve_transposed(triangle, gradient)
        deviation = np.sqrt(variance * (1 + dot(share, share)))
        return np.where(np.isfinite(deviation) & (deviation < 100), deviation, np.nan)


def fit_family(family: Family, accuracies: Floats) -> FamilyFits:
    """Fit a family to the curves of many networks.

    Args:
        family: the family.
        accuracies: networks × points, percent, at half epochs 1, 2, …

    Returns:
        The fits. The reasons for bad fits: an accuracy is not finite, there are no more points
        than parameters, all accuracies are the same, the fit did not converge, or the curve does
        not rise.
    """
    count, points = accuracies.shape
    reasons: list[str | None] = [None] * count
    if points <= family.size:
        few = f"{counted(points, 'point')} where {family.name} needs at least {family.size + 1}"
        reasons = [few] * count
    fits = FamilyFits(
        family,
        np.full((family.size, count), np.nan),
        np.full(count, np.nan),
        points,
        tuple(_unusable(curve, reason) for curve, reason in zip(accuracies, reasons, strict=True)),
    )
    usable = np.array([i for i in range(count) if fits.reasons[i] is None], dtype=np.int64)
    reasons = list(fits.reasons)
    for begin in range(0, len(usable), CHUNK):
        which = usable[begin : begin + CHUNK]
        for network, why in zip(which, _fit_chunk(fits, accuracies[which], which), strict=True):
            reasons[network] = why
    return FamilyFits(family, fits.parameters, fits.cost, points, tuple(reasons))


def _unusable(curve: Floats, reason: str | None) -> str | None:
    finite = np.isfinite(curve)
    if not finite.all():
        epoch = (int(finite.argmin()) + 1) / 2
        return f"the accuracy at epoch {epoch:g} is not a finite number"
    if reason is None and (curve == curve[0]).all():
        return "the accuracy is the same at all points"
    return reason


def _fit_chunk(into: FamilyFits, accuracies: Floats, which: Integers) -> list[str | None]:
    family, lower, upper = into.family, into.family.lower, into.family.upper
    inside = 1e-6 * np.where(np.isfinite(upper), upper - lower, 1.0)
    start = np.clip(best_start(family, accuracies), lower + inside, upper - inside)
    points = np.full(len(which), into.points)
    with np.errstate(all="ignore"):
        found = fit(family, accuracies.T, points, start, SETTINGS)
        ends = family.values(found.parameters, np.array([[1.0], [float(into.points)]]))
    into.parameters[:, which], into.cost[which] = found.parameters, found.cost
    return [
        "the fit did not converge"
        if not converged
        else ("the curve does not rise" if not rise > LEAST_RISE else None)
        for converged, rise in zip(found.converged, ends[1] - ends[0], strict=True)
    ]


def _solve_transposed(triangle: Floats, right: Floats) -> Floats:
    """Return z with triangleᵀ z = right, for upper triangles P × P × L; 0 for fixed parameters."""
    solution = np.zeros_like(right)
    for i in range(len(right)):
        rest = right[i] - sum((triangle[j, i] * solution[j] for j in range(i)), np.zeros(1))
        pivot = triangle[i, i]
        solution[i] = np.where(pivot > 0, rest / np.where(pivot > 0, pivot, 1.0), 0.0)
    return solution
