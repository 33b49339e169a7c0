"""Benchmark of tables as a tabular benchmark of mf-prior-bench, through its own interface."""

import copy

import numpy as np
import pandas as pd
import pytest
from mfpbench import TabularBenchmark
from tabular_samples import programs_of, write_networks

from nnlc import Benchmark, Tables
from nnlc.errors import NnlcError


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Benchmark(write_networks(tmp_path_factory.mktemp("results")))


@pytest.fixture(scope="module")
def theirs(bench):
    return bench.to_mfpbench()


@pytest.fixture(scope="module")
def nearest(bench):
    return bench.to_mfpbench(surrogate="nearest", seed=1)


def test_each_network_and_half_epoch_has_the_tables_values(bench, theirs):
    assert isinstance(theirs, TabularBenchmark)
    assert theirs.fidelity_range == (1, 8, 1)
    assert theirs.fidelity_name == "half_epoch"
    assert sorted(theirs.configs) == list(bench.ids)
    for id_, config in theirs.configs.items():
        results = theirs.trajectory(config)
        assert [result.fidelity for result in results] == list(range(1, 9))
        for result in (*results, theirs.query(config), theirs.query(id_, at=3)):
            expected = bench.query(id_, result.fidelity / 2)
            assert result.values == {
                "val_accuracy_percent": expected.val_accuracy_percent,
                "val_loss": expected.val_loss,
                "train_loss": expected.train_loss,
                "seconds": expected.seconds,
            }
            assert result.cost == expected.seconds
            assert result.error == abs(100 - expected.val_accuracy_percent) / 100
            assert result.score == expected.val_accuracy_percent / 100
            assert (result.config, result.value_metric_test) == (config, None)


def test_all_that_names_a_network_answers_with_it(bench, theirs):
    for id_, config in theirs.configs.items():
        unnamed = theirs.Config.from_dict(dict(config))
        for named in (id_, config, {"id": id_}, dict(config), {"id": id_} | dict(config), unnamed):
            assert theirs.query(named, at=2).config.id == id_
    for sample in (theirs.sample(seed=1), *theirs.sample(12, seed=2)):
        assert theirs.query(sample).config == sample
    assert len({config.id for config in theirs.sample(12, seed=2)}) == 12
    drawn = bench.to_mfpbench(seed=1).space.sample_configuration(20)
    assert drawn == bench.to_mfpbench(seed=1).space.sample_configuration(20)
    assert drawn != bench.to_mfpbench(seed=2).space.sample_configuration(20)
    for sample in drawn:
        assert theirs.query(sample, at=1).config.id == sample["id"]


def test_a_frame_keeps_apart_networks_with_the_same_hyperparameters():
    epochs = [1, 2, 3]
    curves = pd.concat(
        pd.DataFrame({"id": id_, "epoch": epochs, "val_accuracy_percent": values})
        for id_, values in {"a": [1, 2, 3], "b": [3, 2, 1], "c": [1, 3, 2]}.items()
    )
    theirs = Benchmark(Tables.from_frames(curves)).to_mfpbench(cost="epochs")
    frame = theirs.frame()
    for config in theirs.configs.values():
        for result in theirs.trajectory(config):
            frame.add(result)
    assert len(list(frame.configs)) == 3
    with pytest.raises(NnlcError, match="no network has these hyperparameters: give the ID"):
        theirs.query({})
    assert [result.cost for result in frame[theirs.configs["b"]]] == [1, 2, 3]
    assert np.isinf(theirs.query("a").val_loss.value)
    ranks = frame.correlations(at=epochs)
    assert ranks.shape == (3, 3)
    assert ranks[0, 2] < 0
    assert copy.deepcopy(theirs.configs["a"]) == theirs.configs["a"]


def test_what_a_network_does_not_have_is_0(bench, theirs):
    frame = bench.chosen().hyperparameters
    assert frame.isna().any(axis=None)
    for id_, values in frame.iterrows():
        assert dict(theirs.configs[id_]) == {k: 0 if v is pd.NA else v for k, v in values.items()}


