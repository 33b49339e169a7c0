"""Methods by name: their grammar, and plugs of other packages, well-behaved and hostile."""

import math
import re
import signal
import textwrap
from pathlib import Path

import numpy as np
import pytest
from curve_samples import PUBLISHED, curves_of, loaded, saturating, table
from hypothesis import given
from hypothesis import strategies as st

import nnlc
from nnlc.analysis.predictors import plug_ins
from nnlc.analysis.predictors.families import FAMILIES
from nnlc.analysis.predictors.interface import FitFailure, Prediction
from nnlc.analysis.predictors.penguin import Penguin
from nnlc.analysis.predictors.registry import (
    ALL_METHODS,
    BUILT_IN,
    describe_methods,
    make_predictor,
    make_stop_rule,
    predictor_text,
)
from nnlc.errors import NnlcError

# ---- the grammar


def test_settings_are_read_as_they_are_written():
    made = make_predictor("penguin:epoch=10.5:points=3:window=4:tolerance=0.25")
    assert made == Penguin(10.5, 3, 4, 0.25)
    assert make_predictor("penguin") == Penguin()
    assert make_predictor("penguin", epoch=7.5).epoch == 7.5
    assert make_predictor("penguin:epoch=20", epoch=7.5).epoch == 20
    assert make_predictor("ensemble:members=pow3+exp3").members == ("pow3", "exp3")


@given(
    st.integers(2, 100),
    st.integers(102, 20_000),
    st.integers(1, 1000),
    st.integers(1, 10_000).map(lambda n: n / 100),
)
def test_what_is_made_can_be_written_and_read_again(points, last, window, tolerance):
    made = Penguin(last / 2, points, window, tolerance)
    assert make_predictor(predictor_text(made)) == made


def test_every_built_in_method_can_be_made_and_is_listed():
    listed = "\n".join(describe_methods())
    for name in (*BUILT_IN, *ALL_METHODS):
        made = make_predictor(name)
        assert made.name in BUILT_IN
        assert make_predictor(predictor_text(made)) == made
        assert made.name in listed
    assert {*FAMILIES, "last1", "ensemble", "gp", "penguin", "menndl"} == set(BUILT_IN)


