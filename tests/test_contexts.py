"""Methods that learn from other networks: whose curves they get, and the Gaussian process."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from curve_samples import curves_of, loaded, saturating, table
from frame_samples import id_of
from typer.testing import CliRunner

import nnlc
from nnlc.analysis.contexts import with_contexts
from nnlc.analysis.predictors import Curves, FitFailure, Prediction, gp, plug_ins
from nnlc.analysis.predictors.gp import FEWEST_CURVES, LEAST_DEVIATION
from nnlc.analysis.predictors.interface import ContextPredictor
from nnlc.analysis.predictors.observed import LastValue
from nnlc.analysis.predictors.registry import make_predictor, make_stop_rule
from nnlc.analysis.scorable_networks import find_scorable
from nnlc.cli import app
from nnlc.errors import NnlcError
from nnlc.tables import write_table

POINTS = 8


class Recorder(ContextPredictor):
    """A method that notes from whom it learns and whom it predicts."""

    name = "recorder"

    def __init__(self):
        self.learned, self.given = {}, {}

    def fit(self, context):
        recorder = self

        class Learned(LastValue):
            def predict(self, curves, epoch):
                own = [f"{row.dataset} {row.id}" for row in context.networks.itertuples()]
                for id_ in curves.networks["id"]:
                    recorder.learned[id_] = own
                recorder.given |= {"context": context, "curves": curves, "epoch": epoch}
                return super().predict(curves, epoch)

        return Learned()


def learned(tables, learn_from="same", target=POINTS / 2):
    """The recorder after a prediction for the first dataset."""
    recorder, scored = Recorder(), find_scorable(tables, target)
    [one, *_] = with_contexts(scored, [recorder], tables, learn_from)
    one.predict([recorder], target / 2, 1)
    return recorder


def tables_of(count, first=0, points=POINTS, **changes):
    curves = saturating(count, points, seed=first)
    return [table(first + i, list(curve), **changes) for i, curve in enumerate(curves)]


@pytest.mark.parametrize(("count", "folds"), [(7, 7), (45, 20)])
def test_no_network_is_in_its_own_context_and_folds_depend_on_ids_alone(count, folds):
    tables = tables_of(count)
    found = learned(loaded(*tables)).learned
    contexts = {tuple(own) for own in found.values()}
    assert len(contexts) == folds
    for id_, own in found.items():
        assert f"CIFAR100 {id_}" not in own
        assert own == sorted(own)
        assert count - len(own) in (count // folds, count // folds + 1)
    assert learned(loaded(*tables[::-1])).learned == found


def test_contexts_have_finished_networks_of_the_datasets_asked_for():
    tables = loaded(
        *tables_of(3),
        *tables_of(3, 10, dataset="Other"),
        table(20, [1.0] * 5),  # short
        table(21, [1.0] * POINTS, val_loss=[1.0, float("nan"), *[1.0] * 6]),  # diverged
    )
    others = [f"Other {id_of(i)}" for i in (10, 11, 12)]
    same = [f"CIFAR100 {id_of(i)}" for i in (1, 2)]
    assert learned(tables).learned[id_of(0)] == same
    assert learned(tables, "others").learned[id_of(0)] == others
    assert learned(tables, "all").learned[id_of(0)] == same + others
    assert learned(tables, loaded(*tables_of(3), *tables_of(1, 30))).learned[id_of(0)] == [
        *same,
        f"CIFAR100 {id_of(30)}",
    ]
    for method in ("gp", "last1"):
        with pytest.raises(NnlcError, match="learn_from is 'none', but can only be 'same' or"):
            nnlc.predict(tables, method=method, learn_from="none")
    whole = nnlc.Tables.from_frames(tables.curves.assign(epoch=tables.curves["half_epoch"]))
    with pytest.raises(NnlcError, match=r"a point each 1 epoch, those to predict each 0\.5"):
        learned(tables, whole)


def test_a_method_is_given_whole_curves_and_only_what_is_known_before_a_training():
    given = learned(loaded(*tables_of(3))).given
    assert given["context"].points == POINTS
    assert given["curves"].points == POINTS / 2
    assert given["epoch"] == POINTS / 2
    known = set(given["curves"].networks)
    assert {"learning_rate", "parameters", "conv_kernels"} <= known
    assert not {"half_epochs", "seconds", "path"} & known


def test_networks_that_are_not_predicted_are_learned_from():
    tables = loaded(*tables_of(FEWEST_CURVES + 1))
    found = nnlc.predict(tables, method="gp", only=[id_of(0)])
    assert found["reason"].tolist() == [None]
    assert found.attrs["learned"] == [
        "CIFAR-100: learned from 11 networks of CIFAR-100 with finite curves up to epoch 4; 11 "
        "folds by ID, each predicted from the others"
    ]
    alone = nnlc.predict(loaded(*tables_of(1)), method="gp")
    assert alone.attrs["learned"][0].endswith("up to epoch 4; none is predicted from itself")
    heedless = nnlc.predict(loaded(*tables_of(1)), method="last1", learn_from="others")
    assert "have no effect" in heedless.attrs["learned"][0]


# ---- the Gaussian process


@pytest.fixture(scope="module")
def rising():
    """Forty curves of which the learning rate tells how fast they rise."""
    rng = np.random.default_rng(3)
    rates = 10 ** rng.uniform(-3, -1, 40)
    x = np.arange(1, 21)
    curves = 10 + 80 * (1 - np.exp(-2 * rates[:, None] * x)) + rng.normal(0, 0.3, (40, 20))
    return [
        table(i, list(curve.round(2)), learning_rate=float(rate))
        for i, (curve, rate) in enumerate(zip(curves, rates, strict=True))
    ]


@pytest.mark.parametrize(("share", "least", "most"), [(0.95, 85, 100), (0.5, 35, 65)])
def test_gp_beats_last1_and_its_uncertainty_holds(rising, monkeypatch, share, least, most):
    monkeypatch.setattr(gp, "_COVERED_SHARE", share)
    found = nnlc.compare(loaded(*rising), ["gp"], cutoffs=[0.5, 4], target=10)
    last, own = (found[found["method"] == name] for name in ("last1", "gp"))
    assert (own["mean_error"].to_numpy() < last["mean_error"].to_numpy() / 5).all()
    assert (own["predicted"] == 40).all()
    assert own["covered_percent"].between(least, most).all()


def test_gp_predicts_by_settings_where_first_points_say_nothing(rising):
    late = [
        replace(one, rows=(*[replace(one.rows[0], val_accuracy_percent=10.0)] * 4, *one.rows[:16]))
        for one in rising
    ]
    found = nnlc.compare(loaded(*late), ["gp"], cutoffs=[2], target=10).set_index("method")
    assert found["mean_error"]["gp"] < found["mean_error"]["last1"] / 5
    frame = loaded(*late[:3]).curves[["id", "epoch", "val_accuracy_percent"]]
    unknown = nnlc.Tables.from_frames(frame)  # neither settings nor losses
    found = nnlc.predict(unknown, method="gp", cutoff=2, learn_from=loaded(*late))
    assert (found["predicted"] == found["predicted"][0]).all()
    assert 10 < found["predicted"][0] < 90


def test_gp_searches_its_most_likely_parameters():
    squares = np.subtract.outer(np.arange(30), np.arange(30)) ** 2 / 100
    wanted = np.sin(np.arange(30) / 5)
    theta = gp._most_likely([squares] * 2, wanted)
    least = gp._cost(theta, [squares] * 2, wanted)
    near = [theta + sign * gp._LAST_STEP * axis for axis in np.eye(5) for sign in (1, -1)]
    assert least <= min(gp._cost(one, [squares] * 2, wanted) for one in near)
    assert least < gp._cost(gp._START, [squares] * 2, wanted)


def test_gp_gives_the_same_digits_in_any_order_and_for_some_networks(rising):
    tables = loaded(*rising)
    first, rest = (
        tables.select([one.spec.id for one in part]) for part in (rising[:3], rising[3:])
    )
    for given, source in ((tables, "same"), (first, rest)):
        whole = nnlc.predict(given, method="gp", cutoff=2, learn_from=source).set_index("id")
        some = nnlc.predict(
            given.select(given.networks["id"][::-1]),
            method="gp",
            cutoff=2,
            only=[*given.networks["id"][:2]],
            learn_from=tables if source == "same" else source,
        ).set_index("id")
        pd.testing.assert_frame_equal(some, whole.loc[some.index], check_exact=True)


def test_gp_needs_ten_curves_and_says_so_otherwise():
    tables = loaded(*tables_of(FEWEST_CURVES))
    found = nnlc.compare(tables, ["gp"], cutoffs=[2])
    why = "gp learns from at least 10 finished curves, and there are 9"
    assert found.attrs["failures"] == {"gp": why}
    alone = nnlc.predict(tables, method="gp", learn_from="others")
    assert alone["reason"][0] == "gp learns from at least 10 finished curves, and there are 0"


def test_gp_does_without_settings_and_losses_and_with_text_for_numbers():
    curves = saturating(12, 10)
    frame = pd.DataFrame(
        {
            "id": np.repeat([f"n{i}" for i in range(12)], 10),
            "epoch": np.tile(np.arange(1, 11), 12),
            "val_accuracy_percent": curves.ravel(),
        }
    )
    about = pd.DataFrame({"id": frame["id"].unique(), "learning_rate": "1e-3"})
    for networks in (None, about):
        found = nnlc.predict(nnlc.Tables.from_frames(frame, networks), method="gp", cutoff=1)
        assert found["predicted"].between(0, 100).all()
        assert found["uncertainty"].gt(0).all()
    for accuracy, least_error in ((10.0, 0), (100.0, 0.1)):
        flat = nnlc.Tables.from_frames(frame.assign(val_accuracy_percent=accuracy))
        found = nnlc.predict(flat, method="gp")
        assert found["error"].to_numpy() == pytest.approx(least_error)
        assert found["uncertainty"].min() >= LEAST_DEVIATION


def test_gp_takes_no_more_curves_than_asked_for():
    context = replace(curves_of(saturating(40, 8)), networks=pd.DataFrame(index=range(40)))
    new = replace(curves_of(saturating(2, 4, seed=1)), networks=pd.DataFrame(index=range(2)))
    few = context.select(np.arange(0, 40, 4))
    values = make_predictor("gp:most=10").fit(context).predict(new, 4).values
    assert (values == make_predictor("gp").fit(few).predict(new, 4).values).all()
    assert (values != make_predictor("gp").fit(context).predict(new, 4).values).any()
    assert "no finished curves" in make_predictor("gp").predict(new, 4).reasons[0]


def test_a_method_that_learns_never_stops_a_campaign():
    with pytest.raises(NnlcError, match=r"^gp learns from finished curves, of which a running"):
        make_stop_rule("gp")


# ---- plug-ins


LEARNERS = {
    "raises": (lambda _: 1 / 0, "hostile raised ZeroDivisionError"),
    "writes": (lambda context: context.train_loss.fill(0), "hostile raised ValueError"),
    "nothing": (
        lambda _: None,
        "hostile: learn returned None; it must return an object with predict",
    ),
    "a reason": (lambda _: FitFailure("too few"), "too few"),
    "a float": (lambda _: type("Is", (), {"predict": lambda *_: 3.0})(), "gave float, neither"),
}


@pytest.mark.parametrize("kind", LEARNERS)
def test_whatever_a_learning_plug_in_does_is_its_own_failure(kind):
    learn, why = LEARNERS[kind]
    context = replace(curves_of(saturating(3, 8)), networks=pd.DataFrame({"a": range(3)}))
    outcome = plug_ins.PlugInLearner("hostile", learn).fit(context).predict(context.first(2), 4.0)
    assert why in outcome.reasons[2]


def test_a_learning_plug_in_has_copies_of_everything():
    def learn(context: Curves):
        assert [*context.networks.index] == [0, 1, 2]
        context.networks["a"] = 0
        return type("Is", (), {"predict": lambda _, prefix, __: Prediction(prefix.network["a"])})()

    context = replace(
        curves_of(saturating(3, 8)), networks=pd.DataFrame({"a": [5, 6, 7]}, [2, 0, 1])
    )
    made = plug_ins.PlugInLearner("own", learn).fit(context)
    assert made.predict(context.first(2), 4.0).values.tolist() == [5, 6, 7]


# ---- the commands


def test_the_commands_say_from_whom_was_learned(tmp_path):
    for dataset, first in (("CIFAR100", 0), ("Other", 50)):
        (tmp_path / dataset).mkdir()
        for one in tables_of(11, first, dataset=dataset):
            write_table(one, tmp_path / dataset / f"{one.spec.id}.txt")
    own, other = tmp_path / "CIFAR100", tmp_path / "Other"

    def run(*words):
        return CliRunner().invoke(app, [*map(str, words)])

    asked = ["compare", own, other, "--methods", "gp", "--cutoffs", 2, "--learn-from"]
    said = run(*asked, "others").output
    assert (
        "\nCIFAR-100: learned from 11 networks of Other with finite curves up to epoch 4\n" in said
    )
    assert (
        "\nOther: learned from 11 networks of CIFAR-100 with finite curves up to epoch 4\n" in said
    )
    said = run("predict", own, "--method", "gp", "--learn-from", other).output
    assert (
        "\nCIFAR-100: learned from 11 networks of Other with finite curves up to epoch 4\n" in said
    )
    said = run(*asked, "all", "--error", 1).output
    assert "\nOther: learned from 22 networks of CIFAR-100, Other with finite curves up" in said
    problem = run(*asked, "other").exception
    assert str(problem) == "--learn-from: 'other' is no folder, and not same, others, all"
