"""The stopper beside a training network says what the rule says of whole tables."""

import subprocess
import sys

import pytest
from curve_samples import PUBLISHED, curves_of, saturating, table
from limits import HANG_SECONDS

import nnlc
from nnlc.analysis.predictors.registry import make_stop_rule
from nnlc.errors import NnlcError
from nnlc.tables import Row


def rows_of(accuracies):
    return table(1, accuracies).rows


def follow(stopper, rows):
    for row in rows:
        decision = stopper.add(row)
        if decision.stop:
            return decision
    return decision


@pytest.mark.parametrize("method", ["penguin", "penguin:points=3", "menndl:patience=2"])
def test_it_stops_where_the_rule_does_with_the_same_bits(method):
    accuracies = saturating(2, noise=0.05, seed=8)
    stops = make_stop_rule(method).decide(curves_of(accuracies))
    assert stops.converged.all()
    for network, curve in enumerate(accuracies):
        decision = follow(nnlc.Stopper(method), rows_of(curve))
        assert decision.stop
        assert decision.epoch == stops.points[network] / 2
        assert decision.predicted == stops.values[network]


def test_its_state_is_the_rows():
    rows = rows_of(PUBLISHED)
    step = nnlc.Stopper("penguin")
    whole = [step.add(row) for row in rows]
    for done in (1, 6):
        resumed = nnlc.Stopper("penguin", rows[:done])
        assert resumed.decision == whole[done - 1]
        assert [resumed.add(row) for row in rows[done:]] == whole[done:]
    assert [one.stop for one in whole] == [False] * 7 + [True]
    assert whole[0].reason == "no prediction: every fit failed or has its asymptote at the bound"
    assert whole[7].predicted == pytest.approx(25.7121, abs=1e-3)
    assert step.method == "penguin:epoch=20:points=2:window=3:tolerance=0.5"
    assert step.target == 20


def test_there_is_nothing_after_the_stop():
    rows = [Row(1.0, 1.0, 25.0)] * 3
    stopper = nnlc.Stopper("menndl:patience=1", rows)
    with pytest.raises(NnlcError, match=r"stopped this network at epoch 1\.5"):
        stopper.add(Row(1.0, 1.0, 25.0))


def test_a_lost_network_is_not_stopped_and_one_at_the_end_has_not_converged():
    lost = nnlc.Stopper("penguin", [*rows_of(PUBLISHED)[:3], Row(1.0, None, 24.2)])
    assert not lost.decision.stop
    assert "not finite at epoch 2" in lost.decision.reason
    end = nnlc.Stopper("penguin:epoch=2", rows_of(PUBLISHED)[:4])
    assert not end.decision.stop
    assert end.decision.reason == "has not converged by epoch 2"


def test_a_method_that_never_stops_is_refused():
    with pytest.raises(NnlcError, match="last1 never stops a training; penguin and menndl do"):
        nnlc.Stopper("last1")


def test_it_loads_neither_pandas_nor_scipy_nor_torch():
    code = (
        "import sys, nnlc; from nnlc.tables import Row; s = nnlc.Stopper('penguin')\n"
        "for n in (9.68, 14.91, 17.29): s.add(Row(1.0, 1.0, n))\n"
        "sys.exit(', '.join({'pandas', 'scipy', 'torch'} & sys.modules.keys()) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=HANG_SECONDS)
