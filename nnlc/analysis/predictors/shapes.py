"""Shape functions of the families: w(x; θ) and its derivatives, at half epochs x for many θ.

Each function takes x (R × 1) and θ (Q × L), and returns w (R × L) and ∂w/∂θ (Q × R × L). Rates and
exponents are logarithms in θ, so that a step in θ is a relative change everywhere.
"""

import numpy as np

from nnlc.analysis.predictors.interface import Floats


def _no_derivatives(x: Floats, theta: Floats) -> Floats:
    return np.zeros((0, len(x), theta.shape[1]))


def minus_log(x: Floats, theta: Floats) -> tuple[Floats, Floats]:
    """Return −log x."""
    return np.broadcast_to(-np.log(x), (len(x), theta.shape[1])), _no_derivatives(x, theta)


def inverse_log(x: Floats, theta: Floats) -> tuple[Floats, Floats]:
    """Return 1 / log(x + 1); without the 1, it would be infinite at x = 1."""
    return np.broadcast_to(1 / np.log(x + 1), (len(x), theta.shape[1])), _no_derivatives(x, theta)


def power(x: Floats, theta: Floats) -> tuple[Floats, Floats]:
    """Return x^θ."""
    w = x ** theta[0]
    return w, (w * np.log(x))[np.newaxis]


def falling_power(x: Floats, theta: Floats) -> tuple[Floats, Floats]:
    """Return x^−c, θ = log c."""
    c = np.exp(theta[0])
    w = x**-c
    return w, (-w * np.log(x) * c)[np.newaxis]


def shifted_power(x: Floats, theta: Floats) -> tuple[Floats, Floats]:
    """Return ((x + d) / (1 + d))^−c, θ = log c, log(1 + d)."""
    c, begin = np.exp(theta[0]), np.exp(theta[1])
    ratio = (x - 1 + begin) / begin
    w = ratio**-c
    by_begin = c * w * (x - 1) / (x - 1 + begin)
    return w, np.stack([-w * np.log(ratio) * c, by_begin])


def growth(x: Floats, theta: Floats) -> tuple[Floats, Floats]:
    """Return e^(θx)."""
    w = np.exp(theta[0] * x)
    return w, (w * x)[np.newaxis]


def decay(x: Floats, theta: Floats) -> tuple[Floats, Floats]:
    """Return e^(−b(x − 1)), θ = log b."""
    b = np.exp(theta[0])
    w = np.exp(-b * (x - 1))
    return w, (-w * b * (x - 1))[np.newaxis]


def weibull(x: Floats, theta: Floats) -> tuple[Floats, Floats]:
    """Return e^(−a(x^d − 1)), θ = log a, log d."""
    a, d = np.exp(theta)
    powers = x**d
    w = np.exp(-a * (powers - 1))
    return w, np.stack([-w * a * (powers - 1), -w * a * powers * np.log(x) * d])


def weibull_from_zero(x: Floats, theta: Floats) -> tuple[Floats, Floats]:
    """Return e^(−κ x^δ), θ = log κ, log δ."""
    kappa, delta = np.exp(theta)
    powers = x**delta
    w = np.exp(-kappa * powers)
    return w, np.stack([-w * kappa * powers, -w * kappa * powers * np.log(x) * delta])


def hill(x: Floats, theta: Floats) -> tuple[Floats, Floats]:
    """Return x^η / (κ^η + x^η), θ = log κ, log η."""
    eta = np.exp(theta[1])
    w = 1 / (1 + np.exp(eta * (theta[0] - np.log(x))))
    slope = w * (1 - w)
    return w, np.stack([-slope * eta, slope * eta * (np.log(x) - theta[0])])


def falling_hill(x: Floats, theta: Floats) -> tuple[Floats, Floats]:
    """Return b / (b + x^d), θ = log b^(1/d), log d."""
    w, slopes = hill(x, theta)
    return 1 - w, -slopes


def vapour(x: Floats, theta: Floats) -> tuple[Floats, Floats]:
    """Return e^(b/x) x^c, θ = −b, c."""
    w = np.exp(-theta[0] / x) * x ** theta[1]
    return w, np.stack([-w / x, w * np.log(x)])
