"""Tables asked one half epoch at a time: the right one, or a refusal that names the nearest."""

import copy
import math
import textwrap
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from table_samples import ROWS
from test_merge import finished, id_of, write
from test_subset import curve, deep

import nnlc
import nnlc.benchmark
from nnlc import Benchmark, read_table
from nnlc.benchmark import Observation
from nnlc.errors import NnlcError, TableError
from nnlc.results.journal import Journal
from nnlc.tables import Row

ONE, TWO, THREE, FOUR = map(id_of, range(1, 5))


@pytest.fixture
def folder(tmp_path):
    """Four networks of unequal length; the first and the third have recorded seconds."""
    root = tmp_path / "tables"
    first = write(root, 1, curve(10.0, 30.0, 20.0, 25.0), **deep(1))
    write(root, 2, curve(40.0, 5.0), **deep(2))
    third = write(root, 3, curve(1.0, 60.0, None), dataset="SVHN", **deep(3))
    write(root, 4, ROWS, dataset="SVHN", **deep(3))
    finished(root, first, seconds=(1.0, 2.0, 4.0, 8.0))
    finished(root, third, seconds=(0.5, 0.25, 0))
    return root


@pytest.fixture
def bench(folder):
    return Benchmark(folder)


def test_a_query_says_what_the_table_says_after_that_half_epoch(folder, bench):
    for path in folder.rglob("*.txt"):
        for number, row in enumerate(read_table(path).rows, 1):
            for epoch in (number / 2, np.float64(number / 2), np.float32(number / 2)):
                found = bench.query(path.stem, epoch)
                assert (found.id, found.epoch) == (path.stem, number / 2)
                assert type(found.epoch) is type(found.train_loss) is float
                told = found.train_loss, found.val_loss, found.val_accuracy_percent
                said = row.train_loss, row.val_loss, row.val_accuracy_percent
                assert repr(told) == repr(said).replace("None", "nan")
    assert bench.query(ONE, 2) == Observation(ONE, 2.0, 1.0, 1.0, 25.0, 15.0)


@pytest.mark.parametrize(
    ("epoch", "nearest"),
    [
        (0, "0.5"),
        (-1, "0.5"),
        (0.7, "0.5 or 1.0"),
        (1.0000001, "1.0 or 1.5"),
        (1.9, "1.5 or 2.0"),
        (2.5, "2.0"),
        (2.1, "2.0"),
        (1e300, "2.0"),
        (math.inf, "2.0"),
        (-math.inf, "0.5"),
        (10**30, "2.0"),
    ],
)
def test_an_epoch_that_the_table_has_not_is_refused_with_the_nearest(bench, epoch, nearest):
    for ask in (bench.query, bench.seconds):
        with pytest.raises(NnlcError) as caught:
            ask(ONE, epoch)
        assert str(caught.value) == (
            f"network {ONE} has no half epoch at epoch {epoch!r}: the nearest is {nearest}, "
            "and its table goes from 0.5 to 2.0"
        )


@pytest.mark.parametrize("epoch", [math.nan, "x", None, [], 10**400])
def test_what_is_no_number_of_epochs_is_refused(bench, epoch):
    for ask in (lambda: bench.query(ONE, epoch), lambda: bench.best(epoch=epoch or "x")):
        with pytest.raises(NnlcError, match="is no number; give"):
            ask()


def test_a_network_that_is_not_there_is_refused_by_every_question(bench):
    for ask in (bench.query, bench.seconds, bench.trajectory):
        for id_ in (id_of(9), "", None, []):
            with pytest.raises(NnlcError, match=r"none of the 4 networks has the ID"):
                ask(id_, 0.5)
    with pytest.raises(NnlcError, match="none of the 4 networks"):
        bench.specification(id_of(9))
    assert id_of(9) not in bench
    assert ONE in bench


def test_networks_and_ids_are_sorted_however_the_folders_are_given(tmp_path, folder, bench):
    write(tmp_path / "more", 0)
    parts = sorted(folder.iterdir())
    several = Benchmark([*(p for p in parts if p.is_dir() and p.name != "journal")][::-1])
    assert bench.ids == several.ids == (ONE, TWO, THREE, FOUR)
    assert len(bench) == 4
    assert list(bench.networks["id"]) == list(bench.ids)
    assert list(bench.networks["depth"]) == [1, 2, 3, 3]
    assert Benchmark([folder, tmp_path / "more"]).ids[0] == id_of(0)


