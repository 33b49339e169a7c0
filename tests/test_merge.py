"""Folders of tables become one: byte for byte, whole or not at all, and nothing is forgotten."""

import csv
import errno
import hashlib
import json
import os
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from table_samples import ROWS, SPEC, tree
from typer.testing import CliRunner

import nnlc
import nnlc.collection.collection_writer
from nnlc import Benchmark, load_tables, merge_tables
from nnlc.cli import app
from nnlc.errors import NnlcError, ResultsError, TableError
from nnlc.networks import KNOWN_IMAGE_SETS
from nnlc.results.folder import ResultsFolder
from nnlc.results.history import read_history
from nnlc.results.journal import Journal
from nnlc.tables import Row, Table

CURVE = tuple(Row(4.25 / i, 0.1 + 0.2 * i, float(10 * i)) for i in range(1, 5))


def id_of(number):
    return f"2021_02_15_13_55_26_{number:06d}"


def write(root, number, rows=CURVE, *, folder=None, dataset="CIFAR-100", **changes):
    """A table of a network of its own in `<root>/<dataset>_models`."""
    value = KNOWN_IMAGE_SETS[dataset].table_name if dataset in KNOWN_IMAGE_SETS else dataset
    values = {"id": id_of(number), "random_seed": number, "dataset": value, **changes}
    content = Table(replace(SPEC, **values), tuple(rows)).to_bytes()
    path = root / (folder or f"{dataset}_models") / f"{id_of(number)}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def finished(results, *tables, seconds=(1.0, 2.0, 3.0, 4.0), **changes):
    """The journal of a results folder says how these tables were finished."""
    folder = results / "journal"
    folder.mkdir(exist_ok=True)
    journal = Journal(folder)
    for path in tables:
        facts = {
            "id": path.stem,
            "seconds": sum(seconds),
            "half_epoch_seconds": list(seconds),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "device": {"name": "a GPU"},
        }
        journal.write("finish", **facts | changes)


