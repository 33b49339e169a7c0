"""Folders of several families become one, or a part of one, and nothing of any is lost."""

import json
from dataclasses import fields, replace

import pandas as pd
import pytest
from invented_families import CELLS, ROWS, WIDE, write_families
from table_samples import tree
from test_merge import finished, provenance_of, run, write

from nnlc import NnlcError, Tables, load_tables, merge_tables, subset_tables
from nnlc.cli.shared_options import columns_of
from nnlc.collection.selection import Selection
from nnlc.families.counted_costs import Counted, cost_key
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


def write_costs(results, spec, family=None):
    """Write campaign.toml and costs.json as a job of the network leaves them."""
    (results / "campaign.toml").write_text("of no interest here")
    names = [field.name for field in fields(Counted)]
    sizes = {"parameters": 1234, "multiply_adds": 56}
    values = {
        "nnlc_costs": 1,
        "family": family or spec.family,
        "counts": names,
        "costs": {cost_key(spec): [sizes.get(name, 0) for name in names]},
    }
    (results / "costs.json").write_text(json.dumps(values))


def sizes_of(folder):
    networks = load_tables(folder).networks.set_index("id")
    return networks.loc[WIDE.id, ["parameters", "multiply_adds"]].tolist()


def test_counted_sizes_are_read_from_beside_the_tables_and_kept_by_a_merge(tmp_path, folders):
    spec = replace(WIDE, random_seed=0)
    write_costs(folders / "wide", spec)
    assert sizes_of(folders / "wide") == sizes_of(folders) == [1234, 56]
    networks = load_tables(folders).networks
    assert (
        networks["parameters"].notna().sum() == 3
    )  # as both of `wide` are alike, and the article's
    merge_tables(folders, tmp_path / "out")
    merge_tables(tmp_path / "out", tmp_path / "again")
    assert sizes_of(tmp_path / "out") == sizes_of(tmp_path / "again") == [1234, 56]
    assert len(list((tmp_path / "again" / "campaigns").iterdir())) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda costs: costs.write_text("{"),
        lambda costs: costs.write_bytes(b"\xff\xfe"),
        lambda costs: costs.write_text("[" * 100_000),
        lambda costs: costs.write_text(costs.read_text().replace("1234", '"1234"')),
        lambda costs: costs.write_text(costs.read_text().replace("1234", "-1")),
        lambda costs: costs.write_text(costs.read_text().replace("wide@1", "wide@2")),
        lambda costs: costs.write_text(costs.read_text().replace('"nnlc_costs": 1', '"x": 1')),
        lambda costs: costs.unlink() or costs.mkdir(),
        lambda costs: costs.rename(costs.with_name("c")) and costs.symlink_to("c"),
    ],
    ids=range(9),
)
def test_damaged_costs_leave_sizes_unknown_and_all_else_is_read(tmp_path, folders, damage):
    write_costs(folders / "wide", replace(WIDE, random_seed=0))
    damage(folders / "wide" / "costs.json")
    networks = load_tables(folders / "wide").networks
    assert networks["parameters"].isna().tolist() == [True, True]
    assert merge_tables(folders / "wide", tmp_path / "out").tables == 2


@pytest.mark.parametrize(("name", "versions"), [("wide", "wide@1"), ("cells@2.0", "cells@2.0")])
def test_tables_of_one_family_are_loaded_as_if_there_were_no_others(folders, name, versions):
    found = load_tables(folders, family=name)
    assert set(found.networks["family"]) == {versions}
    assert set(found.curves["id"]) == set(found.networks["id"])
    alone = load_tables(list(found.networks["path"])).networks.drop(columns="seconds")
    pd.testing.assert_frame_equal(found.networks.drop(columns="seconds"), alone)


def test_a_family_of_which_no_table_is_there_is_refused_with_those_that_are(folders):
    with pytest.raises(
        NnlcError, match=r"no table is of family 'deep'; there are article, cells@2"
    ):
        load_tables(folders, family="deep")
    with pytest.raises(NnlcError, match="family is of type int"):
        load_tables(folders, family=3)


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
