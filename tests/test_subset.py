"""Some of the tables in a folder of their own: those that are meant, and never by chance none."""

import json
import math
import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from table_samples import tree
from test_merge import CURVE, finished, id_of, provenance_of, run, write

from nnlc import Benchmark, load_tables, subset_tables
from nnlc.collection.selection import (
    draw_sample,
    read_depths,
    read_ids,
    read_percent,
    read_range,
    seed_of,
)
from nnlc.errors import NnlcError
from nnlc.tables import Row

LOST = math.inf


def curve(*accuracies, loss=1.0):
    return [Row(loss, loss, accuracy) for accuracy in accuracies]


def deep(depth):
    """Changes that make a network so deep."""
    return {
        "layer_types": (1,) * depth,
        **{f"conv_{name}": (1,) * depth for name in ("kernels", "strides", "paddings", "filters")},
        **{f"pool_{name}": () for name in ("kernels", "strides", "paddings")},
    }


@pytest.fixture
def folder(tmp_path):
    """Six networks; by number: dataset, depth, accuracies, whether they diverged or learned."""
    root = tmp_path / "tables"
    write(root, 1, curve(20.0, 60.0), **deep(1))
    write(root, 2, curve(70.0, 30.0), **deep(2))
    write(root, 3, curve(1.0, 1.0, loss=LOST), **deep(3))
    write(root, 4, curve(50.0, 80.0), dataset="SVHN", **deep(3))
    write(root, 5, curve(50.0, None), dataset="F-MNIST", **deep(5))
    write(root, 6, curve(50.0, 50.0), dataset="blobs", **deep(10))
    return root


CHOICES = [
    ([], {1, 2, 3, 4, 5, 6}),
    (["--dataset", "CIFAR-100"], {1, 2, 3}),
    (["--dataset", "CIFAR100", "--dataset", "blobs"], {1, 2, 3, 6}),
    (["--dataset", "FashionMNIST"], {5}),
    (["--depth", "3"], {3, 4}),
    (["--depth", "2-3"], {2, 3, 4}),
    (["--depth", "5-"], {5, 6}),
    (["--depth", "-2"], {1, 2}),
    (["--final-accuracy", "50-80"], {1, 4, 6}),
    (["--final-accuracy", "60"], {1}),
    (["--final-accuracy", "0-"], {1, 2, 3, 4, 6}),
    (["--best-accuracy", "60-"], {1, 2, 4}),
    (["--best-accuracy", "-50.0"], {3, 5, 6}),
    (["--diverged"], {3, 5}),
    (["--not-diverged"], {1, 2, 4, 6}),
    (["--learned"], {1, 2, 4, 5}),
    (["--never-learned"], {3}),
    (["--dataset", "CIFAR-100", "--not-diverged", "--final-accuracy", "50-"], {1}),
    (["--depth", "-5", "--sample", "5"], {1, 2, 3, 4, 5}),
]


@pytest.mark.parametrize(("options", "numbers"), CHOICES, ids=lambda v: str(v))
def test_a_subset_has_the_tables_that_are_all_that_is_asked_for(tmp_path, folder, options, numbers):
    blank = folder / "F-MNIST_models" / f"{id_of(5)}.txt"
    if "diverged" in "".join(options):  # a blank accuracy alone is no divergence
        blank.write_bytes(blank.read_bytes().replace(b"1.0 1.0 1.0  ", b"1.0 inf 1.0  "))
    job = run("subset", folder, "-o", tmp_path / "out", *options)
    assert job.exit_code == 0, job.exception
    assert job.stdout.splitlines()[0] == f"{len(numbers)} of 6 tables: {tmp_path / 'out'}"
    found = {name: c for name, c in tree(tmp_path / "out").items() if name.endswith(".txt")}
    assert {int(name[-10:-4]) for name in found} == numbers
    assert found.items() <= tree(folder).items()
    assert len(provenance_of(tmp_path / "out")) == len(load_tables(tmp_path / "out")) == len(found)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--depth", "7"], "none of the 6 tables is chosen; nothing is written"),
        (["--final-accuracy", "99.5-"], "none of the 6 tables is chosen"),
        (["--dataset", "MNIST"], "no table is of dataset 'MNIST'; there are CIFAR-100, F-MNIST"),
        (["--depth", "3-2"], "--depth '3-2': the first number is greater"),
        (["--depth", "deep"], "--depth 'deep': must be N, A-B, A- or -B"),
        (["--depth", ""], "--depth ''"),
        (["--best-accuracy", "-"], "--best-accuracy '-'"),
        (["--best-accuracy", "nan"], "--best-accuracy 'nan'"),
        (["--best-accuracy", "1e2"], "--best-accuracy '1e2'"),
        (["--sample", "7"], "a sample of 7 can't be drawn from 6 networks"),
        (["--ids", "gone"], "gone: no such file"),
    ],
)
def test_a_subset_that_is_none_is_an_error_and_nothing_is_written(
    tmp_path, folder, monkeypatch, options, words
):
    monkeypatch.chdir(tmp_path)
    before = tree(tmp_path)
    job = run("subset", folder, "-o", "out", *options)
    assert isinstance(job.exception, NnlcError)
    assert words in str(job.exception)
    assert job.stdout == ""
    assert tree(tmp_path) == before
    assert not (tmp_path / "out").exists()