WRONG = {
    "pengiun": "there is no method 'pengiun'; there are last1, pow2",
    "": "there is no method ''",
    "penguin:": "'' is no setting",
    "penguin:points": "'points' is no setting",
    "penguin:points=": "'points=' is no setting",
    "penguin:points=3:points=3": "each once",
    "penguin:e_pred=20": "penguin has no setting 'e_pred'; it has epoch, points, window, ",
    "pow4:points=3": "pow4 has no settings",
    "penguin:points=1": "points is '1', but must be a whole number from 2 to",
    "penguin:points=३": "whole number",
    "penguin:points=3.0": "whole number",
    "penguin:points=99999999999999999999": "whole number",
    "penguin:points=40": "first fit needs 40 points, but must come before epoch 20, ",
    "penguin:epoch=20.25": "steps of 0.5",
    "penguin:epoch=0": "from 0.5",
    "penguin:epoch=1e3": "a plain number",
    "penguin:tolerance=nan": "a plain number",
    "penguin:tolerance=0": "more than 0",
    "menndl:patience=-1": "a plain number",
    "ensemble:weights=best": "equal or likelihood",
    "ensemble:members=pow3+pow3": "different names",
    "ensemble:members=penguin": "different names, joined by +, of pow2",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_method_is_refused_with_what_would_be_right(text):
    with pytest.raises(NnlcError) as caught:
        make_predictor(text)
    assert WRONG[text] in str(caught.value)


@given(st.text(max_size=30))
def test_any_text_is_a_method_or_one_message(text):
    try:
        make_predictor(text)
    except NnlcError as problem:
        assert str(problem)  # noqa: PT017


def test_a_method_that_never_stops_is_no_stop_rule():
    with pytest.raises(NnlcError, match="pow4 never stops a training"):
        make_stop_rule("pow4")
    assert make_stop_rule("menndl").epoch == 20


@pytest.mark.parametrize(
    "text",
    [
        "penguin:epoch=20:points=2:window=3:tolerance=0.00005",
        "penguin:epoch=10000:points=3:window=1000:tolerance=0.1234567",
        "menndl:epoch=100.5:patience=0.5",
        "ensemble:weights=likelihood:members=pow4+mmf4",
    ],
)
def test_a_text_with_all_settings_is_read_as_what_it_was_made_of(text):
    assert predictor_text(make_predictor(text)) == text


@pytest.mark.parametrize("epoch", [float("nan"), float("inf"), 20.3, 0, 20_000])
def test_an_epoch_that_no_table_has_is_refused(epoch):
    with pytest.raises(NnlcError, match=r"must be from 0\.5 to 10000 in steps of 0\.5"):
        make_stop_rule("penguin", epoch=epoch)


# ---- plugs

GOOD = """
    from nnlc.analysis.predictors import FitFailure, Prediction

    class Half:
        def __init__(self, share=0.5):
            self.share = share

        def predict(self, prefix, epoch):
            if len(prefix.epochs) < 2:
                return FitFailure("one point is no curve")
            last = prefix.val_accuracy_percent[-1]
            return Prediction(last + self.share * (100 - last), 1.5)

    class Eager(Half):
        decides = True

        def predict(self, prefix, epoch):
            found = super().predict(prefix, epoch)
            stop = len(prefix.epochs) == 5
            return Prediction(found.value, stop=stop) if hasattr(found, "value") else found
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a package with these entry points, as pip would."""

    def installed(module, points, package="plugged"):
        folder = tmp_path / package
        info = folder / f"{package}-1.0.dist-info"
        info.mkdir(parents=True)
        (folder / f"{package}_module.py").write_text(textwrap.dedent(module))
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"{name} = {package}_module:{what}" for name, what in points.items()]
        (info / "entry_points.txt").write_text("[nnlc.predictors]\n" + "\n".join(lines) + "\n")
        monkeypatch.syspath_prepend(folder)

    return installed


def test_a_plug_predicts_and_takes_settings(install):
    install(GOOD, {"half": "Half", "eager": "Eager"})
    curves = curves_of([[10.0, 20.0], [30.0, 50.0]])
    assert list(make_predictor("half").predict(curves, 20.0).values) == [60.0, 75.0]
    assert list(make_predictor("half:share=1").predict(curves, 20.0).values) == [100.0, 100.0]
    assert make_predictor("half").predict(curves.first(1), 20.0).one(0) == FitFailure(
        "one point is no curve"
    )
    assert make_predictor("half").predict(curves, 20.0).one(0) == Prediction(60.0, 1.5)
    assert "half" in "\n".join(describe_methods())


def test_the_readmes_own_method_works_as_it_says(install):
    readme = (Path(__file__).resolve().parent.parent / "README.md").read_text()
    [code] = [
        block for block in re.findall(r"```python\n(.*?)```", readme, re.S) if "Halfway" in block
    ]
    install(code, {"halfway": "Halfway"}, package="halfway")
    curves = curves_of([[10, 20, 30, 60, 70], [50, 70, 81, 82, 83]])
    made = make_predictor("halfway:share=0.25")
    assert made.predict(curves, 20.0).one(0) == Prediction(77.5, 5.0)
    assert made.predict(curves.first(3), 20.0).one(0) == FitFailure("fewer than four points")
    stops = make_stop_rule("halfway").decide(curves)
    assert (list(stops.points), list(stops.converged)) == ([5, 4], [False, True])