def test_a_specification_is_that_of_the_table_to_the_last_bit(folder, bench):
    for path in folder.rglob("*.txt"):
        assert repr(bench.specification(path.stem)) == repr(read_table(path).spec)


def test_a_trajectory_has_the_rows_between_both_ends(bench):
    whole = bench.trajectory(ONE)
    assert list(whole) == [
        *("epoch", "train_loss", "val_loss", "val_accuracy_percent", "seconds"),
    ]
    assert list(whole["epoch"]) == [0.5, 1.0, 1.5, 2.0]
    assert list(whole["seconds"]) == [1.0, 3.0, 7.0, 15.0]
    part = bench.trajectory(ONE, 0.9, 1.5)
    assert list(part["val_accuracy_percent"]) == [30.0, 20.0]
    assert list(part.index) == [0, 1]
    assert len(bench.trajectory(ONE, 1.5)) == len(bench.trajectory(ONE, stop=1)) == 2
    assert bench.trajectory(TWO)["seconds"].isna().all()
    for start, stop in ((2.5, None), (1.1, 1.4), (1.5, 1), (math.nan, 1)):
        with pytest.raises(NnlcError, match=r"has no half epoch from .*: its table goes from 0\.5"):
            bench.trajectory(ONE, start, stop)
    whole.loc[:, "val_loss"] = 77.0
    assert bench.query(ONE, 1).val_loss == 1.0


def test_the_best_is_the_highest_accuracy_ever_or_then(bench):
    def best(**which):
        found = bench.best(**which)
        return found.id, found.epoch, found.val_accuracy_percent

    assert best(dataset="CIFAR-100") == (TWO, 0.5, 40.0)
    assert best(dataset="CIFAR100", epoch=1) == (ONE, 1.0, 30.0)
    assert best(epoch=2) == (ONE, 2.0, 25.0)
    assert best(depth=(2, 3), epoch=1.0) == (THREE, 1.0, 60.0)
    assert best(dataset="SVHN") == (FOUR, 1.5, 1e16)
    assert best(depth=1) == (ONE, 1.0, 30.0)
    for which in ({"epoch": 2.5}, {"epoch": 0.7}, {"epoch": 0}, {"depth": 9}):
        with pytest.raises(NnlcError, match="none of the chosen networks has an accuracy"):
            bench.best(**which)
    with pytest.raises(NnlcError, match="no table is of dataset 'MNIST'"):
        bench.best(dataset="MNIST")


def test_samples_depend_on_the_seed_or_the_generator_and_on_nothing_else(tmp_path, bench):
    for root in (tmp_path / "x", tmp_path / "y"):
        for number in range(30) if root.name == "x" else reversed(range(30)):
            write(root / f"{number % 7 if root.name == 'x' else 0}", number)
    one, other = Benchmark(tmp_path / "x"), Benchmark(tmp_path / "y")
    assert one.sample(9, 5) == other.sample(9, 5) == one.sample(9, np.int64(5)) != one.sample(9, 6)
    first, second = np.random.default_rng(1), np.random.default_rng(1)
    draws = [one.sample(9, first) for _ in range(3)]
    assert draws == [other.sample(9, second) for _ in range(3)]
    assert draws[0] != draws[1]
    assert sorted(one.sample(30, 1)) == list(one.ids)
    assert bench.sample(1, 0, dataset="CIFAR-100", depth=2) == [TWO]
    assert sorted(bench.sample(3, 0, depth=(2, 9))) == [TWO, THREE, FOUR]
    with pytest.raises(NnlcError, match="a sample of 3 can't be drawn from 2 networks"):
        bench.sample(3, 0, dataset="SVHN")
    for rng in (None, "1", 1.0, True, np.random.RandomState(1)):
        with pytest.raises(NnlcError, match="give an integer or a Generator"):
            bench.sample(1, rng)