def test_a_subset_keeps_the_recorded_seconds_and_makes_links_if_told(tmp_path, folder):
    tables = sorted(folder.rglob("*.txt"))
    finished(folder, *tables, seconds=(1.0, 2.0))
    job = run("subset", folder, "-o", tmp_path / "out", "--depth", "1", "--link")
    assert job.stdout.splitlines()[1] == "1 of them with a record of their training"
    (table,) = (tmp_path / "out").glob("*_models/*")
    assert table.stat().st_nlink == 2
    assert Benchmark(tmp_path / "out").seconds(id_of(1)) == 3.0
    lines = (tmp_path / "out/journal/finishes.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [id_of(1)]


def test_ids_come_from_a_list_or_the_first_column_of_a_csv_file(tmp_path, folder):
    path = tmp_path / "ids"
    for text in (
        f"{id_of(4)}\n\n  {id_of(2)}  \n",
        f"id,dataset\n{id_of(2)},CIFAR100\n{id_of(4)},SVHN\n{id_of(4)},SVHN\n",
        f"\ufeffid\r\n{id_of(2)}\r\n{id_of(4)}",
    ):
        path.write_bytes(text.encode())
        assert read_ids(path) == {id_of(2), id_of(4)}
    run("metrics", folder / "SVHN_models", "-o", tmp_path / "metrics.csv")
    job = run("subset", folder, "-o", tmp_path / "out", "--ids", tmp_path / "metrics.csv")
    assert job.exit_code == 0, job.exception
    assert [row["id"] for row in provenance_of(tmp_path / "out")] == [id_of(4)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "there is no ID in it"),
        (b"id\n", "there is no ID in it"),
        (f"{id_of(1)}\nid\n".encode(), "line 2: 'id' is no ID"),
        (b"../../etc/passwd\n", "line 1: '../../etc/passwd' is no ID"),
        (b"\xff\n", "line 1: "),
        (id_of(9).encode(), "no table has the ID '2021_02_15_13_55_26_000009'"),
        (f"{id_of(1)}\n{id_of(8)}\n{id_of(9)}".encode(), "000008', nor 1 more that were"),
    ],
)
def test_a_list_of_ids_that_is_wrong_is_refused_with_the_line(tmp_path, folder, content, words):
    (tmp_path / "ids").write_bytes(content)
    job = run("subset", folder, "-o", tmp_path / "out", "--ids", tmp_path / "ids")
    assert isinstance(job.exception, NnlcError)
    assert words in str(job.exception)
    assert not (tmp_path / "out").exists()


def test_an_endless_list_of_ids_is_not_read_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr("nnlc.system.text_file.MOST_BYTES", 50)
    path = tmp_path / "ids"
    path.write_text(f"{id_of(1)}\n" * 3)
    with pytest.raises(NnlcError, match="too many for a text file"):
        read_ids(path)


def test_in_python_a_subset_is_what_any_list_or_function_chooses(tmp_path, folder):
    done = subset_tables(folder, tmp_path / "a", [id_of(3), id_of(1), id_of(1)])
    assert (done.tables, done.among) == (2, 6)
    best = lambda tables: tables.networks.nlargest(2, "depth")["id"]  # noqa: E731
    subset_tables([folder], tmp_path / "b", best)
    assert {row["id"] for row in provenance_of(tmp_path / "b")} == {id_of(5), id_of(6)}
    for ids, words in (([], "none of the 6"), ([id_of(7)], "no table has the ID"), ([1], "ID 1")):
        with pytest.raises(NnlcError, match=words):
            subset_tables(folder, tmp_path / "c", ids)
    with pytest.raises(NnlcError, match="on_clash is 'x'"):
        subset_tables(folder, tmp_path / "c", [id_of(1)], on_clash="x")