def provenance_of(collection):
    with (collection / "provenance.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def two(tmp_path):
    """A results folder of ours and a published folder."""
    ours, published = tmp_path / "results" / "ours", tmp_path / "published"
    tables = [write(ours, n, torch_set_deterministic=True) for n in (1, 2)]
    tables += [write(ours, 3, ROWS, dataset="SVHN", torch_set_deterministic=True)]
    (ours / "campaign.toml").write_text("of no interest here")
    finished(ours, *tables)
    write(published, 4)
    write(published, 5, dataset="F-MNIST")
    return ours, published


def test_merged_tables_keep_their_bytes_and_the_names_of_their_folders(tmp_path, two):
    out = tmp_path / "all"
    done = merge_tables(two, out)
    assert (done.tables, done.among, done.recorded, done.notes, done.skipped) == (5, 5, 3, (), ())
    expected = {}
    for root in two:
        expected |= {name: c for name, c in tree(root).items() if "_models/" in name}
    found = tree(out)
    assert {name: c for name, c in found.items() if "_models/" in name} == expected
    assert sorted(path.name for path in out.iterdir()) == [
        *("CIFAR-100_models", "F-MNIST_models", "SVHN_models", "campaigns", "journal"),
        "provenance.csv",
    ]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    tables = load_tables(out)  # like any other folder
    assert sorted(tables.networks["id"]) == [id_of(n) for n in range(1, 6)]
    assert tables.skipped == ()
    assert sorted(tables.networks["published"]) == [False, False, False, True, True]


def test_provenance_says_where_each_table_was_without_a_word_of_the_machine(tmp_path, two):
    merge_tables(two, tmp_path / "all")
    rows = provenance_of(tmp_path / "all")
    assert [row["source"] for row in rows] == [
        *(f"ours/CIFAR-100_models/{id_of(n)}.txt" for n in (1, 2)),
        f"ours/SVHN_models/{id_of(3)}.txt",
        f"published/CIFAR-100_models/{id_of(4)}.txt",
        f"published/F-MNIST_models/{id_of(5)}.txt",
    ]
    for row in rows:
        place = "results" if row["source"].startswith("ours") else "."
        content = (tmp_path / place / row["source"]).read_bytes()
        assert row["sha256"] == hashlib.sha256(content).hexdigest()
        assert (tmp_path / "all" / row["folder"] / f"{row['id']}.txt").read_bytes() == content
    assert rows[2]["dataset"] == "SVHN"


def test_folders_of_one_name_are_told_apart_by_as_much_of_their_paths_as_that_needs(tmp_path):
    tables = [write(tmp_path / f"{n % 2}" / "x" / "results", n) for n in range(3)]
    merge_tables([path.parents[1] for path in tables], tmp_path / "folders")
    merge_tables(tables, tmp_path / "files")
    end = f"CIFAR-100_models/{id_of(0)}.txt"
    assert provenance_of(tmp_path / "folders")[0]["source"] == f"0/x/results/{end}"
    assert provenance_of(tmp_path / "files")[0]["source"] == f"0/x/results/{end}"
    merge_tables(tables[0], tmp_path / "one")
    assert provenance_of(tmp_path / "one")[0]["source"] == end


def test_the_same_folders_give_the_same_bytes_in_any_order(tmp_path, two, monkeypatch):
    merge_tables(two, tmp_path / "all")
    merge_tables(list(reversed(two)), tmp_path / "again")
    monkeypatch.chdir(tmp_path / "results")
    merge_tables(["../published/", "./ours"], tmp_path / "third")
    assert tree(tmp_path / "all") == tree(tmp_path / "again") == tree(tmp_path / "third")


def test_what_was_merged_before_keeps_its_first_source(tmp_path, two):
    merge_tables(two, tmp_path / "all")
    write(tmp_path / "more", 9)
    merge_tables([tmp_path / "all", tmp_path / "more"], tmp_path / "again")
    merge_tables([*two, tmp_path / "more"], tmp_path / "at_once")
    assert tree(tmp_path / "again") == tree(tmp_path / "at_once")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"id,sha256\nx,y\n",
        b'id,dataset,folder,sha256,source\n"no end',
        b"a" * 200_000,
        b"id,dataset,folder,sha256,source\n%ID%,d,f,%SHA%\n%ID%,d,f,%SHA%,x,y\n",
        b"id,dataset,folder,sha256,source\n%ID%,d,f,%SHA%,a\x1b[2Jb\n",
        b"id,dataset,folder,sha256,source\n%ID%,d,f,0123,elsewhere\n",
    ],
)
def test_a_provenance_that_is_none_of_ours_or_of_other_bytes_is_not_believed(tmp_path, content):
    path = write(tmp_path / "a", 1)
    digest = hashlib.sha256(path.read_bytes()).hexdigest().encode()
    content = content.replace(b"%ID%", id_of(1).encode()).replace(b"%SHA%", digest)
    (tmp_path / "a" / "provenance.csv").write_bytes(content)
    merge_tables(tmp_path / "a", tmp_path / "out")
    (row,) = provenance_of(tmp_path / "out")
    assert row["source"] == f"a/CIFAR-100_models/{id_of(1)}.txt"


# ---- what journals said


def test_the_journal_of_a_merged_folder_tells_how_its_tables_were_finished(tmp_path, two):
    merge_tables(two, tmp_path / "all")
    here, there = (read_history(f / "journal").finishes for f in (two[0], tmp_path / "all"))
    assert list(there) == [id_of(n) for n in (1, 2, 3)]
    assert here == there
    bench = Benchmark(tmp_path / "all")
    assert bench.seconds(id_of(2), 1.5) == 6.0
    assert bench.seconds(id_of(5)) is None
    assert {
        e["event"] for e in map(json.loads, (tmp_path / "all/journal/finishes.jsonl").open())
    } == {"finish"}


def test_only_what_was_said_of_this_very_table_is_carried_along(tmp_path):
    a = tmp_path / "a"
    tables = [write(a, number) for number in range(1, 5)]
    finished(a, tables[0], sha256="0" * 64)
    finished(a, tables[1])
    finished(a, tables[1], sha256="0" * 64, seconds=(9.0,) * 4)
    finished(a, tables[2], sha256=None)  # as older journals had it
    done = merge_tables(a, tmp_path / "out")
    assert done.recorded == 2
    bench = Benchmark(tmp_path / "out")
    assert [bench.seconds(id_of(n)) for n in range(1, 5)] == [None, 10.0, 10.0, None]


def test_a_journal_outside_or_in_a_links_or_a_pipes_place_is_not_read(tmp_path):
    a, b, c = (tmp_path / name for name in "abc")
    for number, root in enumerate((a, b, c), 1):
        finished(root, write(root, number))
        (root / "campaign.toml").write_text("of no interest here")
    (b / "journal").rename(tmp_path / "elsewhere")
    (b / "journal").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(c / "journal" / "pipe.jsonl")
    done = merge_tables([a / "CIFAR-100_models", b, c], tmp_path / "out")
    assert (done.tables, done.recorded) == (3, 0)
    assert list(map(str, done.skipped)) == [
        f"{b}/journal: the journal was not read: a symbolic link",
        f"{c}/journal: the journal was not read: pipe.jsonl in it is no regular file",
    ]
    bench = Benchmark([b, c])
    assert bench.skipped == done.skipped
    assert bench.seconds(id_of(2)) is None
    assert merge_tables(a, tmp_path / "whole").recorded == 1


