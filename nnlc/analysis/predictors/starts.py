"""Where the fits of families begin: a fixed grid over the shape, with exact coefficients.

With the shape θ known, a family is linear, and its best coefficients within their bounds follow
without search (variable projection: Golub and Pereyra, SIAM J. Numer. Anal. 10(2), 1973).

Shapes: K coefficients, Q shape parameters, R points, L networks, G places of the grid.
"""

from functools import lru_cache

import numpy as np

from nnlc.analysis.predictors.families import FAMILIES, Family
from nnlc.analysis.predictors.interface import Floats

GRID = {0: 1, 1: 40, 2: 18}
"""How many places along each θ, by how many θ there are."""


def best_start(family: Family, accuracies: Floats) -> Floats:
    """Where a fit begins: the place of a fixed grid whose best coefficients cost least.

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
    basis = np.stack(family.basis(np.asarray(w)))
    products = np.zeros((len(basis), len(accuracies), theta.shape[1]))
    for i, part in enumerate(basis):
        for number, row in enumerate(part):  # point by point: a network's sums are its own
            products[i] += accuracies[:, number, np.newaxis] * row
    lower, upper = family.coefficient_bounds()
    coefficients, costs = _best_coefficients(basis, products, lower, upper)
    best = costs.argmin(axis=1)
    networks = np.arange(len(accuracies))
    return np.concatenate([coefficients[:, networks, best], theta[:, best]])


@lru_cache(maxsize=64)
def _grid(family_name: str) -> Floats:
    """Q × places."""
    family = FAMILIES[family_name]
    count = GRID[len(family.lower)]
    axes = [
        np.linspace(low, high, count) for low, high in zip(family.lower, family.upper, strict=True)
    ]
    mesh = np.meshgrid(*axes, indexing="ij")
    return np.array([axis.ravel() for axis in mesh]).reshape(len(axes), -1 if axes else 1)


def _best_coefficients(
    basis: Floats, products: Floats, lower: tuple[float, ...], upper: tuple[float, ...]
) -> tuple[Floats, Floats]:
    """Least squares for one or two coefficients within bounds, exactly.

    Args:
        basis: K × R × G.
        products: K × L × G: of the targets with the basis.
        lower: of each coefficient.
        upper: of each coefficient.

    Returns:
        Coefficients K × L × G, and their costs L × G less the targets' own.
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
        better = cost < least  # never where it is not a number
        best, least = np.where(better, one, best), np.where(better, cost, least)
    return best, least
