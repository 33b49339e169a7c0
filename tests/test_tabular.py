"""Networks that other tools' benchmarks have: chosen by stated rules, or one line that helps."""

import math

import pandas as pd
import pytest
from test_merge import finished, id_of, write
from test_subset import curve

from nnlc import Benchmark, Tables
from nnlc.errors import NnlcError

LENGTHS = {"a": 4, "b": 6, "c": 4, "d": 2}


def bench_of(lengths, step=0.5, **columns):
    """Return a benchmark of curves with these numbers of rows; each row took 2 s."""
    rows = [
        {"id": id_, "epoch": n * step, "val_accuracy_percent": 10.0 + n, "seconds": 2.0}
        for id_, length in lengths.items()
        for n in range(1, length + 1)
    ]
    networks = pd.DataFrame({"id": list(lengths), **columns})
    return Benchmark(Tables.from_frames(pd.DataFrame(rows), networks))


def test_the_most_common_length_is_chosen_and_all_others_are_left_out_with_a_reason():
    chosen = bench_of(LENGTHS).chosen()
    assert chosen.ids == ("a", "c")
    assert (chosen.half_epochs, chosen.step, chosen.cost) == (4, 0.5, "seconds")
    assert chosen.accuracy.tolist() == [[11.0, 12.0, 13.0, 14.0]] * 2
    assert chosen.costs.tolist() == [[2.0, 4.0, 6.0, 8.0]] * 2
    assert chosen.left_out == {"b": "has 6 half epochs, not 4", "d": "has 2 half epochs, not 4"}
    # Of equally common lengths, the larger one.
    assert bench_of({"a": 1, "b": 3, "c": 1, "d": 3}).chosen().ids == ("b", "d")


def test_a_number_of_half_epochs_takes_all_networks_with_as_many():
    chosen = bench_of(LENGTHS).chosen(half_epochs=3)
    assert chosen.ids == ("a", "b", "c")
    assert chosen.costs.tolist() == [[2.0, 4.0, 6.0]] * 3
    assert chosen.left_out == {"d": "has 2 half epochs, not 3"}


def test_one_dataset_of_several_is_chosen_by_either_name():
    bench = bench_of(dict.fromkeys("abcd", 2), dataset=["SVHN", "FashionMNIST"] * 2)
    for name in ("F-MNIST", "FashionMNIST"):
        chosen = bench.chosen(name)
        assert (chosen.ids, chosen.dataset) == (("b", "d"), "FashionMNIST")


def test_costs_in_epochs_need_no_record_and_follow_the_step_of_the_curves(tmp_path):
    for number in (1, 2):
        write(tmp_path, number, curve(10.0, 20.0))
    advice = 'load .*, give curves of other programs a column `seconds`, or give cost="epochs"'
    with pytest.raises(NnlcError, match=f"2 of 2 networks .*_000001: {advice}"):
        Benchmark(tmp_path).chosen()
    assert Benchmark(tmp_path).chosen(cost="epochs").costs.tolist() == [[0.5, 1.0]] * 2
    assert bench_of(LENGTHS, step=1).chosen(cost="epochs").costs[0].tolist() == [1, 2, 3, 4]


def test_a_blank_accuracy_counts_as_0_and_a_loss_that_is_not_finite_is_missing(tmp_path):
    write(tmp_path, 1, [*curve(10.0, loss=2.0), *curve(None, loss=math.inf)])
    write(tmp_path, 2, [*curve(30.0), *curve(None, loss=None)])
    chosen = Benchmark(tmp_path).chosen(cost="epochs")
    assert chosen.accuracy.tolist() == [[10.0, 0.0], [30.0, 0.0]]
    for losses in (chosen.val_loss, chosen.train_loss):
        assert str(losses.tolist()) == "[[2.0, nan], [1.0, nan]]"


@pytest.mark.parametrize(
    ("lengths", "options", "words"),
    [
        ({"a": 4}, {}, r"at least 2 networks, .* only a with 4 half epochs: give a folder"),
        ({"a": 4, "b": 1}, {"half_epochs": 4}, r"only a with 4 .* half_epochs=1 takes all"),
        (
            {"a": 1, "b": 2, "c": 3},
            {},
            r"3 half epochs, is that of only 1 of 3 networks: .*from 1 to 3, and half_epochs=1",
        ),
        (LENGTHS, {"half_epochs": 7}, r"half_epochs is 7, which no network has: .*from 2 to 6"),
        (LENGTHS, {"half_epochs": 0}, "which no network has"),
        (LENGTHS, {"half_epochs": 2.5}, r"is 2\.5: give a whole number; lengths go from 2 to 6"),
        (LENGTHS, {"half_epochs": True}, "is True: give a whole number"),
        (LENGTHS, {"cost": "hours"}, "can only be 'seconds' or 'epochs'"),
        (LENGTHS, {"dataset": "SVHN"}, "no table is of dataset 'SVHN'; there are unknown"),
        (LENGTHS, {"dataset": ["SVHN"]}, "dataset is of type list, but must be the name of"),
    ],
)
def test_what_is_no_benchmark_is_refused_with_what_to_do(lengths, options, words):
    with pytest.raises(NnlcError, match=words) as caught:
        bench_of(lengths).chosen(**options)
    assert "\n" not in str(caught.value)


def test_tables_of_several_datasets_are_refused_with_their_names():
    bench = bench_of({"a": 2, "b": 2}, dataset=["SVHN", "FashionMNIST"])
    with pytest.raises(NnlcError, match=r"several datasets: give one of F-MNIST, SVHN as dataset="):
        bench.chosen()


def test_a_budget_of_seconds_gives_the_last_half_epoch_that_it_pays_for(tmp_path):
    finished(tmp_path, write(tmp_path, 1, curve(10.0, 30.0, 20.0)), seconds=(1.5, 2.0, 0.0))
    write(tmp_path, 2)
    finished(tmp_path, write(tmp_path, 4, curve(10.0, 30.0, 20.0)), seconds=(0.1, 0.1, 0.1))
    bench = Benchmark(tmp_path)
    assert bench.at(id_of(4), 0.3).epoch == 1.5
    for budget, epoch in ((1.5, 0.5), (3.4999, 0.5), (3.5, 1.5), (1e9, 1.5), (math.inf, 1.5)):
        assert bench.at(id_of(1), budget) == bench.query(id_of(1), epoch)
    for network, budget, words in (
        (1, 1.4999, r"completes no half epoch in 1\.4999 s: the first takes 1\.5 s"),
        (1, -1, "the first takes"),
        (1, math.nan, "nan is no number of seconds"),
        (1, None, "None is no number of seconds"),
        (2, 9, "_000002 has no recorded seconds: load the results folder with its journal"),
        (3, 9, "none of the 3 networks has the ID"),
    ):
        with pytest.raises(NnlcError, match=words):
            bench.at(id_of(network), budget)
