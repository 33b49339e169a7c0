"""Starting values for the fits of families: the best point of a fixed grid over the shape θ.

For a given θ, a family is linear in its coefficients: their best values within the bounds have a
closed form (variable projection: Golub and Pereyra, SIAM J. Numer. Anal. 10(2), 1973).

Array shapes: K coefficients, Q shape parameters, P = K + Q, R points, L networks, G grid points.
"""

from functools import lru_cache

import numpy as np

from nnlc.analysis.predictors.families import FAMILIES, Family
from nnlc.analysis.predictors.interface import Floats

GRID = {0: 1, 1: 40, 2: 18}
"""Number of grid points along each θ, by the number of θ."""


def best_start(family: Family, accuracies: Floats) -> Floats:
    """Return the start of a fit: the grid point with the lowest cost under its best coefficients.

    Args:
        family: the family.
        accuracies: L × R, percent, finite.

    Returns:
        Coefficients, then θ: P × L.
    """
    theta = _grid(family.name)
    x = np.arange(1.0, accuracies.shape[1] + 1)[:, np.newaxis]
    with np.errstate(all="ignore"):
        w, _ = family.shape(x, theta)
    basis = np.stack(family.form.basis(np.asarray(w)))
    products = np.zeros((len(basis), len(accuracies), theta.shape[1]))
    for i, part in enumerate(basis):
        for number, row in enumerate(part):  # in a fixed order, so that no sum depends on L
            products[i] += accuracies[:, number, np.newaxis] * row
    coefficients, costs = _best_coefficients(basis, products, family.form.lower, family.form.upper)
    best = costs.argmin(axis=1)
    networks = np.arange(len(accuracies))
    return np.concatenate([coefficients[:, networks, best], theta[:, best]])


@lru_cache(maxsize=64)
def _grid(family_name: str) -> Floats:
    """Return the grid points: Q × G."""
    bounds = FAMILIES[family_name].bounds
    axes = [np.linspace(low, high, GRID[len(bounds)]) for low, high in bounds]
    mesh = np.meshgrid(*axes, indexing="ij")
    return np.array([axis.ravel() for axis in mesh]).reshape(len(axes), -1 if axes else 1)


def _best_coefficients(
    basis: Floats, products: Floats, lower: tuple[float, ...], upper: tuple[float, ...]
) -> tuple[Floats, Floats]:
    """Return the exact least-squares solution for one or two coefficients within bounds.

    Args:
        basis: factors of the coefficients, K × R × G.
        products: inner products of the targets and the basis, K × L × G.
        lower: least value of each coefficient.
        upper: greatest value of each coefficient.

    Returns:
        Coefficients (K × L × G), and sums of squared residuals (L × G) minus the sum of the
        squared targets.
    """
    squares = (basis * basis).sum(axis=1)
    with np.errstate(all="ignore"):
        if len(basis) == 1:
            alone = np.clip(products / squares[:, np.newaxis], lower[0], upper[0])
            return _cheapest(basis, products, [alone])
        mixed = (basis[0] * basis[1]).sum(axis=0)
        determinant = squares[0] * squares[1] - mixed**2
        inner = np.stack(
            [
                (products[0] * squares[1] - products[1] * mixed) / determinant,
                (products[1] * squares[0] - products[0] * mixed) / determinant,
            ]
        )
        low, high = np.array(lower)[:, None, None], np.array(upper)[:, None, None]
        candidates = [np.where(((inner >= low) & (inner <= high)).all(axis=0), inner, np.nan)]
        for fixed, other in ((0, 1), (1, 0)):
            for bound in (lower[fixed], upper[fixed]):
                if np.isfinite(bound):
                    rest = (products[other] - bound * mixed) / squares[other]
                    edge = np.empty_like(inner)
                    edge[fixed], edge[other] = bound, np.clip(rest, lower[other], upper[other])
                    candidates.append(edge)
        return _cheapest(basis, products, candidates)


def _cheapest(basis: Floats, products: Floats, candidates: list[Floats]) -> tuple[Floats, Floats]:
    best, least = candidates[0], np.full(products.shape[1:], np.inf)
    for one in candidates:
        cost = -2 * (one * products).sum(axis=0)
        for i in range(len(basis)):
            for j in range(len(basis)):
                cost += one[i] * one[j] * (basis[i] * basis[j]).sum(axis=0)
        better = cost < least  # False for NaN
        best, least = np.where(better, one, best), np.where(better, cost, least)
    return best, least