def test_a_merged_folder_is_no_results_folder_to_status_or_worker(tmp_path, two):
    out = tmp_path / "all"
    merge_tables(two, out)
    before = tree(out)
    with pytest.raises(ResultsError, match="no results folder"):
        ResultsFolder(out).campaign()
    with pytest.raises(ResultsError, match=r"no campaign\.toml, so this is no results folder"):
        ResultsFolder(out).open(nnlc.load_campaign("smoke"))
    assert tree(out) == before


# ---- what contradicts or repeats


def test_one_table_in_two_places_is_one_table_and_said_to_be(tmp_path):
    a, b, out = tmp_path / "a", tmp_path / "b", tmp_path / "out"
    write(a, 1), write(a, 2), write(b, 2, folder="other_models")
    done = merge_tables([a, b], out)
    assert (done.tables, done.among) == (2, 2)
    assert done.notes == (
        "1 table found more than once with the same bytes, and taken once: " + id_of(2),
    )
    assert [row["source"][0] for row in provenance_of(out) if row["id"] == id_of(2)] == ["a", "b"]
    assert not (out / "other_models").exists()


def clashing(tmp_path):
    """A network trained twice, and three networks of two campaigns with one stamp."""
    a, b = tmp_path / "a", tmp_path / "b"
    for number in range(5):
        write(a, number)
        seed = {"random_seed": 77 + number} if number > 1 else {}
        write(b, number, CURVE if number == 0 else CURVE[:3], **seed)
    return a, b


def test_clashes_are_all_named_with_what_to_do_and_nothing_is_written(tmp_path):
    a, b = clashing(tmp_path)
    before = tree(tmp_path)
    with pytest.raises(NnlcError) as caught:
        merge_tables([a, b], tmp_path / "out")
    first, same, same_advice, other, other_advice = str(caught.value).splitlines()
    assert first == "nothing is written, because tables with the same ID differ:"
    where = f"  in {a}/CIFAR-100_models and {b}/CIFAR-100_models: "
    assert same == where + id_of(1)
    assert "trained twice" in same_advice
    assert "--on-clash skip" in same_advice
    assert other == where + ", ".join(map(id_of, (2, 3, 4)))
    assert "stamp" in other_advice
    assert tree(tmp_path) == before


def test_skipped_clashes_keep_the_table_of_the_folder_named_first(tmp_path):
    a, b = clashing(tmp_path)
    finished(a, a / "CIFAR-100_models" / f"{id_of(1)}.txt")
    finished(b, b / "CIFAR-100_models" / f"{id_of(1)}.txt", seconds=(7.0,) * 3)
    done = merge_tables([b, a], tmp_path / "out", on_clash="skip")
    assert (done.tables, done.recorded) == (5, 1)
    models = "CIFAR-100_models"
    assert tree(tmp_path / "out" / models) == tree(b / models)
    assert done.notes[1].startswith("4 tables left out, because a different table with ")
    assert len(provenance_of(tmp_path / "out")) == 6  # number 0 is the same in both
    assert Benchmark(tmp_path / "out").seconds(id_of(1)) == 21.0


