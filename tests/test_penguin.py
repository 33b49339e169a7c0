"""PENGUIN and MENNDL's rule: the published answer, the rule as it is written, and SciPy's fits."""

import math
import re
import warnings
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from curve_samples import PUBLISHED, curves_of, saturating
from hypothesis import given, settings
from hypothesis import strategies as st

import nnlc
from nnlc.analysis.predictors import penguin
from nnlc.analysis.predictors.interface import FitFailure
from nnlc.analysis.predictors.observed import Menndl
from nnlc.analysis.predictors.penguin import Penguin, Saturation, fit_first

NOTHING = "no prediction: every fit failed or has its asymptote at the bound"
TABLE = (
    Path(__file__).resolve().parents[2] / "shared" / "published" / "2021_02_15_13_55_26_539263.txt"
)


@pytest.mark.needs("published tables")
def test_the_published_table_converges_where_the_published_engine_does():
    found = nnlc.predict(nnlc.load_tables(TABLE), target=20).iloc[0]
    assert found["converged"]
    assert found["end_epoch"] == 4.0
    assert found["predicted"] == pytest.approx(25.7121, abs=1e-3)
    assert found["observed"] == pytest.approx(26.99)
    assert found["error"] == pytest.approx(1.2779, abs=1e-3)


def test_eight_published_points_give_the_published_asymptote():
    stops = Penguin().decide(curves_of(PUBLISHED))
    assert (stops.points[0], stops.converged[0]) == (8, True)
    assert stops.values[0] == pytest.approx(25.7121, abs=1e-3)
    assert fit_first(np.array([PUBLISHED]), np.array([8]))[0, 0] == pytest.approx(25.7121, abs=1e-3)


# ---- the fits are SciPy's


def scipy_fit(accuracies):
    """What the published engine does."""
    from scipy.optimize import curve_fit

    x = np.arange(1.0, len(accuracies) + 1)
    bounds = ((0.5, 1, 0), (200, np.inf, np.inf))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return curve_fit(
                lambda x, a, b, c: a - b ** (c - x), x, accuracies, (10, 1.001, 100), bounds=bounds
            )[0]
        except RuntimeError:
            return np.full(3, np.nan)


def is_alike(ours, theirs):
    """Both failed, or the same accuracy within a thousandth of a percent at epoch 20."""
    values = Saturation.at(np.array([ours, theirs]).T, 20.0)
    return np.isnan(values).all() or abs(values[0] - values[1]) < 1e-3


@pytest.mark.parametrize("points", [4, 9, 30])
def test_fits_are_those_of_curve_fit_to_a_thousandth_of_a_percent(points):
    curves = np.vstack([saturating(6, noise=0.2, seed=points), saturating(1, noise=0)])
    ours = fit_first(curves, np.full(len(curves), points))
    alike = 0
    for curve, found in zip(curves, ours.T, strict=True):
        alike += is_alike(found, scipy_fit(curve[:points]))
        # Where a valley is flat, or the evaluations just suffice, SciPy's own answer hangs on the
        # last bits of the data: then ours is one of those.
        nearby = (1, 1 + 2e-16, 1 + 1e-15, 1 - 1e-15, 1 + 1e-14, 1 - 1e-14, 1 + 3e-14)
        assert any(is_alike(found, scipy_fit(curve[:points] * scale)) for scale in nearby)
    assert alike >= len(curves) - 1


def test_a_fit_that_curve_fit_gives_up_on_is_given_up_on():
    flat = [31.24, 31.09, 31.26]  # 300 evaluations are not enough
    assert np.isnan(scipy_fit(flat)).all()
    assert np.isnan(fit_first(np.array([flat]), np.array([3]))).all()


def test_an_exact_curve_gives_its_own_parameters():
    a, b, c = 61.0, 1.2, 21.0
    x = np.arange(1, 21)
    found = fit_first((a - b ** (c - x))[np.newaxis], np.array([20]))[:, 0]
    assert found == pytest.approx([a, b, c], rel=1e-6)


# ---- the rule, against its description in plain Python