def test_published_losses_are_corrected_on_demand(tmp_path):
    write(tmp_path, 1, curve(1.0), batch_size=49)
    write(tmp_path, 2, curve(1.0), batch_size=49, torch_set_deterministic=True)
    plain, corrected = Benchmark(tmp_path), Benchmark(tmp_path, val_loss="corrected")
    assert plain.query(ONE, 0.5).val_loss == plain.query(TWO, 0.5).val_loss == 1.0
    assert corrected.query(ONE, 0.5).val_loss == pytest.approx(205 / 204, rel=1e-12)
    assert corrected.query(TWO, 0.5).val_loss == 1.0
    assert corrected.networks.attrs == {"val_loss": "corrected"}


def test_damaged_tables_are_refused_or_named(folder, tmp_path):
    bad = write(folder, 8)
    bad.write_text("nothing\n")
    with pytest.raises(TableError, match="line 1"):
        Benchmark(folder)
    bench = Benchmark(folder, damaged="skip")
    assert len(bench) == 4
    assert bad in [one.path for one in bench.skipped]
    with pytest.raises(NnlcError, match=r"there is no table to look up: .*line 1"):
        Benchmark(bad, damaged="skip")
    with pytest.raises(NnlcError, match="there is no table to look up, as no folder"):
        Benchmark([])
    bad.unlink()
    with pytest.raises(TableError, match="has a table in"):
        Benchmark([folder, write(tmp_path / "again", 1).parent])


# ---- recorded seconds


def test_seconds_are_those_of_the_attempt_that_finished_this_table(folder, bench):
    assert [bench.seconds(ONE, epoch) for epoch in (0.5, 1, 2, None)] == [1.0, 3.0, 15.0, 15.0]
    assert bench.seconds(THREE) == 0.75
    assert bench.seconds(TWO) is None
    assert bench.query(TWO, 1).seconds is None
    path = next(folder.rglob(f"{ONE}.txt"))
    finished(folder, path, sha256="0" * 64, seconds=(9.0,) * 4)  # a table that was lost
    assert Benchmark(folder).seconds(ONE) == 15.0
    finished(folder, path, seconds=(2.0,) * 4)  # trained again, to the same bytes
    assert Benchmark(folder).seconds(ONE) == 8.0
    write(folder, 1, curve(11.0, 30.0, 20.0, 25.0), **deep(1))
    assert Benchmark(folder).seconds(ONE) is None


@pytest.mark.parametrize(
    "seconds",
    [
        (),
        (1.0, 2.0, 3.0),
        (1.0,) * 5,
        (1.0, 2.0, math.nan, 4.0),
        (1.0, 2.0, math.inf, 4.0),
        (1.0, 2.0, -1.0, 4.0),
        (1.0, 2.0, 10**400, 4.0),
        (1.0, 2.0, True, 4.0),
    ],
)
def test_seconds_that_make_no_sense_are_none(folder, seconds):
    path = next(folder.rglob(f"{ONE}.txt"))
    finished(folder, path, half_epoch_seconds=seconds, seconds=())
    assert Benchmark(folder).seconds(ONE) is None


def test_a_journal_of_nonsense_costs_no_question(folder):
    (folder / "journal" / "other.jsonl").write_text(
        '{"time": 1, "event": "finish", "id": ["x"]}\n{"event": "finish"}\nnonsense\n'
        f'{{"time": "2026-01-01T00:00:00", "event": "finish", "id": "{TWO}"}}\n'
        f'{{"time": "2026-01-01T00:00:00", "event": "finish", "id": "{TWO}", '
        '"sha256": [1], "half_epoch_seconds": {"0": 1}}\n'
    )
    assert Benchmark(folder).seconds(TWO) is None
    assert Benchmark(folder).seconds(ONE) == 15.0


def test_what_ended_badly_on_the_way_has_no_seconds_of_its_own(folder, bench):
    journal = Journal(folder / "journal")
    for kind in ("start", "checkpoint", "attempt", "start", "resume", "failure", "retry"):
        journal.write(kind, id=ONE, seconds=100.0, half_epoch_seconds=[100.0] * 4)
        journal.write(kind, id=TWO, seconds=100.0, half_epoch_seconds=[100.0] * 2)
    again = Benchmark(folder)
    assert [again.seconds(id_) for id_ in (ONE, TWO, THREE)] == [15.0, None, 0.75]


