"""Parametric families of learning curves.

Each family gives the accuracy in percent as a function of x, the number of the half epoch (1, 2,
…). It has one or two linear coefficients, and up to two other parameters, the shape θ:

    LEVEL    f = level − gap · w(x; θ)              0 ≤ level ≤ 100, gap ≥ 0
    GROWTH   f = size · w(x; θ)                     0 ≤ size
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
from dataclasses import dataclass
from enum import Enum

import numpy as np

from nnlc.analysis.predictors import shapes
from nnlc.analysis.predictors.interface import Floats


class Form(Enum):
    """Form of a family: the way in which accuracy depends on w, the shape function."""

    LEVEL = "level"
    GROWTH = "growth"
    BETWEEN = "between"


@dataclass(frozen=True, eq=False)
class Family:
    """A family of curves.

    Attributes:
        name: the family's name in the literature.
        formula: its formula in the literature; x is the number of the half epoch.
        form: how accuracy depends on w.
        shape: function for w and its derivatives by θ: x (R × 1), θ (Q × L) → R × L, Q × R × L.
        bounds: the least and the greatest value of each θ.
        greatest_size: the greatest value of `size`, for `GROWTH`.
    """

    name: str
    formula: str
    form: Form
    shape: Callable[[Floats, Floats], tuple[Floats, Floats]]
    bounds: tuple[tuple[float, float], ...] = ()
    greatest_size: float = np.inf

    @property
    def lower(self) -> tuple[float, ...]:
        """Return the least value of each θ."""
        return tuple(least for least, _ in self.bounds)

    @property
    def upper(self) -> tuple[float, ...]:
        """Return the greatest value of each θ."""
        return tuple(most for _, most in self.bounds)

    def parameters(self, coefficients: Floats, theta: Floats) -> dict[str, Floats]:
        """Return the formula's parameters by name."""
        return _PARAMETERS[self.name](coefficients, theta)

    @property
    def coefficients(self) -> int:
        """Return the number of linear coefficients."""
        return 1 if self.form is Form.GROWTH else 2

    @property
    def size(self) -> int:
        """Return the number of all parameters: coefficients and θ."""
        return self.coefficients + len(self.bounds)

    def coefficient_bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return the least and the greatest value of each coefficient."""
        match self.form:
            case Form.LEVEL:
                return (0.0, 0.0), (100.0, np.inf)
            case Form.GROWTH:
                return (0.0,), (self.greatest_size,)
            case Form.BETWEEN:
                return (0.0, 0.0), (100.0, 100.0)

    def basis(self, w: Floats) -> list[Floats]:
        """Return the factor of each coefficient, in the shape of w."""
        match self.form:
            case Form.LEVEL:
                return [np.ones_like(w), -w]
            case Form.GROWTH:
                return [w]
            case Form.BETWEEN:
                return [1 - w, w]

    def steepness(self, coefficients: Floats) -> Floats:
        """Return df/dw (L) from the coefficients (one or two × L)."""
        match self.form:
            case Form.LEVEL:
                return np.asarray(-coefficients[1])
            case Form.GROWTH:
                return np.asarray(coefficients[0])
            case Form.BETWEEN:
                return np.asarray(coefficients[1] - coefficients[0])


_RATE, _MIDDLE = (np.log(1e-4), np.log(20.0)), (np.log(1e-3), np.log(1e4))
_EXPONENT = (np.log(0.1), np.log(5.0))
_WEIBULL, _HILL = (_RATE, _EXPONENT), (_MIDDLE, _EXPONENT)
_POW3, _EXP3 = (np.log(1e-3), np.log(10.0)), (np.log(1e-3), np.log(20.0))
_POW4 = (_POW3, (0.0, np.log(101.0)))
_LEVEL, _GROWTH, _BETWEEN = Form.LEVEL, Form.GROWTH, Form.BETWEEN

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
    Family("hill3", "y·x^η / (κ^η + x^η)", _GROWTH, shapes.hill, _HILL, greatest_size=100.0),
    Family("logpower3", "a / (1 + (x / e^b)^c)", _GROWTH, shapes.hill, _HILL, greatest_size=100.0),
    Family("vap3", "e^(a + b/x + c·log(x))", _GROWTH, shapes.vapour, ((0.0, 50.0), (0.0, 2.0))),
)
FAMILIES = {family.name: family for family in _ALL}
"""All families by name."""

_e = np.exp
_PARAMETERS: dict[str, Callable[[Floats, Floats], dict[str, Floats]]] = {
    "pow2": lambda k, t: {"a": k[0], "b": t[0]},
    "pow3": lambda k, t: {"a": k[0], "b": k[1], "c": _e(t[0])},
    "pow4": lambda k, t: {
        "a": k[0],
        "b": k[1] * _e(t[1] * _e(t[0])),
        "c": _e(t[0]),
        "d": np.expm1(t[1]),
    },
    "log2": lambda k, _: {"a": k[1], "b": k[0]},
    "ilog2": lambda k, _: {"a": k[1], "b": k[0]},
    "exp2": lambda k, t: {"a": k[0], "b": -t[0]},
    "exp3": lambda k, t: {"a": -k[1] * _e(_e(t[0])), "b": _e(t[0]), "c": k[0]},
    "exp4": lambda k, t: {"a": _e(t[0]), "b": np.log(k[1]) + _e(t[0]), "c": k[0], "d": _e(t[1])},
    "wbl4": lambda k, t: {"a": _e(t[0]), "b": k[1] * _e(_e(t[0])), "c": k[0], "d": _e(t[1])},
    "janoschek": lambda k, t: {"α": k[0], "β": k[1], "κ": _e(t[0]), "δ": _e(t[1])},
    "mmf4": lambda k, t: {"a": k[1], "b": _e(t[0] * _e(t[1])), "c": k[0], "d": _e(t[1])},
    "hill3": lambda k, t: {"y": k[0], "κ": _e(t[0]), "η": _e(t[1])},
    "logpower3": lambda k, t: {"a": k[0], "b": t[0], "c": -_e(t[1])},
    "vap3": lambda k, t: {"a": np.log(k[0]), "b": -t[0], "c": t[1]},
}
"""Functions from the coefficients k and the shape t to the parameters of each formula."""