def test_the_nearest_network_answers_only_if_named_and_is_in_the_result(theirs, nearest):
    config = theirs.configs[theirs.sample(seed=3).id]
    other = config.mutate(learning_rate=config.learning_rate * 1.01)
    for asked in (other, dict(other), {"id": config.id} | dict(other)):
        with pytest.raises(NnlcError, match=r'no network has these .* surrogate="nearest"'):
            theirs.query(asked)
    for asked in (other, dict(other)):
        result = nearest.query(asked, at=4)
        assert result.config.id == config.id
        assert result.values == theirs.query(config, at=4).values
        assert nearest.trajectory(asked)[3] == result
    for id_, known in nearest.configs.items():
        assert nearest.query(dict(known)).config.id == id_
    assert nearest.space["learning_rate"].log
    assert not nearest.space["dropout_rate"].log
    answers = {nearest.query(one, at=1).config.id for one in nearest.space.sample_configuration(50)}
    assert len(answers) > 3


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda theirs: theirs.query("x"), "none of the 12 networks has the ID 'x'"),
        (lambda theirs: theirs.query(7), "none of the 12 networks has the ID '7'"),
        (lambda theirs: theirs.query([7]), r"none of the 12 networks has the ID '\[7\]'"),
        (lambda theirs: theirs.query({"id": [7]}), r"none of the 12 networks has the ID \[7\]"),
        (lambda theirs: theirs.query({"depth": 1}), "no network has these hyperparameters"),
        (lambda theirs: theirs.query({}), "no network has these hyperparameters"),
        *(
            (
                lambda theirs, at=at: theirs.query(theirs.sample(), at=at),
                f"half_epoch is {at!r}: give a whole number from 1 to 8",
            )
            for at in (0, 9, -1, 1.5, "2", True)
        ),
        (lambda theirs: theirs.trajectory(theirs.sample(), frm=0), "half_epoch is 0: give"),
        (lambda theirs: theirs.trajectory(theirs.sample(), to=9), "half_epoch is 9: give"),
        (
            lambda theirs: theirs.trajectory(theirs.sample(), frm=5, to=4),
            "half_epoch is 4: give a whole number from 5 to 8",
        ),
    ],
)
def test_a_query_of_no_network_or_half_epoch_is_one_line(theirs, ask, words):
    with pytest.raises(NnlcError, match=words) as caught:
        ask(theirs)
    assert "\n" not in str(caught.value)


def test_folders_that_are_no_benchmark_are_refused_with_what_to_do(tmp_path, bench):
    two = write_networks(tmp_path / "two", 4)
    write_networks(two, 4, first=4, dataset="F-MNIST")
    one = write_networks(tmp_path / "one", 1)
    silent = write_networks(tmp_path / "silent", 4, seconds=False)
    short = write_networks(tmp_path / "short", 4, 1)
    for folder, words in (
        (two, "several datasets: give one of F-MNIST, SVHN as dataset="),
        (one, "at least 2 networks, but there is only"),
        (silent, 'or give cost="epochs"'),
        (short, "needs at least 2 half epochs, and these networks have 1"),
    ):
        with pytest.raises(NnlcError, match=words):
            Benchmark(folder).to_mfpbench()
    assert Benchmark(two).to_mfpbench("F-MNIST").name == "nnlc-FashionMNIST"
    assert Benchmark(silent).to_mfpbench(cost="epochs").cost_metric == "epochs"
    assert bench.to_mfpbench(half_epochs=5).end == 5
    with pytest.raises(NnlcError, match="surrogate is 'linear', but can only be 'nearest'"):
        bench.to_mfpbench(surrogate="linear")
    curves = pd.DataFrame({"id": [*"aabb"], "epoch": [1, 2] * 2, "val_accuracy_percent": 50.0})
    for name in ("my width", "class", "epochs", "half_epoch", "copy"):
        networks = pd.DataFrame({"id": ["a", "b"], name: [1, 2]})
        with pytest.raises(NnlcError, match=f"named '{name}': rename the column"):
            Benchmark(Tables.from_frames(curves, networks)).to_mfpbench(cost="epochs")


def test_the_programs_of_the_page_run_and_agree_with_the_same_search_on_the_tables(
    tmp_path, monkeypatch, capsys
):
    bench = Benchmark(write_networks(tmp_path / "results" / "curves", 30, 40))
    monkeypatch.chdir(tmp_path)
    halving, nearest = programs_of("mf-prior-bench")
    known: dict = {}
    exec(compile(halving, "successive halving", "exec"), known)
    alive, seconds = [config.id for config in known["theirs"].sample(27, seed=1)], []
    for before, half_epoch in ((0, 1), (1, 3), (3, 9), (9, 27)):
        for id_ in alive:
            spent = bench.seconds(id_, before / 2) if before else 0.0
            seconds.append(bench.seconds(id_, half_epoch / 2) - spent)
        alive.sort(key=lambda id_: -bench.query(id_, half_epoch / 2).val_accuracy_percent)
        alive = alive[: max(1, len(alive) // 3)]
    found = known["results"][0]
    assert found.config.id == alive[0]
    assert found.val_accuracy_percent.value == bench.query(alive[0], 13.5).val_accuracy_percent
    assert known["spent"] == pytest.approx(sum(seconds), rel=1e-12)
    assert capsys.readouterr().out.startswith(f"{known['spent']:.1f} s for 27 networks: ")
    exec(compile(nearest, "the nearest network", "exec"), known)
    assert capsys.readouterr().out.split()[0] in bench.ids
