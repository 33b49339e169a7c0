"""Folders of several families become one, or a part of one, and nothing of any is lost."""

from dataclasses import replace

import pandas as pd
import pytest
from invented_families import CELLS, ROWS, WIDE, write_families
from table_samples import tree
from test_merge import finished, provenance_of, run, write

from nnlc import NnlcError, Tables, load_tables, merge_tables, subset_tables
from nnlc.cli.shared_options import columns_of
from nnlc.collection.selection import Selection
from nnlc.tables import Table

ARTICLE = "2021_02_15_13_55_26_000001"


@pytest.fixture
def folders(tmp_path):
    """Results folders of the article and of two families, with journals."""
    write_families(tmp_path / "in")
    table = write(tmp_path / "in" / "article", 1)
    finished(tmp_path / "in" / "article", table)
    for name in ("wide", "cells"):
        tables = sorted((tmp_path / "in" / name).rglob("*.txt"))
        finished(tmp_path / "in" / name, *tables, seconds=(1.0, 2.0, 3.0))
    return tmp_path / "in"


def texts(folder):
    return {n.split("/")[-1]: c for n, c in tree(folder).items() if n.endswith(".txt")}


def test_families_merge_byte_for_byte_with_their_records(tmp_path, folders):
    done = merge_tables(folders, tmp_path / "out")
    assert (done.tables, done.recorded, done.notes) == (5, 5, ())
    assert texts(tmp_path / "out") == texts(folders)
    assert {row["dataset"] for row in provenance_of(tmp_path / "out")} == {"CIFAR100"}
    merged, before = load_tables(tmp_path / "out"), load_tables(folders)
    assert merged.networks["seconds"].tolist() == [10.0] + [6.0] * 4
    assert not merged.networks["seconds"].isna().any()
    columns = before.networks.columns.drop("path")
    one, two = (t.networks.set_index("id").sort_index() for t in (merged, before))
    pd.testing.assert_frame_equal(one[columns.drop("id")], two[columns.drop("id")])


CHOICES = [
    (["--family", "article"], {ARTICLE}),
    (["--family", "wide"], {WIDE.id, f"{WIDE.id[:-1]}1"}),
    (["--family", "cells@2.0", "--family", "article"], {CELLS.id, f"{CELLS.id[:-1]}1", ARTICLE}),
    (["--depth", "2"], {ARTICLE}),
    (["--depth", "3-"], {WIDE.id, f"{WIDE.id[:-1]}1"}),
    (["--depth", "-100"], {ARTICLE, WIDE.id, f"{WIDE.id[:-1]}1"}),
    (["--family", "wide", "--depth", "4", "--sample", "2"], {WIDE.id, f"{WIDE.id[:-1]}1"}),
    (["--family", "wide", "--top", "1", "--by", "random_seed"], {f"{WIDE.id[:-1]}1"}),
    (["--family", "cells", "--top", "1", "--by", "edges", "--lowest"], {CELLS.id}),
]


@pytest.mark.parametrize(("options", "ids"), CHOICES, ids=range(len(CHOICES)))
def test_a_subset_by_family_and_depth_has_what_is_asked_for(tmp_path, folders, options, ids):
    job = run("subset", folders, "-o", tmp_path / "out", *options)
    assert job.exit_code == 0, job.exception
    found = texts(tmp_path / "out")
    assert {name.removesuffix(".txt") for name in found} == ids
    assert found.items() <= texts(folders).items()


def test_a_family_that_no_table_has_is_named_beside_those_that_are_there(tmp_path, folders):
    for family in ("wide@2", "wid", "", "@1", "article@1"):
        job = run("subset", folders, "-o", tmp_path / "out", "--family", family)
        assert job.exit_code == 1
        assert f"no table is of family {family!r}; there are article, cells@2.0, wide@1" in str(
            job.exception
        )
    assert not (tmp_path / "out").exists()


