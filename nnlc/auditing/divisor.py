"""Divisor of validation losses, estimated from networks that never learn.

With N validation images in batches of b, published losses are the sum of the ⌊N/b⌋ full batches'
means, divided by all ⌈N/b⌉ batches (`val_loss_correction`): the true mean times r = ⌊N/b⌋/⌈N/b⌉. A
network that never learns has a true mean of ln(classes), so that x, its mean valLoss over
ln(classes), is 1 without the slip and r with it.

The model. x_i = 1 - h (1 - r_i) + e_i with one h for all networks: 0 without the slip, 1 with it.
The e_i are independent and normal, of variance t_i² = 0.0001² + d_i² + s_i², where d_i is how far
trainLoss, which knows no slip, lies from ln(classes) on average, and s_i the deviation of valLoss
from row to row: rows of one network are not independent, so s_i is not divided by their number.
h is estimated by weighted least squares. Where the networks scatter about it more than t_i says,
all variances grow by that factor; they never shrink.

Who counts. A network whose accuracy is never above chance and whose trainLoss stays, in each row,
within a quarter of 1 - r_i of ln(classes), relatively: what a network has learned of the labels'
frequencies, or loses to dropout, can then shift h by a quarter at most. valLoss has no say in the
choice, which would bias the answer. Batches that divide N tell nothing.

The answer is given only from three networks on, if h is within 0.35 of one hypothesis and that is
1,000 times as likely as the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt
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
"""Limit of the ratio, beyond which no model of the noise is accurate."""
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
    """Likelihood ratio of slip and true mean; None, like the next fields, for fewer than three
    networks."""
    p_slip: float | None
    """Two-sided, Student's t with a degree of freedom for each network but one: how likely an h
    as far from 1 is if there is the slip."""
    p_true_mean: float | None
    """Two-sided probability of an h as far from 0, if there is no slip."""
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
    full, every = table.validation_batches
    if not 0 < full < every or table.images is None:
        return None
    factor, plain = full / every, log(table.images.classes)
    train, val, accuracy = table.curve.T
    strays = np.abs(train / plain - 1)
    if not strays.max() <= FLAT * (1 - factor) or not np.isfinite(val).all():
        return None
    if not accuracy.max() <= chance_limits([table])[0]:
        return None
    ratios = val / plain
    noise = sqrt(LEAST_NOISE**2 + float(strays.mean()) ** 2 + float(ratios.std()) ** 2)
    return float(ratios.mean()), float(factor), noise


def _two_sided(distance: float, freedom: int) -> float:
    from scipy.special import stdtr  # slow to load, and rarely needed

    return 2 * float(stdtr(freedom, -abs(distance)))