def test_one_network_under_two_ids_and_mixed_folders_are_notes(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    write(a, 1), write(b, 2, CURVE[:1], random_seed=1, folder="models")
    write(b, 3, folder="models", dataset="SVHN")
    assert merge_tables([a, b], tmp_path / "out").notes == (
        f"the same network, seed included, under several IDs: {id_of(1)} = {id_of(2)}",
        "dataset CIFAR100 has folders CIFAR-100_models, models",
        "folder models has datasets CIFAR100, SVHN",
    )


def test_a_table_is_named_after_the_id_inside(tmp_path):
    path = write(tmp_path / "a", 1)
    path.rename(path.with_name(f"{id_of(2)}.txt"))
    done = merge_tables(tmp_path / "a", tmp_path / "out")
    assert (tmp_path / "out" / "CIFAR-100_models" / f"{id_of(1)}.txt").exists()
    assert "named after the ID inside" in done.notes[0]
    (row,) = provenance_of(tmp_path / "out")
    assert row["source"].endswith(f"{id_of(2)}.txt")


# ---- names


@pytest.mark.parametrize("name", [".hidden", "journal", "provenance.csv", "campaign.toml", "a\tb"])
def test_a_folder_whose_name_would_be_mistaken_is_named_by_its_dataset(tmp_path, name):
    write(tmp_path / "a", 1, folder=name)
    write(tmp_path / "a", 2, folder=name, dataset="blobs")
    merge_tables(tmp_path / "a" / name, tmp_path / "out")
    assert {path.parent.name for path in (tmp_path / "out").rglob("*.txt")} == {
        *("CIFAR-100_models", "blobs_models"),
    }
    assert len(load_tables(tmp_path / "out")) == 2


@pytest.mark.parametrize("dataset", ["../../evil", "a/b", ".hidden", "/etc", "x" * 65])
def test_a_dataset_that_would_leave_the_folder_names_none(tmp_path, dataset):
    path = write(tmp_path / "a", 1, folder=".x", dataset="CIFAR-100")
    content = path.read_bytes().replace(b" CIFAR100 ", f" {dataset} ".encode())
    path.write_bytes(content)
    with pytest.raises(TableError, match="can name a folder"):
        merge_tables(path.parent, tmp_path / "out")
    path.parent.rename(tmp_path / "a" / "plain")
    merge_tables(tmp_path / "a", tmp_path / "out")
    assert sorted(tree(tmp_path / "out")) == [f"plain/{id_of(1)}.txt", "provenance.csv"]


def test_tables_in_the_working_directory_keep_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(write(tmp_path, 1).parent)
    merge_tables(".", "../out")
    assert sorted(tree(tmp_path / "out")) == [f"CIFAR-100_models/{id_of(1)}.txt", "provenance.csv"]
    (row,) = provenance_of(tmp_path / "out")
    assert row["source"] == f"CIFAR-100_models/{id_of(1)}.txt"


def test_links_and_strangers_in_a_folder_are_named_and_left(tmp_path):
    path = write(tmp_path / "a", 1)
    path.with_name(f"{id_of(2)}.txt").symlink_to(write(tmp_path / "b", 2))
    path.with_name("README").write_text("hello")
    done = merge_tables(tmp_path / "a", tmp_path / "out")
    assert done.tables == 1
    assert [one.reason for one in done.skipped] == ["a symbolic link", "its name is not <ID>.txt"]
    link = tmp_path / f"{id_of(2)}.txt"
    link.symlink_to(tmp_path / "b" / "CIFAR-100_models" / link.name)
    assert merge_tables(link, tmp_path / "linked").tables == 1


# ---- whole or not at all


def test_nothing_is_ever_written_over_or_into_what_is_read(tmp_path, two, monkeypatch):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("a file")
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "note").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    before = tree(tmp_path)
    for name, words in (
        ("file", "something else stands there"),
        ("used", "is in use, and is not overwritten"),
        ("link", "something else stands there"),
        ("dangling", "something else stands there"),
        ("no/such", r"there is no folder .*/no to put it into"),
        ("published", "is in use"),
        ("published/x", "lies in .*published, which is read"),
        ("results/ours/a", "lies in .*ours, which is read"),
    ):
        with pytest.raises(NnlcError, match=words):
            merge_tables(two, tmp_path / name)
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(NnlcError, match="is in use"):
        merge_tables(two, ".")
    assert tree(tmp_path) == before
    monkeypatch.chdir(tmp_path)
    assert merge_tables(two, tmp_path / "empty").tables == 5