def test_curves_of_other_programs_have_no_family_to_choose():
    rows = {"id": ["a", "a"], "epoch": [1, 2], "val_accuracy_percent": [10.0, 20.0]}
    tables = Tables.from_frames(pd.DataFrame(rows))
    assert tables.networks["family"].isna().all()
    with pytest.raises(NnlcError, match="no table is of family 'article'; there are none"):
        Selection(families=("article",)).choose(tables)
    assert Selection(depth=(1, 2)).choose(tables) == []


def test_one_network_under_two_ids_is_noted_within_a_family_only(tmp_path):
    other = replace(WIDE, own=(("widths", "integers", (16,)),), family="wide@2")
    alike = [
        WIDE,
        replace(WIDE, id=f"{WIDE.id[:-1]}1"),
        replace(other, id=f"{WIDE.id[:-1]}2"),
        # The same values in columns of other names make another network.
        replace(WIDE, id=f"{WIDE.id[:-1]}3", own=tuple((f"x{n}", k, v) for n, k, v in WIDE.own)),
    ]
    folder = tmp_path / "in" / "CIFAR-100_models"
    folder.mkdir(parents=True)
    for spec in alike:
        (folder / f"{spec.id}.txt").write_bytes(Table(spec, ROWS).to_bytes())
    [note] = merge_tables(tmp_path / "in", tmp_path / "out").notes
    assert note.startswith("the same network, seed included, under several IDs: ")
    assert f"{alike[0].id} = {alike[1].id}" in note
    assert alike[3].id not in note


def test_one_id_in_two_families_is_a_clash_of_different_networks(tmp_path):
    for name, spec in (("a", WIDE), ("b", replace(CELLS, id=WIDE.id))):
        folder = tmp_path / name / "m"
        folder.mkdir(parents=True)
        (folder / f"{spec.id}.txt").write_bytes(Table(spec, ROWS).to_bytes())
    paths = [tmp_path / "a", tmp_path / "b"]
    with pytest.raises(NnlcError, match="These are different networks"):
        merge_tables(paths, tmp_path / "out")
    done = merge_tables(paths, tmp_path / "out", on_clash="skip")
    assert (done.tables, done.among) == (1, 1)
    assert list(load_tables(tmp_path / "out").networks["family"]) == ["wide@1"]


def test_one_network_of_a_family_trained_twice_is_a_clash_of_the_same(tmp_path):
    for name, rows in (("a", ROWS), ("b", ROWS[:1])):
        folder = tmp_path / name / "m"
        folder.mkdir(parents=True)
        (folder / f"{WIDE.id}.txt").write_bytes(Table(WIDE, rows).to_bytes())
    with pytest.raises(NnlcError, match="These are the same networks with different curves"):
        merge_tables([tmp_path / "a", tmp_path / "b"], tmp_path / "out")


def test_a_chooser_sees_the_frames_of_all_families(tmp_path, folders):
    def choose(tables):
        networks = tables.networks
        return networks.loc[networks["edges"].fillna(0) == 6, "id"]

    assert subset_tables(folders, tmp_path / "out", choose).tables == 2
    assert {n[:-4] for n in texts(tmp_path / "out")} == {CELLS.id, f"{CELLS.id[:-1]}1"}


def test_columns_are_named_as_in_frames_or_as_in_tables():
    given = "convKernels, widths:integers,batch_size,edges"
    assert columns_of(given, ()) == ("conv_kernels", "widths", "batch_size", "edges")
    assert columns_of(None, ("x",)) == ("x",)


def test_a_damaged_table_of_a_family_is_refused_or_left_out(tmp_path, folders):
    path = next((folders / "wide").rglob("*0.txt"))
    path.write_bytes(path.read_bytes().replace(b"stem:text", b"stem:word"))
    with pytest.raises(NnlcError, match=r"line 1.*'stem:word' does not end in a kind"):
        merge_tables(folders, tmp_path / "out")
    done = merge_tables(folders, tmp_path / "out", damaged="skip")
    assert done.tables == 4
    assert [one.path for one in done.skipped if "stem:word" in one.reason] == [path]
