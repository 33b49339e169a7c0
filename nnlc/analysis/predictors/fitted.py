"""Predictors that fit one family of curves, or an ensemble of families."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nnlc.analysis.predictors.curve_fits import FamilyFits, fit_family
from nnlc.analysis.predictors.families import FAMILIES
from nnlc.analysis.predictors.interface import Booleans, Curves, Floats, Predictions, Predictor
from nnlc.analysis.predictors.trust_region_step import dot, total

ENSEMBLE_MEMBERS = ("pow3", "pow4", "log2", "ilog2", "exp3", "wbl4", "mmf4", "hill3", "vap3")
"""Default members of an ensemble: each distinct family once (see module `families`), without pow2
and exp2, which have no asymptote."""
LEAST_VARIANCE = 1e-4
"""Least variance of residuals, percentage points²: one validation image of 10,000 is 0.01."""


@dataclass(frozen=True)
class FamilyPredictor(Predictor):
    """Predictor that fits one family to all points given."""

    name: str
    """Name of the family."""

    def predict(self, curves: Curves, epoch: float) -> Predictions:
        """Return the fitted curve at an epoch, with its standard deviation by the delta method."""
        fits = _fit(self.name, curves)
        values, uncertainties, reasons = _read(fits, epoch)
        return Predictions(values, uncertainties, np.zeros(len(values), dtype=bool), reasons)


@dataclass(frozen=True)
class Ensemble(Predictor):
    """Predictor that averages the predictions of several families, over the good fits.

    Attributes:
        weights: "equal", or "likelihood": a family's weight is exp(−BIC/2), from its likelihood
            with the variance of its own residuals, and a penalty for its number of parameters.
        members: names of the families.
    """

    name = "ensemble"
    weights: str = "equal"
    members: tuple[str, ...] = ENSEMBLE_MEMBERS

    def predict(self, curves: Curves, epoch: float) -> Predictions:
        """Return weighted means; the variance is that within members plus that between members."""
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
            own = np.where(weights > 0, own, 0.0)  # a NaN of weight 0 must not count
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
        _cached_seconds.append(seconds)
    return fits


@lru_cache(maxsize=2 * len(FAMILIES))
def _fit_bytes(family: str, content: bytes, shape: tuple[int, int]) -> tuple[FamilyFits, float]:
    # Cached because ensembles need the fits that single families have just made.
    began = time.perf_counter()
    fits = fit_family(FAMILIES[family], np.frombuffer(content).reshape(shape))
    return fits, time.perf_counter() - began


_cached_seconds: list[float] = []


def cached_fit_seconds() -> float:
    """Return the seconds that the cache of fits has saved since the last call."""
    seconds = sum(_cached_seconds)
    _cached_seconds.clear()
    return seconds


def clear_fit_cache() -> None:
    """Clear the cache of fits."""
    _fit_bytes.cache_clear()


def _read(fits: FamilyFits, epoch: float) -> tuple[Floats, Floats, tuple[str | None, ...]]:
    """Return values, standard deviations and reasons; a value outside 0 to 100% is a failure."""
    with np.errstate(all="ignore"):
        values, uncertainties = fits.at(epoch), fits.uncertainty_at(epoch)
    reasons = tuple(
        why
        or (None if 0 <= value <= 100 else f"its curve gives {value:.4g}%, which is no accuracy")
        for value, why in zip(values, fits.reasons, strict=True)
    )
    good = np.array([why is None for why in reasons], dtype=bool)
    return np.where(good, values, np.nan), np.where(good, uncertainties, np.nan), reasons


def _likelihoods(fits: Sequence[FamilyFits], good: Booleans) -> Floats:
    """Return exp(−BIC/2) up to a factor for each network: families × networks."""
    criteria = np.full(good.shape, np.inf)
    for i, one in enumerate(fits):
        # Accuracies are rounded to whole images, so an exact fit must not have infinite likelihood.
        variance = np.maximum(2 * one.cost / one.points, LEAST_VARIANCE)
        criteria[i] = one.points * np.log(variance) + one.family.size * np.log(one.points)
    criteria = np.where(good, criteria, np.inf)
    with np.errstate(invalid="ignore"):
        return np.where(good, np.exp((criteria.min(axis=0) - criteria) / 2), 0.0)


def _first_reason(
    read: Sequence[tuple[Floats, Floats, tuple[str | None, ...]]], network: int
) -> str:
    reasons = [why[network] for _, _, why in read]
    return f"no family has a prediction: {reasons[0]}"
