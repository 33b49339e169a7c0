"""Benchmark of tables as a blackbox of Syne Tune's own simulator and schedulers."""

import re

import numpy as np
import pandas as pd
import pytest
import search
from sklearn.neighbors import KNeighborsRegressor
from syne_tune import StoppingCriterion, Tuner
from syne_tune.backend.simulator_backend.simulator_callback import SimulatorCallback
from syne_tune.blackbox_repository import UserBlackboxBackend, add_surrogate
from syne_tune.config_space import is_log_space
from syne_tune.optimizer.baselines import ASHA, BOHB, REA, TPE, RandomSearch
from tabular_samples import programs_of, write_networks

from nnlc import Benchmark, Tables
from nnlc.errors import NnlcError

ERROR = "val_error_percent"
HALVING = {"time_attr": "half_epoch", "max_t": 8, "reduction_factor": 2}


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Benchmark(write_networks(tmp_path_factory.mktemp("results"), 24))


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNETUNE_FOLDER", str(tmp_path))


def searched(blackbox, scheduler, trials=12):
    """Return the last result of each trial, in order, of a search with one worker."""
    results = SimulatorCallback()
    Tuner(
        UserBlackboxBackend(blackbox, elapsed_time_attr="elapsed_time", tuner_sleep_time=0.01),
        scheduler,
        StoppingCriterion(max_num_trials_finished=trials),
        n_workers=1,
        sleep_time=0,
        save_tuner=False,
        callbacks=[results],
    ).run()
    return results.dataframe().groupby("trial_id").last()[:trials]


def in_order(blackbox, ids):
    """Return arguments of a scheduler that tries these networks."""
    return {
        "config_space": blackbox.configuration_space,
        "points_to_evaluate": [{"id": id_} for id_ in ids],
    }


def regret_over_cost(bench, trained):
    """Return seconds spent and points above the least error, after each network."""
    least = 100 - bench.best(epoch=4).val_accuracy_percent
    seconds, error, told = 0.0, 100.0, []
    for id_, half_epochs in trained:
        seconds += bench.seconds(id_, half_epochs / 2)
        error = min(error, 100 - bench.query(id_, half_epochs / 2).val_accuracy_percent)
        told.append((seconds, error - least))
    return told


def halving(bench, ids):
    """Yield how long asynchronous successive halving with stopping trains each network."""
    rungs = {1: [], 2: [], 4: [], 8: []}
    for id_ in ids:
        for half_epoch, errors in rungs.items():
            error = 100 - bench.query(id_, half_epoch / 2).val_accuracy_percent
            errors.append(error)
            if sum(one < error for one in errors) / len(errors) > 1 / 2:
                break
        yield id_, half_epoch


@pytest.mark.parametrize("method", ["random search", "successive halving"])
def test_regret_over_cost_is_that_of_the_same_method_on_the_benchmark(bench, method):
    blackbox, ids = bench.to_syne_tune(), bench.sample(24, 8)
    known = in_order(blackbox, ids)
    if method == "random search":
        scheduler, expected = RandomSearch(metrics=[ERROR], **known), [(id_, 8) for id_ in ids]
    else:
        scheduler, expected = ASHA(metric=ERROR, **known, **HALVING), [*halving(bench, ids)]
    found = searched(blackbox, scheduler, 24)
    trained = [*zip(found["config_id"], found["half_epoch"], strict=True)]
    assert trained == expected
    assert {half_epochs for _, half_epochs in trained} == (
        {8} if method == "random search" else {1, 2, 4, 8}
    )
    regret = found[ERROR].cummin() - (100 - bench.best(epoch=4).val_accuracy_percent)
    told = [*zip(found["elapsed_time"].cumsum(), regret, strict=True)]
    assert told == regret_over_cost(bench, expected)


@pytest.mark.parametrize("surrogate", [None, "nearest"])
@pytest.mark.parametrize("scheduler", [RandomSearch, ASHA, REA, TPE, BOHB])
def test_schedulers_search_and_see_the_curves_of_existing_networks(bench, scheduler, surrogate):
    blackbox = bench.to_syne_tune(surrogate=surrogate)
    options = HALVING if scheduler in (ASHA, BOHB) else {}
    metric = {"metrics": [ERROR]} if scheduler is RandomSearch else {"metric": ERROR}
    found = searched(
        blackbox, scheduler(blackbox.configuration_space, random_seed=1, **metric, **options)
    )
    assert len(found) == 12
    for _, row in found.iterrows():
        config = {name: row[f"config_{name}"] for name in blackbox.configuration_space}
        seen = bench.query(blackbox.network_of(config), row["half_epoch"] / 2)
        assert row[ERROR] == 100 - seen.val_accuracy_percent
        assert row["elapsed_time"] == seen.seconds


def test_the_hyperparameters_of_a_network_are_answered_by_itself(bench):
    blackbox = bench.to_syne_tune(surrogate="nearest")
    space = blackbox.configuration_space
    assert {"conv3_kernel", "learning_rate", "depth"} <= set(space)
    assert "optimizer" not in space  # the same for all
    assert is_log_space(space["learning_rate"])
    assert not is_log_space(space["dropout_rate"])
    for id_, config in zip(bench.ids, blackbox.all_configurations(), strict=True):
        assert all(space[name].is_valid(value) for name, value in config.items())
        assert blackbox.network_of(config) == id_
    rng = np.random.RandomState(1)
    drawn = {name: domain.sample(random_state=rng) for name, domain in space.items()}
    id_ = blackbox.network_of(drawn)
    assert blackbox.objective_function(drawn, fidelity=3) == {
        ERROR: 100 - bench.query(id_, 1.5).val_accuracy_percent,
        "elapsed_time": bench.seconds(id_, 1.5),
    }


