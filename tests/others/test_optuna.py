"""Benchmark of tables as an objective of Optuna's own studies, samplers and pruners."""

import optuna
import pandas as pd
import pytest
import search
from optuna.pruners import HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BruteForceSampler, GridSampler, RandomSampler, TPESampler
from optuna.trial import FixedTrial, TrialState
from tabular_samples import programs_of, write_networks

from nnlc import Benchmark, Tables
from nnlc.errors import NnlcError

optuna.logging.set_verbosity(optuna.logging.WARNING)
PRUNERS = {
    "none": NopPruner(),
    "median": MedianPruner(n_startup_trials=3),
    "halving": SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
    "hyperband": HyperbandPruner(min_resource=1, max_resource=8, reduction_factor=2),
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Benchmark(write_networks(tmp_path_factory.mktemp("results")))


def study_of(sampler=None, pruner=None):
    return optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)


@pytest.mark.parametrize("surrogate", [None, "nearest"])
@pytest.mark.parametrize("pruner", PRUNERS)
@pytest.mark.parametrize("sampler", [RandomSampler, TPESampler])
def test_each_sampler_and_pruner_searches_and_each_trial_costs_what_it_trained(
    bench, sampler, pruner, surrogate
):
    study = study_of(sampler(seed=1), PRUNERS[pruner])
    study.optimize(bench.objective(surrogate=surrogate), n_trials=30)
    for trial in study.trials:
        id_, half_epochs = trial.user_attrs["network"], trial.user_attrs["half_epochs"]
        curve = bench.trajectory(id_)["val_accuracy_percent"][:half_epochs]
        assert trial.intermediate_values == dict(enumerate(curve, 1))
        assert trial.user_attrs["seconds"] == bench.seconds(id_, half_epochs / 2)
        assert trial.value == curve.iloc[-1]
        assert (trial.state == TrialState.COMPLETE) == (half_epochs == 8)
    pruned = study.get_trials(states=[TrialState.PRUNED])
    assert bool(pruned) == (pruner != "none")
    assert study.best_value == max(
        trial.value for trial in study.get_trials(states=[TrialState.COMPLETE])
    )


def test_a_surrogate_takes_no_id_and_no_value_that_optuna_refuses(bench):
    study = study_of()
    study.enqueue_trial({"network": bench.ids[0]})
    objective = bench.objective(surrogate="nearest")
    with pytest.raises(NnlcError, match="no 'network': enqueue depth, optimizer, learning_rate"):
        study.optimize(objective, n_trials=1)
    study.enqueue_trial({"learning_rate": 0})
    with pytest.raises(NnlcError, match=r"suggest learning_rate \(.*\): there are numbers from "):
        study.optimize(objective, n_trials=1)


@pytest.mark.parametrize("sampler", ["grid", "brute force"])
def test_all_networks_can_be_searched_once_each(bench, sampler):
    objective = bench.objective()
    all_of = (
        GridSampler({"network": objective.ids}) if sampler == "grid" else BruteForceSampler(seed=1)
    )
    study = study_of(all_of)
    study.optimize(objective)
    assert sorted(trial.params["network"] for trial in study.trials) == list(bench.ids)
    assert study.best_value == bench.best(epoch=4).val_accuracy_percent


def test_a_network_is_named_by_a_fixed_trial_or_enqueued(bench):
    objective, id_ = bench.objective(), bench.ids[3]
    fixed = FixedTrial({"network": id_})
    assert objective(fixed) == bench.query(id_, 4).val_accuracy_percent
    expected = {"network": id_, "half_epochs": 8, "seconds": bench.seconds(id_)}
    assert fixed.user_attrs == expected
    study = study_of()
    study.enqueue_trial({"network": id_})
    study.optimize(objective, n_trials=1)
    assert study.trials[0].user_attrs == expected


def test_the_hyperparameters_of_a_network_are_answered_by_itself(bench):
    objective = bench.objective(surrogate="nearest")
    frame = objective.chosen.hyperparameters
    for name in ("momentum", "dampening", "weight_decay"):
        # Optuna has no 0 on a logarithmic scale; the smallest positive value stands for it.
        frame[name] = frame[name].clip(lower=frame[name][frame[name] > 0].min())
    for id_, values in frame.iterrows():
        study = study_of()
        study.enqueue_trial(values.dropna().to_dict())
        study.optimize(objective, n_trials=1)
        assert study.trials[0].user_attrs["network"] == id_
        assert set(study.trials[0].params) == set(values.dropna().index)


