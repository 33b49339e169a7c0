"""Parametric families of learning curves.

Each family gives the accuracy in percent as a function of x, the number of the half epoch (1, 2,
…). It has one or two linear coefficients, and up to two other parameters, the shape θ:

    LEVEL    f = level − gap · w(x; θ)              0 ≤ level ≤ 100, gap ≥ 0
    GROWTH   f = size · w(x; θ)                     0 ≤ size
    SHARE    f = size · w(x; θ)                     0 ≤ size ≤ 100
    BETWEEN  f = end · (1 − w(x; θ)) + begin · w    0 ≤ begin, end ≤ 100

Formulas: F. Mohr, T. J. Viering, M. Loog and J. N. van Rijn, "LCDB 1.0", ECML PKDD 2022, where
they are fitted to the score itself, as here; for hill3 and janoschek, T. Domhan, J. T. Springenberg
and F. Hutter, "Speeding up automatic hyperparameter optimization of deep neural networks by
extrapolation of learning curves", IJCAI 2015. Both articles leave the parameters free. Here bounds
ensure that accuracy rises and that asymptotes lie between 0 and 100%.

Some families are the same curves with other parameters: exp4 = wbl4, janoschek = wbl4, logpower3 =
hill3; and mmf4 with a = 0 is hill3. All are kept because the literature has each name.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from nnlc.analysis.predictors import shapes
from nnlc.analysis.predictors.interface import Floats
from nnlc.analysis.predictors.trust_region import half_epoch_column


@dataclass(frozen=True, eq=False)
class Form:
    """Form of a family: the way in which accuracy depends on w, the shape function.

    Attributes:
        lower: the least value of each coefficient.
        upper: the greatest value of each coefficient.
        basis: function from w to the factor of each coefficient, an array like w.
        steepness: function from the coefficients (one or two × L) to df/dw (L).
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]
    basis: Callable[[Floats], list[Floats]]
    steepness: Callable[[Floats], Floats]


@dataclass(frozen=True, eq=False)
class Family:
    """A family of curves: a model to fit, whose parameters are the coefficients, then θ.

    Attributes:
        name: the family's name in the literature.
        formula: its formula in the literature; x is the number of the half epoch.
        form: how accuracy depends on w.
        shape: function for w and its derivatives by θ: x (R × 1), θ (Q × L) → R × L, Q × R × L.
        bounds: the least and the greatest value of each θ.
    """

    name: str
    formula: str
    form: Form
    shape: Callable[[Floats, Floats], tuple[Floats, Floats]]
    bounds: tuple[tuple[float, float], ...] = ()

    @property
    def coefficients(self) -> int:
        """Return the number of linear coefficients."""
        return len(self.form.lower)

    @property
    def size(self) -> int:
        """Return the number of all parameters: coefficients and θ."""
        return self.coefficients + len(self.bounds)

    @cached_property
    def lower(self) -> Floats:
        """Return the least value of each parameter: P × 1."""
        return np.array([*self.form.lower, *(least for least, _ in self.bounds)])[:, np.newaxis]

    @cached_property
    def upper(self) -> Floats:
        """Return the greatest value of each parameter: P × 1."""
        return np.array([*self.form.upper, *(most for _, most in self.bounds)])[:, np.newaxis]

    def values(self, parameters: Floats, x: Floats) -> Floats:
        """Return the function at half epochs x (R × 1): P × L → R × L."""
        count = self.coefficients
        w, _ = self.shape(x, parameters[count:])
        basis = self.form.basis(w)
        return np.asarray(sum(k * part for k, part in zip(parameters[:count], basis, strict=True)))

    def slopes(self, parameters: Floats, x: Floats) -> Floats:
        """Return the derivatives by all parameters at half epochs x (R × 1): P × R × L."""
        count = self.coefficients
        w, slopes = self.shape(x, parameters[count:])
        steepness = self.form.steepness(parameters[:count])
        return np.concatenate([np.stack(self.form.basis(w)), steepness * slopes])

    def jacobian(self, parameters: Floats, residuals: Floats, targets: Floats) -> Floats:  # noqa: ARG002
        """Return the derivatives at all residuals."""
        return self.slopes(parameters, half_epoch_column(len(residuals)))


_RATE, _MIDDLE = (np.log(1e-4), np.log(20.0)), (np.log(1e-3), np.log(1e4))
_EXPONENT = (np.log(0.1), np.log(5.0))
_WEIBULL, _HILL = (_RATE, _EXPONENT), (_MIDDLE, _EXPONENT)
_POW3, _EXP3 = (np.log(1e-3), np.log(10.0)), (np.log(1e-3), np.log(20.0))
_POW4 = (_POW3, (0.0, np.log(101.0)))

_LEVEL = Form((0.0, 0.0), (100.0, np.inf), lambda w: [np.ones_like(w), -w], lambda k: -k[1])
_GROWTH = Form((0.0,), (np.inf,), lambda w: [w], lambda k: k[0])
_SHARE = replace(_GROWTH, upper=(100.0,))
_BETWEEN = Form((0.0, 0.0), (100.0, 100.0), lambda w: [1 - w, w], lambda k: k[1] - k[0])

_ALL = (
    Family("pow2", "a·x^b", _GROWTH, shapes.power, ((0.0, 3.0),)),
    Family("pow3", "a − b·x^(−c)", _LEVEL, shapes.falling_power, (_POW3,)),
    Family("pow4", "a − b·(x + d)^(−c)", _LEVEL, shapes.shifted_power, _POW4),
    Family("log2", "a·log(x) + b", _LEVEL, shapes.minus_log),
    Family("ilog2", "b − a / log(x + 1)", _LEVEL, shapes.inverse_log),
    Family("exp2", "a·e^(−b·x)", _GROWTH, shapes.growth, ((0.0, 1.0),)),
    Family("exp3", "a·e^(−b·x) + c", _LEVEL, shapes.decay, (_EXP3,)),
    Family("exp4", "c − e^(−a·x^d + b)", _LEVEL, shapes.weibull, _WEIBULL),
    Family("wbl4", "c − b·e^(−a·x^d)", _LEVEL, shapes.weibull, _WEIBULL),
    Family("janoschek", "α − (α − β)·e^(−κ·x^δ)", _BETWEEN, shapes.weibull_from_zero, _WEIBULL),
    Family("mmf4", "(a·b + c·x^d) / (b + x^d)", _BETWEEN, shapes.falling_hill, _HILL),
    Family("hill3", "y·x^η / (κ^η + x^η)", _SHARE, shapes.hill, _HILL),
    Family("logpower3", "a / (1 + (x / e^b)^c)", _SHARE, shapes.hill, _HILL),
    Family("vap3", "e^(a + b/x + c·log(x))", _GROWTH, shapes.vapour, ((0.0, 50.0), (0.0, 2.0))),
)
FAMILIES = {family.name: family for family in _ALL}
"""All families by name."""