def test_one_half_epoch_or_all_are_answered_and_syne_tune_can_learn_from_them(bench):
    blackbox, id_ = bench.to_syne_tune(half_epochs=5, cost="epochs"), bench.ids[4]
    curve = blackbox.objective_function({"id": id_})
    assert curve[:, 0].tolist() == [
        100 - one for one in bench.trajectory(id_, stop=2.5)["val_accuracy_percent"]
    ]
    assert curve[:, 1].tolist() == [0.5, 1.0, 1.5, 2.0, 2.5]
    expected = curve[1].tolist()
    curve[:] = 0  # the caller's own
    for fidelity in (2, {"half_epoch": 2}, np.int64(2)):
        assert [*blackbox.objective_function({"id": id_}, fidelity).values()] == expected
    blackbox = bench.to_syne_tune(surrogate="nearest")
    learned = add_surrogate(blackbox, KNeighborsRegressor(n_neighbors=1), predict_curves=False)
    config = blackbox.all_configurations()[0]
    assert learned(config, 8)[ERROR] == pytest.approx(blackbox(config, 8)[ERROR])


@pytest.mark.parametrize(
    ("configuration", "fidelity", "words"),
    [
        ({"id": "x"}, 1, r"\{'id': 'x'\} is none of the 24 networks: give \{'id': ID\}, or"),
        ({}, 1, "is none of the 24 networks"),
        ({"depth": 2}, None, 'or with surrogate="nearest" hyper'),
        ({"id": ["x"]}, 1, "is none of the 24 networks"),
        (3, 1, "3 is none of the 24 networks"),
        (None, 0, "half_epoch is 0: give a whole number from 1 to 8"),
        (None, 9, "half_epoch is 9"),
        (None, {"epoch": 1}, r"half_epoch is \{'epoch': 1\}: give a whole number"),
        (None, True, "half_epoch is True"),
        (None, 1.5, "half_epoch is 1.5"),
    ],
)
def test_what_is_no_network_or_half_epoch_is_refused_in_one_line(
    bench, configuration, fidelity, words
):
    if configuration is None:
        configuration = {"id": bench.ids[0]}
    with pytest.raises(NnlcError, match=words) as caught:
        bench.to_syne_tune().objective_function(configuration, fidelity)
    assert "\n" not in str(caught.value)


def test_tables_without_hyperparameters_have_no_surrogate():
    curves = pd.DataFrame({"id": ["a", "b"], "epoch": 1, "val_accuracy_percent": [50.0, 60.0]})
    bench = Benchmark(Tables.from_frames(curves))
    assert bench.to_syne_tune(cost="epochs")({"id": "b"}, 1) == {ERROR: 40.0, "elapsed_time": 1.0}
    with pytest.raises(NnlcError, match="these tables have none: leave out surrogate="):
        bench.to_syne_tune(cost="epochs", surrogate="nearest")
    with pytest.raises(NnlcError, match='give cost="epochs" to count epochs'):
        bench.to_syne_tune()


def test_networks_with_the_same_hyperparameters_are_told_apart_by_their_ids():
    curves = pd.DataFrame({"id": ["a", "b", "c"], "epoch": 1, "val_accuracy_percent": [5, 6, 7.0]})
    networks = pd.DataFrame({"id": ["a", "b", "c"], "width": [1, 1, 2]})
    bench = Benchmark(Tables.from_frames(curves, networks))
    assert bench.to_syne_tune(cost="epochs")({"id": "b"}, 1)[ERROR] == 94
    blackbox = bench.to_syne_tune(cost="epochs", surrogate="nearest")
    assert [blackbox.network_of({"width": width}) for width in (1, 2)] == ["a", "c"]
    equal = Benchmark(Tables.from_frames(curves, networks.assign(width=1)))
    with pytest.raises(NnlcError, match="these tables have none: leave out surrogate="):
        equal.to_syne_tune(cost="epochs", surrogate="nearest")


def test_the_program_of_the_page_runs(tmp_path, monkeypatch, capsys):
    [program] = programs_of("Syne Tune")
    bench = Benchmark(write_networks(tmp_path / "results" / "curves", 30, 40))
    monkeypatch.chdir(tmp_path)
    known: dict = {}
    exec(compile(program, "the program", "exec"), known)
    trials = known["trials"]
    assert trials["config_id"].tolist() == bench.sample(20, 1)
    spent = sum(
        bench.seconds(id_, last / 2)
        for id_, last in zip(trials["config_id"], trials["half_epoch"], strict=True)
    )
    assert re.search(
        rf"{spent:.1f} s for 20 networks: [\d.]+ percentage points from the best",
        capsys.readouterr().out,
    )


def test_searches_of_the_benchmark_program_are_to_the_last_digit_those_on_the_tables(
    tmp_path, monkeypatch, capsys
):
    folder = write_networks(tmp_path, 12, 10)
    monkeypatch.setattr("sys.argv", ["search.py", str(folder), "--seeds", "1"])
    assert search.main() == 0
    assert "Syne Tune" in capsys.readouterr().out.splitlines()[-1]
    monkeypatch.setattr(search.SyneTune, "goes_on", staticmethod(lambda errors: True))
    assert search.main() == 1
    assert "halving of Syne Tune, seed 1: network " in capsys.readouterr().out