def test_a_plug_that_decides_is_a_stop_rule_everywhere(install):
    install(GOOD, {"half": "Half", "eager": "Eager"})
    stops = make_stop_rule("eager").decide(curves_of(saturating(2, 40)))
    assert list(stops.points) == [5, 5]
    assert stops.converged.all()
    tables = loaded(table(1, range(40)), table(2, range(1, 41)))
    found = nnlc.compare(tables, ["eager", "half"], cutoffs=[5])
    assert list(found["method"]) == ["last1", "eager", "half"]
    assert list(found["cutoff_epoch"]) == [5, 2.5, 5]
    stopper = nnlc.Stopper("eager")
    decisions = [stopper.add(row).stop for row in table(1, range(5)).rows]
    # At the last point training ends anyway.
    at_the_end = nnlc.Stopper("eager", epoch=2.5)
    assert not any(at_the_end.add(row).stop for row in table(1, range(5)).rows)
    assert decisions == [False, False, False, False, True]
    with pytest.raises(NnlcError, match=r"half never stops.*decides = True"):
        make_stop_rule("half")


def test_a_plug_that_learns_can_not_stop_a_training(install):
    learner = f"{GOOD}\n    class Learner(Half):\n        learn = print\n"
    learner += "\n    class Both(Eager):\n        learn = print\n"
    learner += "\n    class Rate(Half):\n        learn = 0.1\n"
    plugs = {"learner": "Learner", "both": "Both", "rate": "Rate"}
    install(learner, plugs, package="learning")
    assert type(make_predictor("rate")) is plug_ins.PlugIn
    with pytest.raises(NnlcError, match=r"^learner learns from finished curves, of which a"):
        make_stop_rule("learner")
    with pytest.raises(NnlcError, match=r"'both' of learning .* can't have `decides = True`"):
        make_predictor("both")


def test_a_built_in_name_loads_no_plug(install):
    install("raise RuntimeError('loaded')", {"penguin": "Any", "other": "Any"})
    assert make_predictor("penguin") == Penguin()
    assert "other" in "\n".join(describe_methods())


BAD_MODULES = {
    "raise RuntimeError('no\\nluck')": "RuntimeError: no?luck",
    "import no_such_module": "ModuleNotFoundError",
    "raise SystemExit(3)": "SystemExit: 3",
    "": "AttributeError",
    "PlugIn = 3": "TypeError",
    "class PlugIn:\n    pass": "AttributeError",
    "class PlugIn:\n    def __init__(self): raise ValueError('x' * 5000)": "ValueError: xxx",
}


@pytest.mark.parametrize("module", BAD_MODULES)
def test_a_plug_that_does_not_load_is_one_message_with_its_name(install, module):
    install(module, {"bad": "PlugIn"}, package=f"bad{abs(hash(module))}")
    with pytest.raises(NnlcError, match="the predictor 'bad' of bad") as caught:
        make_predictor("bad")
    assert BAD_MODULES[module] in str(caught.value)
    assert len(str(caught.value)) < 700
    assert "\n" not in str(caught.value)


def test_two_packages_with_one_name_are_refused(install):
    install(GOOD, {"half": "Half"}, package="first")
    install(GOOD, {"half": "Half"}, package="second")
    with pytest.raises(NnlcError, match=r"2 packages have a predictor 'half': first .*, second"):
        make_predictor("half")


class Hostile:
    """A plug that does one thing."""

    def __init__(self, act):
        self._act = act

    def predict(self, prefix, epoch):
        return self._act(prefix)


def _raise(problem):
    raise problem


class Unprintable(Exception):  # noqa: N818
    def __str__(self):
        raise ValueError