def expected(fits, method):
    """End, convergence and prediction from what each fit gave: {points: (a, p) or None}."""
    recorded = []
    for count in range(method.points, method.last_point):
        if fits[count] is None:
            continue
        a, p = fits[count]
        if a >= 199.99:
            recorded = []
        elif math.isfinite(p):
            recorded.append(p)
            if len(recorded) >= method.window:
                last = recorded[-method.window :]
                if all(abs(q - median(last)) <= method.tolerance for q in last) and 0 < p <= 100:
                    return count, True, p
                recorded.pop(0)
    return method.last_point, False, None


fit_results = st.one_of(
    st.none(),
    st.tuples(st.floats(0.5, 199.9), st.sampled_from([50.0, 50.2, 50.5, 50.6, 51.1, 99.9, 100.4])),
    st.tuples(st.floats(0.5, 199.9), st.sampled_from([-3.0, 0.0, math.inf, -math.inf, math.nan])),
    st.tuples(st.floats(199.98, 200), st.just(50.0)),
)


@settings(max_examples=150)
@given(
    st.lists(st.lists(fit_results, min_size=12, max_size=12), min_size=1, max_size=4),
    st.integers(2, 4),
    st.integers(1, 4),
    st.sampled_from([0, 3, 4096]),
)
def test_the_rule_ends_where_its_description_says_however_many_fits_run_ahead(
    scripts, points, window, lanes
):
    method = Penguin(epoch=6, points=points, window=window)
    curves = np.arange(len(scripts) * 12.0).reshape(len(scripts), 12)

    def scripted(accuracies, counts):
        given = [
            scripts[int(row[0]) // 12][n - 1] for row, n in zip(accuracies, counts, strict=True)
        ]
        # The prediction stands in c, where the stand-in for `at` finds it.
        return np.array([(np.nan,) * 3 if g is None else (g[0], 1.0, g[1]) for g in given]).T

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(penguin, "fit_first", scripted)
        patch.setattr(penguin, "LANES", lanes)
        patch.setattr(Saturation, "at", staticmethod(lambda parameters, _: parameters[2]))
        stops = method.decide(curves_of(curves))
    for network, script in enumerate(scripts):
        end, converged, value = expected(dict(enumerate(script, 1)), method)
        assert (stops.points[network], stops.converged[network]) == (end, converged)
        assert stops.values[network] == (value if converged else curves[network, 11])


def test_settings_move_the_end():
    curves = curves_of(saturating(4, noise=0.3, seed=5))
    ends = {
        key: Penguin(**{key: value}).decide(curves).points
        for key, value in {"epoch": 20, "points": 12, "window": 6, "tolerance": 5.0}.items()
    }
    assert (ends["points"] >= 14).all()
    assert (ends["window"] >= ends["epoch"]).all()
    assert ends["window"].sum() > ends["epoch"].sum() > ends["tolerance"].sum()


def test_a_network_that_is_lost_is_not_stopped_from_there_on():
    curve = np.array([*PUBLISHED, *[25.0] * 32])
    for lost_at, converges in ((5, False), (7, False), (8, True)):  # the eighth is the last needed
        losses = np.ones(40)
        losses[lost_at] = np.nan
        stops = Penguin().decide(curves_of(curve, val_loss=losses))
        assert stops.converged[0] == converges
        if not converges:
            assert stops.points[0] == 40
            assert f"not finite at epoch {(lost_at + 1) / 2:g}" in stops.reasons[0]


# ---- no network sees another, and no rule the future


def test_a_network_ends_the_same_to_the_last_bit_whatever_stands_beside_it():
    accuracies = saturating(5, noise=0.1, seed=3)
    together = Penguin().decide(curves_of(accuracies))
    order = np.random.default_rng(1).permutation(5)
    shuffled = Penguin().decide(curves_of(accuracies[order]))
    assert np.array_equal(shuffled.points, together.points[order])
    assert np.array_equal(shuffled.values, together.values[order])
    for network in (0, 4):
        alone = Penguin().decide(curves_of(accuracies[network]))
        assert alone.points[0] == together.points[network]
        assert alone.values[0] == together.values[network]


@settings(max_examples=3)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_points_after_the_end_change_nothing(seed, lost):
    accuracies = saturating(2, noise=0.05, seed=seed)
    before = Penguin().decide(curves_of(accuracies))
    changed, losses = accuracies.copy(), np.ones_like(accuracies)
    for network, end in enumerate(before.points):
        changed[network, end:] = np.random.default_rng(seed).uniform(0, 100, 40 - end)
        if lost:
            losses[network, end:] = np.nan
    after = Penguin().decide(curves_of(changed, val_loss=losses))
    stopped = before.converged
    assert np.array_equal(after.points[stopped], before.points[stopped])
    assert np.array_equal(after.values[stopped], before.values[stopped])


def test_a_prefix_is_predicted_as_far_as_the_rule_has_come():
    found = [Penguin().predict(curves_of(PUBLISHED).first(n), 20.0).one(0) for n in (1, 6, 8)]
    assert found[0] == FitFailure(NOTHING)
    assert not found[1].stop
    assert found[2].stop
    assert found[2].value == pytest.approx(25.7121, abs=1e-3)


def test_what_is_no_accuracy_is_no_prediction_on_the_way():
    steep = 150 - 150 * np.exp(-0.05 * np.arange(1.0, 21))
    word = r"its curve gives 1\d\d.*%, which is no accuracy"
    assert re.match(word, Penguin().predict(curves_of(steep), 20.0).one(0).reason)
    follow = Penguin().follow()
    outcomes = [follow(curves_of(steep).first(count)) for count in range(1, 21)]
    assert re.match(word, outcomes[-1].reason)


def test_a_network_no_fit_of_which_gives_a_prediction_has_failed_and_not_just_waited():
    rising = curves_of(np.arange(40) ** 2 / 16)  # each fit leans on the bound of its asymptote
    assert Penguin(points=8).decide(rising).reasons == (NOTHING,)
    wild = curves_of(np.tile([20.0, 60.0], 20))
    assert Penguin(tolerance=0.01).decide(wild).reasons == (None,)


# ---- MENNDL's rule


def patience_ends(losses, patience, last):
    """The first point at which the minimum is `patience` half epochs old."""
    lowest, since = math.inf, 0
    for number, loss in enumerate(losses[:last], 1):
        if loss < lowest:
            lowest, since = loss, number
        if number - max(since, 1) >= patience and number < last:
            return number, True
    return min(last, len(losses)), False


@settings(max_examples=200)
@given(
    st.lists(
        st.one_of(st.integers(0, 9).map(float), st.sampled_from([math.nan, math.inf])),
        min_size=1,
        max_size=16,
    ),
    st.integers(1, 6),
    st.integers(1, 16),
)
def test_menndl_ends_where_the_minimum_is_old(losses, patience, last):
    rule = Menndl(epoch=last / 2, patience=patience / 2)
    accuracies = np.arange(float(len(losses)))
    stops = rule.decide(curves_of(accuracies, train_loss=losses))
    end, converged = patience_ends(losses, patience, last)
    assert (stops.points[0], stops.converged[0]) == (end, converged)
    assert stops.values[0] == accuracies[end - 1]


@pytest.mark.parametrize("rule", [Penguin(), Penguin(points=3, window=4), Menndl(patience=1.5)])
def test_a_rule_knows_the_first_point_at_which_it_can_stop(rule):
    same = curves_of(np.full(40, 50.0), train_loss=np.ones(40))
    assert rule.decide(same).points[0] == rule.earliest


def test_an_accuracy_that_is_no_number_stops_nothing_followed_or_not():
    unknown = curves_of([1.0, 1.0, math.nan, math.inf, 1.0, 1.0], train_loss=np.ones(6))
    rule = Menndl(epoch=3, patience=1)
    assert (rule.decide(unknown).points[0], rule.decide(unknown).converged[0]) == (5, True)
    outcomes = [rule.follow()(unknown.first(count)) for count in range(1, 6)]
    assert [getattr(one, "stop", False) for one in outcomes] == [False] * 4 + [True]


def test_menndl_waits_ten_epochs_of_at_most_twenty():
    falling = [5.0 - n / 10 for n in range(40)]
    stops = Menndl().decide(curves_of(np.ones(40), train_loss=falling))
    assert (stops.points[0], stops.converged[0]) == (40, False)
    stops = Menndl().decide(curves_of(np.ones(40), train_loss=[*falling[:8], *[4.9] * 32]))
    assert (stops.points[0], stops.converged[0]) == (28, True)
