"""Divisor of validation losses, estimated from networks that never learn.

With N validation images in batches of b, a published loss is the sum of the means of the ⌊N/b⌋
full batches, divided by the number of all batches, ⌈N/b⌉ (`val_loss_correction`). It is too small
by the factor r = ⌊N/b⌋/⌈N/b⌉: the slip. The true mean of a network that never learns is
ln(classes). Its mean valLoss, divided by ln(classes), is x: 1 without the slip, r with it.

Model: x_i = 1 - h (1 - r_i) + e_i, with the same h for all networks: 0 without the slip, 1 with it.
The e_i are independent and normal, with variance t_i² = 0.0001² + d_i² + s_i². Here d_i is the mean
distance of trainLoss, which never has the slip, from ln(classes), and s_i the standard deviation of
valLoss over the rows, both divided by ln(classes). Rows of one network are not independent, so s_i
is not divided by their number. Weighted least squares give h. If the networks scatter more than the
t_i predict, all variances are multiplied by the same factor; they are never reduced.

Networks used: accuracy is never above chance, and the relative distance of trainLoss from
ln(classes) is at most (1 - r_i) / 4 in each row. Then the labels' frequencies that a network has
learned, or its dropout, shift h by 1/4 at most. A choice by valLoss would bias the estimate.
Networks whose batch size divides N are left out, as their r is 1.

A verdict needs three networks, an h within 0.35 of 0 or 1, and a likelihood of that hypothesis
1,000 times that of the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import asin, hypot, log, pi, sqrt
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nnlc.auditing.audited_table import AuditedTable
from nnlc.auditing.curve_rules import Floats, chance_limits
from nnlc.auditing.findings import shown

FEWEST_NETWORKS = 3
FEWEST_ROWS = 4
FLAT = 0.25
LEAST_NOISE = 1e-4
CLEAR_LOG10_RATIO = 3.0
MOST_LOG10_RATIO = 100.0
"""Greatest ratio that is reported; no model of the noise is accurate beyond it."""
NEAR = 0.35

Verdict = Literal["slip", "true mean", "neither", "not enough networks to tell"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Divisor:
    """Estimate of a folder's divisor from its networks that never learn."""

    path: Path
    published: bool
    """True for the tables whose torch_set_deterministic is False."""
    networks: int
    """Number of networks that were used."""
    estimate: float | None
    """Estimate of h: 0 is the true mean, 1 the slip; None without networks."""
    standard_error: float | None
    log10_likelihood_ratio: float | None
    """Logarithm of the likelihood ratio, slip over true mean; None for fewer than three networks,
    like `p_slip` and `p_true_mean`."""
    p_slip: float | None
    """Two-sided p-value of h if the tables have the slip, by Student's t; the degrees of freedom
    are the number of networks minus one."""
    p_true_mean: float | None
    """Two-sided p-value of h if the tables don't have the slip."""
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name, with the path as text."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return found | {"path": shown(self.path)}


def judge_divisor(path: Path, published: bool, tables: Sequence[AuditedTable]) -> Divisor:
    """Estimate h from the tables of one folder, all of them published or none."""
    ratios, factors, noises = _never_learning(tables)
    count = len(ratios)
    if not count:
        nothing = dict.fromkeys(_FIGURES)
        return Divisor(path=path, published=published, networks=0, verdict=_UNCLEAR, **nothing)
    effects, weights = 1 - factors, noises**-2
    information = float((weights * effects**2).sum())
    estimate = float((weights * effects * (1 - ratios)).sum()) / information
    scatter = (weights * (1 - estimate * effects - ratios) ** 2).sum() / max(count - 1, 1)
    growth = max(1.0, float(scatter))
    ratio = ((weights / growth) * ((1 - ratios) ** 2 - (factors - ratios) ** 2)).sum() / 2
    error = sqrt(growth / information)
    log10_ratio = float(np.clip(ratio / log(10), -MOST_LOG10_RATIO, MOST_LOG10_RATIO))
    enough = count >= FEWEST_NETWORKS
    return Divisor(
        path=path,
        published=published,
        networks=count,
        estimate=estimate,
        standard_error=error,
        log10_likelihood_ratio=log10_ratio if enough else None,
        p_slip=_two_sided((estimate - 1) / error, count - 1) if enough else None,
        p_true_mean=_two_sided(estimate / error, count - 1) if enough else None,
        verdict=_verdict(estimate, error, log10_ratio) if enough else _UNCLEAR,
    )


_UNCLEAR: Verdict = "not enough networks to tell"
_MOSTLY, _NEGLIGIBLE = 0.99, 1e-18
_FIGURES = ("estimate", "standard_error", "log10_likelihood_ratio", "p_slip", "p_true_mean")


def _verdict(estimate: float, error: float, log10_ratio: float) -> Verdict:
    if log10_ratio >= CLEAR_LOG10_RATIO and abs(estimate - 1) <= NEAR:
        return "slip"
    if log10_ratio <= -CLEAR_LOG10_RATIO and abs(estimate) <= NEAR:
        return "true mean"
    far = min(abs(estimate), abs(estimate - 1)) - NEAR
    return "neither" if far > 3 * error else _UNCLEAR


def _never_learning(tables: Sequence[AuditedTable]) -> tuple[Floats, Floats, Floats]:
    """Return x, r and t of each network that is used."""
    found = [values for table in tables if (values := _figures(table)) is not None]
    columns = np.array(found, dtype=np.float64).reshape(-1, 3)
    return columns[:, 0], columns[:, 1], columns[:, 2]


def _figures(table: AuditedTable) -> tuple[float, float, float] | None:
    if table.curve is None or len(table.curve) < FEWEST_ROWS:
        return None
    full, total = table.validation_batches
    if not 0 < full < total or table.images is None:
        return None
    factor, chance_loss = full / total, log(table.images.classes)
    train, val, accuracy = table.curve.T
    distances = np.abs(train / chance_loss - 1)
    if not distances.max() <= FLAT * (1 - factor) or not np.isfinite(val).all():
        return None
    if not accuracy.max() <= chance_limits([table])[0]:
        return None
    ratios = val / chance_loss
    noise = sqrt(LEAST_NOISE**2 + float(distances.mean()) ** 2 + float(ratios.std()) ** 2)
    return float(ratios.mean()), float(factor), noise


def _two_sided(distance: float, freedom: int) -> float:
    """Return the two-sided p-value of Student's t, as accurate far out as near 0.

    The source is Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4: with
    tan(angle) = |t| / √freedom, 1 - p is the sum of terms in powers of cos(angle) below `freedom`,
    all even or all odd. Without this limit, the sum is 1. A small p is the sum of the other terms.
    """
    root = hypot(distance, sqrt(freedom))
    sine, cosine = abs(distance) / root, sqrt(freedom) / root
    power = freedom % 2
    below, weight = (2 / pi * asin(sine), 2 / pi) if power else (0.0, 1.0)
    while power < freedom:
        below += sine * weight * cosine**power
        power += 2
        weight *= (power - 1) / power
    if below < _MOSTLY:
        return 1 - below
    above, term = 0.0, sine * weight * cosine**power
    while term > above * _NEGLIGIBLE:
        above += term
        power += 2
        term *= cosine**2 * (power - 1) / power
    return above
