"""Families of curves, and ensembles of them, as predictors."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nnlc.analysis.predictors.curve_fits import FamilyFits, fit_family
from nnlc.analysis.predictors.families import FAMILIES
from nnlc.analysis.predictors.interface import Curves, Floats, Predictions, Predictor, Truths
from nnlc.analysis.predictors.trust_region_step import dot, total

ENSEMBLE_MEMBERS = ("pow3", "pow4", "log2", "ilog2", "exp3", "wbl4", "mmf4", "hill3", "vap3")
"""The families of an ensemble, unless it is told others: each curve once (see `families`), without
pow2 and exp2, which know no limit."""
LEAST_VARIANCE = 1e-4
"""Percent squared: one validation image in 10,000 is 0.01 percent."""


@dataclass(frozen=True)
class FamilyPredictor(Predictor):
    """One family, fitted to all points given."""

    family: str

    @property
    def name(self) -> str:
        """The family's."""
        return self.family

    def predict(self, curves: Curves, epoch: float) -> Predictions:
        """The fitted curve at an epoch, with its standard deviation by the delta method."""
        fits = _fit(self.family, curves)
        values, uncertainties, reasons = _read(fits, epoch)
        return Predictions(values, uncertainties, np.zeros(len(values), dtype=bool), reasons)


@dataclass(frozen=True)
class Ensemble(Predictor):
    """The mean of several families' predictions, over those whose fit is good.

    Attributes:
        weights: "equal", or "likelihood": each family counts by how likely it makes the points,
            less what its parameters explain by chance: exp(−BIC/2), with the residuals' variance as
            the points themselves give it.
        members: names of families.
    """

    name = "ensemble"
    weights: str = "equal"
    members: tuple[str, ...] = ENSEMBLE_MEMBERS

    def predict(self, curves: Curves, epoch: float) -> Predictions:
        """The weighted mean; the deviation is the members' own and theirs from one another."""
        fits = [_fit(name, curves) for name in self.members]
        read = [_read(one, epoch) for one in fits]
        values = np.array([value for value, _, _ in read])
        good = np.isfinite(values)
        weights = _likelihoods(fits, good) if self.weights == "likelihood" else good.astype(float)
        some = good.any(axis=0)
        with np.errstate(all="ignore"):
            weights = weights / total(weights)
            known = np.where(good, values, 0.0)
            means = dot(weights, known)
            own = np.array([u for _, u, _ in read]) ** 2
            own = np.where(weights > 0, own, 0.0)  # who has no say may know no uncertainty
            spread = dot(weights, own + np.where(good, known - means, 0.0) ** 2)
        reasons = tuple(
            None if any_good else _first_reason(read, i) for i, any_good in enumerate(some)
        )
        return Predictions(
            np.where(some, means, np.nan),
            np.where(some, np.sqrt(spread), np.nan),
            np.zeros(len(means), dtype=bool),
            reasons,
        )


def _fit(family: str, curves: Curves) -> FamilyFits:
    accuracies = np.ascontiguousarray(curves.val_accuracy_percent, dtype=np.float64)
    known = _fit_bytes.cache_info().hits
    fits, seconds = _fit_bytes(family, accuracies.tobytes(), accuracies.shape)
    if _fit_bytes.cache_info().hits > known:
        _spared.append(seconds)
    return fits


@lru_cache(maxsize=2 * len(FAMILIES))
def _fit_bytes(family: str, content: bytes, shape: tuple[int, int]) -> tuple[FamilyFits, float]:
    # Ensembles ask for what has just been fitted.
    began = time.perf_counter()
    fits = fit_family(FAMILIES[family], np.frombuffer(content).reshape(shape))
    return fits, time.perf_counter() - began


_spared: list[float] = []


def spared_seconds() -> float:
    """Since the last call: what fits that were made before would have taken again."""
    seconds = sum(_spared)
    _spared.clear()
    return seconds


def forget_fits() -> None:
    """Fit again what was fitted before."""
    _fit_bytes.cache_clear()


def _read(fits: FamilyFits, epoch: float) -> tuple[Floats, Floats, tuple[str | None, ...]]:
    """Values, deviations and reasons at an epoch; a value that is no accuracy is a failure."""
    with np.errstate(all="ignore"):
        values, uncertainties = fits.at(epoch), fits.uncertainty_at(epoch)
    reasons = tuple(
        why
        or (None if 0 <= value <= 100 else f"its curve gives {value:.4g}%, which is no accuracy")
        for value, why in zip(values, fits.reasons, strict=True)
    )
    good = np.array([why is None for why in reasons], dtype=bool)
    return np.where(good, values, np.nan), np.where(good, uncertainties, np.nan), reasons


def _likelihoods(fits: Sequence[FamilyFits], good: Truths) -> Floats:
    """exp(−BIC/2) of each family and network, but for a factor: families × networks."""
    criteria = np.full(good.shape, np.inf)
    for i, one in enumerate(fits):
        # Accuracies are counts: an exact fit to a few of them is no infinite likelihood.
        variance = np.maximum(2 * one.cost / one.points, LEAST_VARIANCE)
        criteria[i] = one.points * np.log(variance) + one.family.size * np.log(one.points)
    criteria = np.where(good, criteria, np.inf)
    with np.errstate(invalid="ignore"):
        return np.where(good, np.exp((criteria.min(axis=0) - criteria) / 2), 0.0)


def _first_reason(
    read: Sequence[tuple[Floats, Floats, tuple[str | None, ...]]], network: int
) -> str:
    reasons = [why[network] for _, _, why in read]
    return f"no member can: {reasons[0]}"
