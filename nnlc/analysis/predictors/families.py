"""Families of curves that rise towards what a network will reach.

Each is a function of x, the number of the half epoch (1, 2, …), with the accuracy in percent as its
value. All are linear in one or two coefficients once one or two others are known, the shape θ:

    LEVEL    f = level − gap · w(x; θ)              0 ≤ level ≤ 100, gap ≥ 0
    GROWTH   f = size · w(x; θ)                     0 ≤ size
    BETWEEN  f = end · (1 − w(x; θ)) + begin · w    0 ≤ begin, end ≤ 100

Formulas: F. Mohr, T. J. Viering, M. Loog and J. N. van Rijn, "LCDB 1.0", ECML PKDD 2022, where
they are fitted to the score itself, as here; for hill3 and janoschek, T. Domhan, J. T. Springenberg
and F. Hutter, "Speeding up automatic hyperparameter optimization of deep neural networks by
extrapolation of learning curves", IJCAI 2015. Both leave parameters free; here they keep within
bounds in which accuracy rises and no asymptote is beyond 0 or 100%.

Some are one family in other letters: exp4 = wbl4, janoschek = wbl4, logpower3 = hill3; and mmf4
with a = 0 is hill3. They are kept because people ask for them by name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from nnlc.analysis.predictors import shapes
from nnlc.analysis.predictors.interface import Floats


class Form(Enum):
    """How the shape enters."""

    LEVEL = "level"
    GROWTH = "growth"
    BETWEEN = "between"


@dataclass(frozen=True, eq=False)
class Family:
    """A family of curves.

    Attributes:
        name: its name in the literature.
        formula: in that name's parameters, x being the number of the half epoch.
        form: how the shape enters.
        shape: w and its derivatives by θ: x (R × 1), θ (Q × L) → R × L, Q × R × L.
        lower: of each θ.
        upper: of each θ.
        parameters: the formula's parameters from the coefficients and θ.
        most: the greatest size, for `GROWTH`.
    """

    name: str
    formula: str
    form: Form
    shape: Callable[[Floats, Floats], tuple[Floats, Floats]]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    parameters: Callable[[Floats, Floats], dict[str, Floats]]
    most: float = np.inf

    @property
    def coefficients(self) -> int:
        """How many of its parameters are linear."""
        return 1 if self.form is Form.GROWTH else 2

    @property
    def size(self) -> int:
        """How many parameters it has."""
        return self.coefficients + len(self.lower)

    def coefficient_bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The least and greatest coefficients."""
        match self.form:
            case Form.LEVEL:
                return (0.0, 0.0), (100.0, np.inf)
            case Form.GROWTH:
                return (0.0,), (self.most,)
            case Form.BETWEEN:
                return (0.0, 0.0), (100.0, 100.0)

    def basis(self, w: Floats) -> list[Floats]:
        """What each coefficient is multiplied with."""
        match self.form:
            case Form.LEVEL:
                return [np.ones_like(w), -w]
            case Form.GROWTH:
                return [w]
            case Form.BETWEEN:
                return [1 - w, w]

    def steepness(self, coefficients: Floats) -> Floats:
        """df/dw from the coefficients (one or two × L)."""
        match self.form:
            case Form.LEVEL:
                return np.asarray(-coefficients[1])
            case Form.GROWTH:
                return np.asarray(coefficients[0])
            case Form.BETWEEN:
                return np.asarray(coefficients[1] - coefficients[0])


_RATE, _EXPONENT = (np.log(1e-4), np.log(20.0)), (np.log(0.1), np.log(5.0))
_MIDDLE = (np.log(1e-3), np.log(1e4))

