"""Families of curves: they find themselves again, fail honestly, and see only their points."""

import math
import warnings

import numpy as np
import pytest
from curve_samples import curves_of, saturating
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from nnlc.analysis.predictors import fitted, trust_region
from nnlc.analysis.predictors.curve_fits import fit_family
from nnlc.analysis.predictors.families import FAMILIES
from nnlc.analysis.predictors.fitted import ENSEMBLE_MEMBERS, Ensemble, FamilyPredictor
from nnlc.analysis.predictors.interface import FitFailure, Prediction
from nnlc.analysis.predictors.observed import LastValue

X = np.arange(1.0, 41.0)
# Formulas as they are printed, and parameters for curves that learning networks might have.
PRINTED = {
    "pow2": (lambda a, b: a * X**b, {"a": 12.0, "b": 0.4}),
    "pow3": (lambda a, b, c: a - b * X**-c, {"a": 71.0, "b": 50.0, "c": 0.6}),
    "pow4": (
        lambda a, b, c, d: a - b * (X + d) ** -c,
        {"a": 80.0, "b": 300.0, "c": 1.3, "d": 5.0},
    ),
    "log2": (lambda a, b: a * np.log(X) + b, {"a": 9.0, "b": 20.0}),
    "ilog2": (lambda a, b: b - a / np.log(X + 1), {"a": 20.0, "b": 60.0}),
    "exp2": (lambda a, b: a * np.exp(-b * X), {"a": 10.0, "b": -0.03}),
    "exp3": (lambda a, b, c: a * np.exp(-b * X) + c, {"a": -45.0, "b": 0.15, "c": 66.0}),
    "exp4": (
        lambda a, b, c, d: c - np.exp(-a * X**d + b),
        {"a": 0.4, "b": 4.0, "c": 77.0, "d": 0.7},
    ),
    "wbl4": (
        lambda a, b, c, d: c - b * np.exp(-a * X**d),
        {"a": 0.1, "b": 60.0, "c": 75.0, "d": 1.2},
    ),
    "janoschek": (
        lambda α, β, κ, δ: α - (α - β) * np.exp(-κ * X**δ),
        {"α": 82.0, "β": 11.0, "κ": 0.2, "δ": 0.8},
    ),
    "mmf4": (
        lambda a, b, c, d: (a * b + c * X**d) / (b + X**d),
        {"a": 10.0, "b": 20.0, "c": 70.0, "d": 1.5},
    ),
    "hill3": (lambda y, κ, η: y * X**η / (κ**η + X**η), {"y": 64.0, "κ": 6.0, "η": 1.4}),
    "logpower3": (
        lambda a, b, c: a / (1 + (X / np.exp(b)) ** c),
        {"a": 64.0, "b": 1.8, "c": -1.4},
    ),
    "vap3": (
        lambda a, b, c: np.exp(a + b / X + c * np.log(X)),
        {"a": 3.4, "b": -1.2, "c": 0.2},
    ),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_finds_its_own_curve_and_what_comes_next(name):
    formula, parameters = PRINTED[name]
    family, curve = FAMILIES[name], formula(**parameters)
    fits = fit_family(family, curve[np.newaxis, :20])
    assert fits.reasons == (None,)
    assert fits.at(20.0)[0] == pytest.approx(curve[39], abs=0.01)


@pytest.mark.parametrize("name", FAMILIES)
def test_noise_moves_a_family_no_further_than_it_says(name):
    formula, parameters = PRINTED[name]
    rng, curve = np.random.default_rng(7), formula(**parameters)
    noisy = curve + rng.normal(0, 0.2, (60, 40))
    found = FamilyPredictor(name).predict(curves_of(noisy[:, :24]), 20.0)
    good = np.isfinite(found.values)
    assert good.mean() > 0.9
    errors = np.abs(found.values - noisy[:, 39])[good]
    assert np.median(errors) < 2.0
    assert (found.uncertainties[good] > 0.1).all()
    assert (errors <= 2 * found.uncertainties[good]).mean() > 0.8


@pytest.mark.parametrize("name", FAMILIES)
def test_slopes_are_those_of_the_shape(name):
    family, x = FAMILIES[name], X[:, np.newaxis]
    rng = np.random.default_rng(5)
    low, high = np.array(family.bounds).reshape(-1, 2, 1).swapaxes(0, 1)
    theta = low + (high - low) * rng.uniform(0.1, 0.6, (len(low), 7))
    _, slopes = family.shape(x, theta)
    for i in range(len(theta)):
        step = np.zeros_like(theta)
        step[i] = 1e-6
        (above, _), (below, _) = family.shape(x, theta + step), family.shape(x, theta - step)
        numeric = (above - below) / 2e-6
        assert slopes[i] == pytest.approx(numeric, rel=1e-4, abs=1e-6 * np.abs(numeric).max())


@pytest.mark.parametrize("name", ["pow3", "pow4", "exp3", "wbl4", "mmf4", "hill3", "vap3"])
def test_no_restart_of_scipys_finds_a_better_fit(name):
    family, curves = FAMILIES[name], saturating(3, 20, noise=0.5, seed=11)
    fits, x = fit_family(family, curves), X[:20, np.newaxis]
    bounds = family.lower[:, 0], family.upper[:, 0]

    def residuals(parameters, curve):
        count = family.coefficients
        w, _ = family.shape(x, parameters[count:, np.newaxis])
        parts = [part[:, 0] for part in family.form.basis(w)]
        return sum(k * part for k, part in zip(parameters[:count], parts, strict=True)) - curve

    rng = np.random.default_rng(2)
    for network, curve in enumerate(curves):
        if fits.reasons[network] is not None:
            continue
        for _ in range(3):
            share = rng.uniform(0.05, 0.95, len(bounds[0]))
            start = bounds[0] + share * (np.minimum(bounds[1], 100) - bounds[0])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                other = least_squares(residuals, start, bounds=bounds, args=(curve,), max_nfev=80)
            assert fits.cost[network] <= other.cost * 1.001 + 1e-6


# ---- honest failures

RISING = list(50 - 40 * np.exp(-0.2 * X[:12]))


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(
    ("curve", "why"),
    [
        (RISING[:2], "2 points where"),
        ([10.0] * 12, "the same at all points"),
        (RISING[::-1], "does not rise"),
        ([*RISING[:7], math.nan, *RISING[8:]], "at epoch 4 is not a finite number"),
        ([math.inf, *RISING[1:]], "at epoch 0.5 is not a finite number"),
    ],
)
def test_a_curve_that_says_nothing_is_a_failure_with_its_reason(name, curve, why):
    outcome = FamilyPredictor(name).predict(curves_of(curve), 20.0).one(0)
    assert isinstance(outcome, FitFailure)
    assert why in outcome.reason


def test_a_value_that_is_no_accuracy_is_a_failure():
    outcome = FamilyPredictor("exp2").predict(curves_of(5 * np.exp(0.2 * X[:12])), 20.0).one(0)
    assert isinstance(outcome, FitFailure)
    assert "is no accuracy" in outcome.reason


def test_a_fit_that_does_not_converge_is_a_failure(monkeypatch):
    few = trust_region.Settings(tolerance=0.0, evaluations_per_parameter=1)
    monkeypatch.setattr("nnlc.analysis.predictors.curve_fits.SETTINGS", few)
    reasons = fit_family(FAMILIES["pow4"], saturating(3, 12)).reasons
    assert set(reasons) == {"the fit did not converge"}


def test_the_last_value_is_the_last_value_and_nothing_if_that_is_blank():
    found = LastValue().predict(curves_of([[1.0, 2.0], [3.0, math.nan], [5.0, 0.0]]), 20.0)
    assert found.one(0) == Prediction(2.0)
    assert found.one(1) == FitFailure("the accuracy at epoch 1 is not a finite number")
    assert found.one(2) == Prediction(0.0)


# ---- ensembles


def test_an_equal_ensemble_is_the_mean_of_the_members_that_can():
    curves = curves_of([saturating(1, 10, seed=4)[0], [7.0] * 10])
    members = [FamilyPredictor(name).predict(curves, 20.0).values for name in ENSEMBLE_MEMBERS]
    found = Ensemble().predict(curves, 20.0)
    assert found.values[0] == pytest.approx(np.nanmean([one[0] for one in members]))
    assert found.uncertainties[0] >= np.nanstd([one[0] for one in members])
    assert "no family has a prediction: the accuracy is the same" in found.reasons[1]


def test_a_likelihood_ensemble_believes_the_family_that_the_points_come_from():
    formula, parameters = PRINTED["exp3"]
    curve = formula(**parameters) + np.random.default_rng(1).normal(0, 0.05, 40)
    seen = curves_of(curve[:20])
    members = ("pow3", "log2", "exp3")
    weighted = Ensemble("likelihood", members).predict(seen, 20.0).values[0]
    alone = FamilyPredictor("exp3").predict(seen, 20.0).values[0]
    assert weighted == pytest.approx(alone, abs=1e-3)
    assert Ensemble("equal", members).predict(seen, 20.0).values[0] != pytest.approx(alone, abs=0.5)


def test_who_has_no_say_in_an_ensemble_may_know_no_uncertainty(monkeypatch):
    sure = np.array([50.0]), np.array([2.0]), (None,)
    unsure = np.array([70.0]), np.array([math.nan]), (None,)
    given = iter([sure, unsure])
    monkeypatch.setattr(fitted, "_read", lambda *_: next(given))
    monkeypatch.setattr(fitted, "_likelihoods", lambda *_: np.array([[1.0], [0.0]]))
    found = Ensemble("likelihood", ("pow3", "exp3")).predict(curves_of(saturating(1, 10)), 20.0)
    assert found.one(0) == Prediction(50.0, 2.0)


def test_an_exact_fit_is_no_infinite_likelihood():
    formula, parameters = PRINTED["exp3"]
    seen = curves_of(formula(**parameters)[:20])
    found = Ensemble("likelihood", ("exp3", "wbl4")).predict(seen, 20.0).one(0)
    assert found.value == pytest.approx(formula(**parameters)[39], abs=1e-3)


# ---- what they see

METHODS = [*(FamilyPredictor(name) for name in ("pow4", "mmf4", "vap3")), Ensemble(), LastValue()]


@settings(max_examples=4)
@given(st.integers(0, 2**32 - 1), st.integers(6, 30))
def test_no_method_looks_beyond_its_points(seed, points):
    accuracies = saturating(3, 40, seed=seed)
    changed = accuracies.copy()
    changed[:, points:] = np.nan
    for method in METHODS:
        fitted._fit_bytes.cache_clear()
        before = method.predict(curves_of(accuracies).first(points), 20.0)
        fitted._fit_bytes.cache_clear()
        after = method.predict(curves_of(changed).first(points), 20.0)
        assert np.array_equal(before.values, after.values, equal_nan=True)
        assert before.reasons == after.reasons


@settings(max_examples=3)
@given(st.integers(0, 2**32 - 1))
def test_a_network_is_predicted_the_same_to_the_last_bit_whatever_stands_beside_it(seed):
    accuracies = saturating(6, 12, seed=seed)
    order = np.random.default_rng(seed).permutation(6)
    for method in METHODS:
        together = method.predict(curves_of(accuracies), 20.0)
        shuffled = method.predict(curves_of(accuracies[order]), 20.0)
        alone = method.predict(curves_of(accuracies[2]), 20.0)
        for name in ("values", "uncertainties"):
            whole = getattr(together, name)
            assert np.array_equal(getattr(shuffled, name), whole[order], equal_nan=True)
            assert np.array_equal(getattr(alone, name), whole[2:3], equal_nan=True)