def test_costs_in_epochs_and_fewer_half_epochs_are_by_name(bench):
    trial = FixedTrial({"network": bench.ids[0]})
    objective = bench.objective(half_epochs=5, cost="epochs")
    assert objective(trial) == bench.query(bench.ids[0], 2.5).val_accuracy_percent
    assert trial.user_attrs["half_epochs"] == objective.half_epochs == 5
    assert trial.user_attrs["epochs"] == 2.5


@pytest.mark.parametrize(
    ("study", "enqueued", "words"),
    [
        ({"direction": "minimize"}, {}, r'the study is not: make it .*\(direction="maximize"\)'),
        ({"directions": ["maximize"] * 2}, {}, "one accuracy, to be maximised, but the study"),
        (
            {"direction": "maximize"},
            {"network": "x"},
            r"suggest network \('x'\): there are 2026_11",
        ),
        ({"direction": "maximize"}, {"depth": 1}, "no 'depth': enqueue network, or with surrogate"),
        (
            {"direction": "maximize", "sampler": GridSampler({"network": ["x"]})},
            {},
            r"suggest network \('x'\): there are 2026_11.* and 4 more",
        ),
    ],
)
def test_a_study_that_asks_something_else_ends_with_one_line(bench, study, enqueued, words):
    asked = optuna.create_study(**study)
    if enqueued:
        asked.enqueue_trial(enqueued)
    with pytest.raises(NnlcError, match=words) as caught:
        asked.optimize(bench.objective(), n_trials=1)
    assert "\n" not in str(caught.value)


def test_folders_that_are_no_benchmark_are_refused_with_what_to_do(tmp_path):
    two = write_networks(tmp_path / "two", 4)
    write_networks(two, 4, first=4, dataset="F-MNIST")
    one = write_networks(tmp_path / "one", 1)
    silent = write_networks(tmp_path / "silent", 4, seconds=False)
    stopped = write_networks(tmp_path / "stopped", 2)
    for number in range(3):
        write_networks(stopped, 1, 3 + number, first=2 + number)
    for folder, words in (
        (two, "several datasets: give one of F-MNIST, SVHN as dataset="),
        (one, "at least 2 networks, but there is only"),
        (silent, 'or give cost="epochs"'),
        (stopped, "lengths go from 3 to 8, and half_epochs=3 takes all networks"),
    ):
        with pytest.raises(NnlcError, match=words):
            Benchmark(folder).objective()
    assert len(Benchmark(two).objective("F-MNIST").ids) == 4
    assert len(Benchmark(stopped).objective(half_epochs=3).ids) == 5


def test_curves_without_hyperparameters_have_no_surrogate():
    curves = pd.DataFrame({"id": ["a", "b"], "epoch": 1, "val_accuracy_percent": [50.0, 60.0]})
    bench = Benchmark(Tables.from_frames(curves))
    assert bench.objective(cost="epochs")(FixedTrial({"network": "b"})) == 60.0
    with pytest.raises(NnlcError, match="these tables have none: leave out surrogate="):
        bench.objective(cost="epochs", surrogate="nearest")
    with pytest.raises(NnlcError, match="surrogate is 'linear', but can only be 'nearest'"):
        bench.objective(cost="epochs", surrogate="linear")


def test_random_search_and_halving_are_to_the_last_digit_those_on_the_benchmark(
    tmp_path, monkeypatch, capsys
):
    folder = write_networks(tmp_path, 24, 30)
    monkeypatch.setattr("sys.argv", ["search.py", str(folder), "--seeds", "3"])
    assert search.main() == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "equal to the last digit: Optuna; not compared: Syne Tune is not installed"
    monkeypatch.setattr(search.Optuna, "goes_on", staticmethod(lambda errors: True))
    assert search.main() == 1
    assert "halving of Optuna, seed 1: network " in capsys.readouterr().out


def test_the_programs_of_the_page_run(tmp_path, monkeypatch, capsys):
    bench = Benchmark(write_networks(tmp_path / "results" / "curves", half_epochs=40))
    monkeypatch.chdir(tmp_path)
    halving, nearest = programs_of("Optuna")
    known: dict = {}
    exec(compile(halving, "successive halving", "exec"), known)
    ends = [trial.user_attrs["half_epochs"] for trial in known["study"].trials]
    assert len(set(ends)) > 2
    assert len(ends) == 60
    spent = [trial.user_attrs["seconds"] for trial in known["study"].trials]
    assert capsys.readouterr().out == (
        f"{sum(spent):.1f} s for 60 trials: {known['regret']:.1f} percentage points from the best\n"
    )
    exec(compile(nearest, "the nearest network", "exec"), known)
    id_, rate = capsys.readouterr().out.split()
    assert float(rate) == bench.specification(id_).learning_rate