HOSTILE = {
    "raises": (lambda _: 1 / 0, "raised ZeroDivisionError"),
    "leaves": (lambda _: _raise(SystemExit(0)), "raised SystemExit"),
    "can't say": (lambda _: _raise(Unprintable()), "(no text)"),
    "writes": (lambda prefix: prefix.val_accuracy_percent.fill(1), "raised ValueError"),
    "nothing": (lambda _: None, "gave NoneType, neither"),
    "a float": (lambda _: 50.0, "gave float, neither"),
    "NaN": (lambda _: Prediction(math.nan), "gave nan, which is no accuracy"),
    "NumPy's NaN": (lambda _: Prediction(np.float64("nan")), "gave nan, which is no accuracy"),
    "text": (lambda _: Prediction("50"), "which is no accuracy"),
    "True": (lambda _: Prediction(True), "which is no accuracy"),
    "134": (lambda _: Prediction(134.0), "gave 134.0, which is no accuracy"),
    "negative": (lambda _: Prediction(50.0, -1.0), "no standard deviation"),
    "infinite": (lambda _: Prediction(50.0, math.inf), "no standard deviation"),
    "maybe": (lambda _: Prediction(50.0, stop="yes"), "gave a stop that is neither"),
    "no reason": (lambda _: FitFailure(None), "gave no text"),
    "a novel": (lambda _: FitFailure("\x1b[2J" + "x" * 9999), "?[2Jxxx"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_whatever_a_plug_does_is_its_own_failure(kind):
    act, word = HOSTILE[kind]
    plug = plug_ins.PlugIn("hostile", Hostile(act).predict)
    curves = curves_of([PUBLISHED, PUBLISHED])
    outcome = plug.predict(curves, 20.0).one(1)
    assert isinstance(outcome, FitFailure)
    assert word in outcome.reason
    assert len(outcome.reason) < 250
    assert "\x1b" not in outcome.reason
    assert np.array_equal(curves.val_accuracy_percent, [PUBLISHED, PUBLISHED])


def test_a_plug_may_be_interrupted():
    plug = plug_ins.PlugIn("slow", Hostile(lambda _: signal.raise_signal(signal.SIGINT)).predict)
    with pytest.raises(KeyboardInterrupt):
        plug.predict(curves_of(PUBLISHED), 20.0)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    "problem",
    [
        *("SystemExit", "KeyboardInterrupt", "GeneratorExit", "SyntaxError", "MemoryError"),
        *("RecursionError", "BaseException"),
    ],
)
@pytest.mark.parametrize("place", ["at import", "when made", "when asked"])
def test_whatever_a_plug_raises_is_words(install, place, problem):
    raising = f"raise {problem}"
    module = {
        "at import": raising,
        "when made": f"def PlugIn():\n    {raising}",
        "when asked": f"class PlugIn:\n    def predict(self, *_):\n        {raising}",
    }[place]
    install(module, {"bad": "PlugIn"}, package=f"bad_{place}_{problem}".replace(" ", "_"))
    tables = loaded(table(1, range(40)))
    if place == "when asked":
        found = nnlc.predict(tables, method="bad")
        assert problem in found["reason"][0]
    else:
        with pytest.raises(NnlcError, match=f"the predictor 'bad' .*{problem}"):
            nnlc.predict(tables, method="bad")


def test_what_a_plug_prints_is_none_of_what_was_asked_for(install, capsys):
    install(
        GOOD.replace("share=0.5):", "share=0.5):\n            print('mine')"),
        {"half": "Half"},
        "printing",
    )
    make_predictor("half")
    words = capsys.readouterr()
    assert (words.out, words.err) == ("", "mine\n")


def test_damaged_entry_points_of_any_package_are_one_message(install):
    install("", {"x": "y\ngarbage"})
    with pytest.raises(
        NnlcError, match="entry points of an installed Python package can't be read"
    ):
        make_predictor("unknown")


def test_methods_that_differ_in_a_plugs_settings_only_are_two_methods_everywhere(install):
    install(GOOD, {"half": "Half", "eager": "Eager"})
    tables = loaded(table(1, range(40)), table(2, range(1, 41)))
    methods = ["half", "half:share=0.05", "half:share=0.050", "eager", "eager:share=0.1"]
    found = nnlc.compare(tables, methods, cutoffs=[5])
    names = ["last1", "half", "half:share=0.05", "eager", "eager:share=0.1"]
    assert list(found["method"]) == names
    assert found["mean_error"].nunique() == len(names)
    assert nnlc.predict(tables, method="half:share=0.05").attrs["method"] == "half:share=0.05"
    assert nnlc.Stopper("eager:share=0.1").method == "eager:share=0.1"