def test_clashes_are_refused_unless_skipped_and_then_noted_only_where_they_are_chosen(tmp_path):
    for number in (1, 2):
        write(tmp_path / "a", number, **deep(number))
        write(tmp_path / "b", number, CURVE[:2], **deep(number))
    paths = [tmp_path / "a", tmp_path / "b"]
    job = run("subset", *paths, "-o", tmp_path / "out", "--depth", "1")
    assert "tables with the same ID differ" in str(job.exception)
    job = run("subset", *paths, "-o", tmp_path / "out", "--depth", "1", "--on-clash", "skip")
    assert job.stdout.startswith("1 of 2 tables")
    assert job.stderr == (
        "note: 1 table left out, because a different table with the same ID came first: "
        f"{id_of(1)}\n"
    )


# ---- samples


def test_a_sample_depends_on_ids_and_seed_alone(tmp_path, folder):
    ids = [id_of(n) for n in range(50)]
    shuffled = ids.copy()
    random.Random(3).shuffle(shuffled)
    first = draw_sample(ids, 5, 1)
    assert first == draw_sample(shuffled, 5, 1) == draw_sample(ids, 9, 1)[:5]
    assert first != draw_sample(ids, 5, 2)
    pinned = [5, 26, 37, 23, 38]  # the same on every machine and with every version of libraries
    assert first == [id_of(n) for n in pinned]
    for name, seed in (("a", 1), ("b", 1), ("c", 2), ("d", 0)):
        run("subset", folder, "-o", tmp_path / name, "--sample", 3, "--seed", seed)
    run("subset", folder, "-o", tmp_path / "e", "--sample", 3)
    assert tree(tmp_path / "a") == tree(tmp_path / "b") != tree(tmp_path / "c")
    assert tree(tmp_path / "d") == tree(tmp_path / "e")


@given(st.sets(st.integers(0, 99), max_size=20), st.integers(0, 25), st.integers())
def test_a_sample_has_each_network_once_or_is_refused(numbers, count, seed):
    ids = {id_of(n) for n in numbers}
    if count > len(ids):
        with pytest.raises(NnlcError, match=f"a sample of {count} can't be drawn from {len(ids)}"):
            draw_sample(ids, count, seed)
    else:
        found = draw_sample(ids, count, seed)
        assert len(found) == len(set(found)) == count
        assert set(found) <= ids


def test_every_network_is_as_likely_in_a_sample():
    ids = [id_of(n) for n in range(6)]
    drawn = [id_ for seed in range(3000) for id_ in draw_sample(ids, 2, seed)]
    for id_ in ids:  # 1000 are expected, 26 is a standard deviation
        assert abs(drawn.count(id_) - 1000) < 130


numbers = st.integers(0, 1000) | st.floats(0, 1000).map(lambda x: round(x, 3))


@given(numbers, numbers)
def test_ranges_are_read_as_they_are_written(a, b):
    low, high = sorted((a, b))
    assert read_range("x", f"{low}-{high}") == (low, high)
    assert read_range("x", f"{a}-") == (a, math.inf)
    assert read_range("x", f"-{a}") == (-math.inf, a)
    assert read_range("x", str(a)) == (a, a)


@given(st.text(max_size=8) | st.text("0123456789.-", max_size=8))
def test_no_text_breaks_the_reader_of_ranges(text):
    with suppress(NnlcError):
        low, high = read_range("x", text)
        assert low <= high


def test_what_no_table_can_be_is_no_selection(capsys):
    with pytest.raises(NnlcError, match=r"--depth '2\.5-3': depths are whole numbers"):
        read_depths("--depth", "2.5-3")
    assert read_depths("--depth", "2-3") == (2, 3)
    with pytest.raises(NnlcError, match="no accuracy is above 100 percent"):
        read_percent("--best-accuracy", "50-101")
    assert read_percent("--best-accuracy", "50-") == (50, math.inf)
    assert capsys.readouterr().err == ""
    assert read_percent("--best-accuracy", "0.9-") == (0.9, math.inf)
    assert "half of all images is 50" in capsys.readouterr().err


def test_a_seed_without_a_sample_is_refused():
    with pytest.raises(NnlcError, match="--seed 0: needs --sample"):
        seed_of(None, 0)
    assert (seed_of(None, None), seed_of(3, None), seed_of(3, 5)) == (0, 0, 5)