FAMILIES = {
    family.name: family
    for family in (
        Family(
            "pow2",
            "a·x^b",
            Form.GROWTH,
            shapes.power,
            (0.0,),
            (3.0,),
            lambda k, t: {"a": k[0], "b": t[0]},
        ),
        Family(
            "pow3",
            "a − b·x^(−c)",
            Form.LEVEL,
            shapes.falling_power,
            (np.log(1e-3),),
            (np.log(10.0),),
            lambda k, t: {"a": k[0], "b": k[1], "c": np.exp(t[0])},
        ),
        Family(
            "pow4",
            "a − b·(x + d)^(−c)",
            Form.LEVEL,
            shapes.shifted_power,
            (np.log(1e-3), 0.0),
            (np.log(10.0), np.log(101.0)),
            lambda k, t: {
                "a": k[0],
                "b": k[1] * np.exp(t[1] * np.exp(t[0])),
                "c": np.exp(t[0]),
                "d": np.expm1(t[1]),
            },
        ),
        Family(
            "log2",
            "a·log(x) + b",
            Form.LEVEL,
            shapes.minus_log,
            (),
            (),
            lambda k, _: {"a": k[1], "b": k[0]},
        ),
        Family(
            "ilog2",
            "b − a / log(x + 1)",
            Form.LEVEL,
            shapes.inverse_log,
            (),
            (),
            lambda k, _: {"a": k[1], "b": k[0]},
        ),
        Family(
            "exp2",
            "a·e^(−b·x)",
            Form.GROWTH,
            shapes.growth,
            (0.0,),
            (1.0,),
            lambda k, t: {"a": k[0], "b": -t[0]},
        ),
        Family(
            "exp3",
            "a·e^(−b·x) + c",
            Form.LEVEL,
            shapes.decay,
            (np.log(1e-3),),
            (np.log(20.0),),
            lambda k, t: {"a": -k[1] * np.exp(np.exp(t[0])), "b": np.exp(t[0]), "c": k[0]},
        ),
        Family(
            "exp4",
            "c − e^(−a·x^d + b)",
            Form.LEVEL,
            shapes.weibull,
            (_RATE[0], _EXPONENT[0]),
            (_RATE[1], _EXPONENT[1]),
            lambda k, t: {
                "a": np.exp(t[0]),
                "b": np.log(k[1]) + np.exp(t[0]),
                "c": k[0],
                "d": np.exp(t[1]),
            },
        ),
        Family(
            "wbl4",
            "c − b·e^(−a·x^d)",
            Form.LEVEL,
            shapes.weibull,
            (_RATE[0], _EXPONENT[0]),
            (_RATE[1], _EXPONENT[1]),
            lambda k, t: {
                "a": np.exp(t[0]),
                "b": k[1] * np.exp(np.exp(t[0])),
                "c": k[0],
                "d": np.exp(t[1]),
            },
        ),
        Family(
            "janoschek",
            "α − (α − β)·e^(−κ·x^δ)",
            Form.BETWEEN,
            shapes.weibull_from_zero,
            (_RATE[0], _EXPONENT[0]),
            (_RATE[1], _EXPONENT[1]),
            lambda k, t: {"α": k[0], "β": k[1], "κ": np.exp(t[0]), "δ": np.exp(t[1])},
        ),
        Family(
            "mmf4",
            "(a·b + c·x^d) / (b + x^d)",
            Form.BETWEEN,
            shapes.falling_hill,
            (_MIDDLE[0], _EXPONENT[0]),
            (_MIDDLE[1], _EXPONENT[1]),
            lambda k, t: {
                "a": k[1],
                "b": np.exp(t[0] * np.exp(t[1])),
                "c": k[0],
                "d": np.exp(t[1]),
            },
        ),
        Family(
            "hill3",
            "y·x^η / (κ^η + x^η)",
            Form.GROWTH,
            shapes.hill,
            (_MIDDLE[0], _EXPONENT[0]),
            (_MIDDLE[1], _EXPONENT[1]),
            lambda k, t: {"y": k[0], "κ": np.exp(t[0]), "η": np.exp(t[1])},
            most=100.0,
        ),
        Family(
            "logpower3",
            "a / (1 + (x / e^b)^c)",
            Form.GROWTH,
            shapes.hill,
            (_MIDDLE[0], _EXPONENT[0]),
            (_MIDDLE[1], _EXPONENT[1]),
            lambda k, t: {"a": k[0], "b": t[0], "c": -np.exp(t[1])},
            most=100.0,
        ),
        Family(
            "vap3",
            "e^(a + b/x + c·log(x))",
            Form.GROWTH,
            shapes.vapour,
            (0.0, 0.0),
            (50.0, 2.0),
            lambda k, t: {"a": np.log(k[0]), "b": -t[0], "c": t[1]},
        ),
    )
}
"""By name."""