@pytest.mark.parametrize("trouble", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_whatever_ends_a_merger_leaves_nothing_behind(tmp_path, two, trouble, monkeypatch):
    before = tree(tmp_path)
    calls = []

    def sync(path):
        calls.append(path)
        if len(calls) == 4:
            raise trouble

    monkeypatch.setattr(nnlc.system.new_folder, "_sync_file", sync)
    with pytest.raises((NnlcError, KeyboardInterrupt)) as caught:
        merge_tables(two, tmp_path / "out")
    if isinstance(trouble, OSError):
        assert str(caught.value) == f"{tmp_path / 'out'}: can't be written: No space left"
    assert tree(tmp_path) == before
    assert not (tmp_path / "out").exists()


def test_a_folder_that_comes_into_use_meanwhile_is_left_as_it_is(tmp_path, two, monkeypatch):
    monkeypatch.setattr(
        nnlc.system.new_folder, "_sync_file", lambda path: write(tmp_path / "out", 50)
    )
    with pytest.raises(NnlcError, match="is in use"):
        merge_tables(two, tmp_path / "out")
    assert list(tree(tmp_path / "out")) == [f"CIFAR-100_models/{id_of(50)}.txt"]


def test_a_table_that_changes_meanwhile_is_no_part_of_a_merger(tmp_path, two, monkeypatch):
    def change(merger, journals):
        write(two[1], 4, CURVE[:2])
        return []

    for link in (False, True):
        write(two[1], 4)
        with monkeypatch.context() as patch:
            patch.setattr(nnlc.collection.collection_writer, "_recorded", change)
            with pytest.raises(TableError, match="was changed while it was read"):
                merge_tables(two, tmp_path / "out", link=link)
        assert not (tmp_path / "out").exists()


def test_a_damaged_table_is_refused_or_left_out(tmp_path, two):
    path = write(two[1], 8)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TableError, match=f"{path}, line 5: the last line has no newline"):
        merge_tables(two, tmp_path / "out")
    done = merge_tables(two, tmp_path / "out", damaged="skip")
    assert done.tables == 5
    assert [one.path for one in done.skipped] == [path]
    path.write_bytes(path.read_bytes()[:10])
    for number in (4, 5):
        next(two[1].rglob(f"{id_of(number)}.txt")).unlink()
    with pytest.raises(NnlcError, match="none of the 0 tables"):
        merge_tables(two[1], tmp_path / "none", damaged="skip")


def test_hard_links_need_no_room(tmp_path, two):
    merge_tables(two, tmp_path / "copies")
    merge_tables(two, tmp_path / "links", link=True)
    assert tree(tmp_path / "copies") == tree(tmp_path / "links")
    for root, shared in (("copies", 1), ("links", 2)):
        counts = {path.stat().st_nlink for path in (tmp_path / root).glob("*_models/*")}
        assert counts == {shared}


def test_where_hard_links_can_not_be_copies_are_proposed(tmp_path, two, monkeypatch):
    def refuse(*paths):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(NnlcError, match="cross-device link; leave out --link to have copies"):
        merge_tables(two, tmp_path / "out", link=True)
    assert not (tmp_path / "out").exists()


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(1, 2)), max_size=12),
    st.permutations(range(3)),
)
def test_a_merger_is_the_union_or_says_what_differs(tmp_path_factory, tables, order):
    top = tmp_path_factory.mktemp("merger")
    contents: dict[int, list[bytes]] = {}
    for root, number, half_epochs in {(r, n): (r, n, h) for r, n, h in tables}.values():
        path = write(top / str(root), number, CURVE[:half_epochs])
        contents.setdefault(number, []).append(path.read_bytes())
    roots = [top / str(root) for root in order if (top / str(root)).exists()]
    if not roots:
        with pytest.raises(NnlcError, match="no folder was given"):
            merge_tables(roots, top / "out")
    elif any(len(set(several)) > 1 for several in contents.values()):
        with pytest.raises(NnlcError, match="differ"):
            merge_tables(roots, top / "out")
        assert not (top / "out").exists()
    else:
        merge_tables(roots, top / "out")
        found = {p.stem: p.read_bytes() for p in (top / "out").glob("*_models/*.txt")}
        assert found == {id_of(number): several[0] for number, several in contents.items()}


# ---- the command


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_the_command_says_how_many_and_what_is_odd(tmp_path, two):
    (two[1] / "README").write_text("hello")
    write(tmp_path / "more", 4)
    job = run("merge", *two, tmp_path / "more", "-o", tmp_path / "out")
    assert job.exit_code == 0, job.stderr
    assert job.stdout.splitlines() == [
        *(f"5 of 5 tables: {tmp_path / 'out'}", "3 of them with a record of their training"),
    ]
    skipped, note = job.stderr.splitlines()
    assert skipped == f"skipped: {two[1]}/README: its name is not <ID>.txt"
    assert note.startswith("note: 1 table found more than once")


def test_the_commands_mistakes_are_named(tmp_path, two):
    job = run("merge", *two, "-o", tmp_path / "out", "--on-clash", "rename")
    assert isinstance(job.exception, NnlcError)
    assert str(job.exception) == "on_clash is 'rename', but can only be 'refuse' or 'skip'"
    job = run("merge", *two, "-o", tmp_path / "out", "--damaged", "x")
    assert str(job.exception).startswith("damaged is 'x'")
    assert run("merge", "-o", tmp_path / "out").exit_code == 2
    assert not (tmp_path / "out").exists()