def test_what_an_interruption_made_a_network_do_again_counts_once_in_the_recorded_seconds(
    monkeypatch,
):
    from small_networks import bundled_images, first, loop_on  # a light installation has no torch
    from small_networks import spec as small_spec

    from nnlc.training.training_steps import Steps

    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr("nnlc.training.loop.time", clock)
    for work in ("train", "validate"):  # what is learnt doesn't matter here
        monkeypatch.setattr(Steps, work, lambda self, *_: None)
    images = first(bundled_images(), 400, 200)

    def step():
        clock.now += 1.0

    undisturbed = loop_on(images, small_spec(), 2, step)
    list(undisturbed)
    assert undisturbed.seconds == [4.0] * 4
    states = []

    def step_and_save():
        step()
        if len(states) < 7:
            states.append(copy.deepcopy(loop.state()))

    loop = loop_on(images, small_spec(), 2, step_and_save)
    list(loop)
    clock.now += 1000.0
    resumed = loop_on(images, small_spec(), 2, step)
    resumed.resume(states[-1])
    list(resumed)
    assert resumed.seconds == undisturbed.seconds


# ---- the worked example


def example():
    """The code in the module's docstring."""
    lines = nnlc.benchmark.__doc__.splitlines()
    code = "\n".join(line for line in lines if line.startswith("    ") or not line)
    return textwrap.dedent(code)


def test_the_worked_example_runs_and_accounts_for_every_epoch(tmp_path, monkeypatch, capsys):
    accuracies = {}
    for number in range(40):
        speed, top = 1 + number % 5, float(10 + number)
        rows = curve(*(top * (1 - math.exp(-i / (4 * speed))) for i in range(1, 57)))
        if number == 7:
            rows = [Row(None, None, None)] * 56
        write(tmp_path / "results" / "paper", number, rows)
        accuracies[id_of(number)] = [row.val_accuracy_percent or 0.0 for row in rows]
    monkeypatch.chdir(tmp_path)
    known: dict = {}
    exec(compile(example(), "the example", "exec"), known)
    bench = Benchmark("results/paper")
    asked = dict.fromkeys(bench.sample(27, 1), 0.0)
    alive = list(asked)
    for epoch in (1, 3, 9, 27):
        asked |= dict.fromkeys(alive, float(epoch))
        alive = sorted(alive, key=lambda id_: -accuracies[id_][2 * epoch - 1])[: len(alive) // 3]
    assert known["spent"] == sum(asked.values()) == 81
    winner = max((id_ for id_ in asked if asked[id_] == 27), key=lambda i: accuracies[i][53])
    assert known["halving"] == accuracies[winner][53]
    rivals = bench.sample(3, 2)
    assert known["random_search"] == max(accuracies[id_][53] for id_ in rivals)
    assert known["best"] == max(values[53] for values in accuracies.values())
    assert known["alive"] == [winner]
    assert capsys.readouterr().out.startswith("81 epochs: ")
    assert 15 <= len([line for line in example().splitlines() if line.strip()]) <= 22


@settings(max_examples=30)
@given(
    st.dictionaries(
        st.integers(0, 20),
        st.lists(st.none() | st.floats(0, 100), min_size=1, max_size=5),
        min_size=1,
        max_size=6,
    )
)
def test_any_tables_answer_as_their_rows_do(tmp_path_factory, tables):
    root = tmp_path_factory.mktemp("tables")
    for number, values in tables.items():
        write(root, number, curve(*values))
    bench = Benchmark(root)
    for number, values in tables.items():
        found = bench.trajectory(id_of(number))["val_accuracy_percent"]
        expected = pd.Series([math.nan if v is None else v for v in values])
        assert np.array_equal(found, expected, equal_nan=True)
        with pytest.raises(NnlcError, match="nearest"):
            bench.query(id_of(number), len(values) / 2 + 0.5)
    known = [v for values in tables.values() for v in values if v is not None]
    if known:
        assert bench.best().val_accuracy_percent == max(known)
    else:
        with pytest.raises(NnlcError, match="has an accuracy"):
            bench.best()


def test_the_benchmark_is_a_public_name():
    assert nnlc.Benchmark is Benchmark
