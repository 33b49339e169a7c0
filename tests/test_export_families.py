"""Exports of tables of any family: back byte for byte, and the article's as they always were."""

import hashlib
import json
from dataclasses import replace

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from export_samples import (
    FILES,
    WRITTEN,
    folders,
    id_of,
    read_here,
    read_tables,
    sample,
    sign,
    specs,
    three_exported,
    write_tables,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from invented_families import CELLS, ROWS, WIDE, curves, family_specs, write_families
from test_export_damage import edit_csv, refused
from test_export_description import Page, by_croissant, described

from nnlc import NnlcError, export_tables, import_tables
from nnlc.exporting import importing
from nnlc.exporting.manifest import read_manifest
from nnlc.tables import Table

GOLDEN = {
    "croissant.json": "f3be4f425a385b015c55118b80d42087741c2a7c6cabc2ca8ad8fac54c861033",
    "curves.csv": "d5b4bfdcf40cec9508df4510d9238628549d53c6c4e5a262bff6dc814d9e24d3",
    "datasheet.html": "c26f9b4e720668456daa5e1b05b5de976cdb958ac55dbb974097b2a1c541edb5",
    "networks.csv": "e39e3fa9491692c0dd743d60254c7e5e6b1f61cf715b55913a632c4d814ac39e",
}
"""sha256 of files of an export of the article's tables, by nnlc before there were families."""
GOLDEN_SCHEMAS = {
    "networks": "f80e760be2e5ef0d30e8ecc91043ee5989fa986f87d7cfb79a501da210e3cf09",
    "curves": "a9b836f93bbb51c3bd60110614b39b480f25d94aade249d0d80de691d6b82d42",
}
"""The same of names, types and metadata of columns in Parquet."""


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_an_export_of_the_articles_tables_is_what_it_was_before_there_were_families(tmp_path):
    export = three_exported(tmp_path / "csv", "csv")
    assert {name: digest((export / name).read_bytes()) for name in GOLDEN} == GOLDEN
    manifest = json.loads((export / "export.json").read_bytes())
    assert manifest["nnlc_export"] == 1  # an older nnlc reads it
    assert "own_columns" not in manifest
    export = three_exported(tmp_path / "parquet", "parquet")
    for name, expected in GOLDEN_SCHEMAS.items():
        schema = pq.read_schema(export / f"{name}.parquet")
        columns = [(c.name, str(c.type), c.nullable, sorted(c.metadata.items())) for c in schema]
        assert digest(repr(columns).encode()) == expected


def mixed_tables(folder):
    """Write tables of the article and of both invented families."""
    write_families(folder)
    return write_tables(folder, {f"a/CIFAR-100_models/{id_of(1)}.txt": sample(1).to_bytes()})


@pytest.mark.parametrize("format", WRITTEN)
def test_families_side_by_side_are_restored_by_the_process_that_reads(tmp_path, format):
    tables = mixed_tables(tmp_path / "tables")
    done = export_tables(tables, tmp_path / "export", format=format)
    assert done.tables == import_tables(tmp_path / "export", tmp_path / "out") == 5
    found = {
        name.split("/")[-1]: content for name, content in read_tables(tmp_path / "out").items()
    }
    assert found == {n.split("/")[-1]: c for n, c in read_tables(tables).items()}


@st.composite
def any_tables(draw) -> dict[str, bytes]:
    """Up to six tables of a few families, which share columns, or give them other kinds."""
    tables = {}
    pool = draw(st.lists(family_specs(), min_size=1, max_size=3))
    for number in range(draw(st.integers(1, 6))):
        id_ = id_of(number)
        columns = tuple((name, kind) for name, kind, _ in draw(st.sampled_from(pool)).own)
        some = st.one_of(family_specs(id_, columns), family_specs(id_), specs(id_))
        tables[f"{draw(folders)}/{id_}.txt"] = Table(draw(some), draw(curves)).to_bytes()
    return tables


@pytest.mark.parametrize("format", WRITTEN)
@settings(max_examples=15)
@given(tables=any_tables())
def test_any_tables_of_any_families_are_restored_byte_for_byte(tmp_path_factory, format, tables):
    root = tmp_path_factory.mktemp("any")
    export_tables(write_tables(root / "tables", tables), root / "export", format=format)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importing, "read_in_process", read_here)
        assert import_tables(root / "export", root / "out") == len(tables)
    assert read_tables(root / "out") == tables


@pytest.mark.parametrize("format", WRITTEN)
def test_the_same_tables_of_families_give_the_same_bytes_in_any_order(tmp_path, format):
    tables = mixed_tables(tmp_path / "tables")
    export_tables(sorted(tables.iterdir()), tmp_path / "one", format=format)
    export_tables(sorted(tables.iterdir(), reverse=True), tmp_path / "two", format=format)
    assert read_tables(tmp_path / "one") == read_tables(tmp_path / "two")


@pytest.mark.parametrize("format", WRITTEN)
def test_other_programs_find_family_and_own_columns_with_their_kinds(tmp_path, format):
    export_tables(mixed_tables(tmp_path / "tables"), tmp_path / "export", format=format)
    path = tmp_path / "export" / FILES[format][0]
    read = pd.read_parquet if format == "parquet" else pd.read_csv
    found = read(path).set_index("id").sort_index()
    ids = [id_of(1), WIDE.id, id_of(101), CELLS.id, id_of(201)]
    assert list(found.index) == ids
    assert list(found["family"]) == ["article", *["wide@1"] * 2, *["cells@2.0"] * 2]
    assert list(found["own_columns"])[:2] == [
        "article",
        "widths:integers depth:integer is_split:flag stem:text slope:number",
    ]
    assert list(found["depth"].fillna(-1)) == [2, 4, 4, -1, -1]
    assert list(found["edges"].fillna(-1)) == [-1, -1, -1, 6, 6]
    assert list(found["dropout_rate"].fillna(-1)) == [0.25, -1, -1, 0.25, 0.25]
    assert list(found["stem"].fillna(""))[:2] == ["", "=3x3" if format == "parquet" else "'=3x3"]
    # Two kinds of one name: the first keeps the name alone.
    first, second = found["widths"].iloc[3], found["widths:integers"].iloc[1]
    assert first == "16x32"
    assert list(second) == [16, 3_000_000_000] if format == "parquet" else second == "16-3000000000"
    assert found["published"].tolist() == [False] * 5
    if format == "parquet":
        schema = pq.read_schema(path)
        assert str(schema.field("widths:integers").type) == "list<element: int64>"
        assert str(schema.field("conv_kernels").type) == "list<element: int64>"
        assert schema.field("edges").nullable
        assert not schema.field("learning_rate").nullable
        assert schema.field("edges").metadata[b"table_column"] == b"edges:integer"


def test_an_export_of_one_family_has_no_column_of_others_and_no_blanks(tmp_path):
    export_tables(write_families(tmp_path / "in") / "wide", tmp_path / "export", format="csv")
    found = pd.read_csv(tmp_path / "export" / "networks.csv")
    assert not found.isna().drop(columns="float_zeros").any().any()
    assert list(found)[12:18] == ["family", "widths", "is_split", "stem", "slope", "depth"]
    assert "conv_kernels" not in found


@pytest.mark.parametrize("format", WRITTEN)
def test_an_export_of_families_describes_itself(tmp_path, format):
    export = tmp_path / "export"
    export_tables(mixed_tables(tmp_path / "tables"), export, format=format)
    dataset = by_croissant(export)
    assert not dataset.metadata.ctx.issues.errors
    assert described(export)["name"] == "Learning curves of neural networks"
    words = "Neural networks of 3 families (article, cells@2.0, wide@1) (5), each trained"
    assert described(export)["description"].startswith(words)
    networks = described(export)["recordSet"][0]["field"]
    [edges] = [one for one in networks if one["name"] == "edges"]
    assert edges["description"].startswith("Own column of the networks' family")
    assert edges["dataType"] == "sc:Integer"
    text = Page(export).text
    dense = "".join(text.split())
    assert "Networksbydatasetandfamilydatasetarticlecells@2.0wide@1allCIFAR1001225" in dense
    assert "Networksbydatasetanddepthdataset24allCIFAR100125" in dense
    assert "fc_dropout_rate may be" in text
    assert "Convolutional networks" not in text
    assert "stochastic gradient descent" not in text


def test_the_page_of_other_families_alone_says_nothing_of_the_articles_columns(tmp_path):
    export_tables(write_families(tmp_path / "in") / "cells", tmp_path / "export")
    text = Page(tmp_path / "export").text
    assert "Neural networks of 1 family (cells@2.0) (2)" in " ".join(text.split())
    assert "fc_dropout_rate" not in text
    assert "number of convolutions" not in text
    assert "by dataset and depth" not in text  # this family has none


EDITS = {
    "another family": lambda row: row.update(family="other@1"),
    "a family of the article's": lambda row: row.update(family="article"),
    "no family": lambda row: row.update(family=""),
    "the own columns of another": lambda row: row.update(own_columns="article"),
    "own columns that no table has": lambda row: row.update(own_columns="x:flag"),
    "no own columns": lambda row: row.update(own_columns=""),
    "a value of another": lambda row: row.update(stem="7x7"),
    "a blank value": lambda row: row.update(stem=""),
    "a blank number": lambda row: row.update(depth=""),
    "a value of another kind": lambda row: row.update(is_split="1"),
    "another sign of zero": lambda row: row.update(slope="-0.0"),
    "another writing of zero": lambda row: row.update(float_zeros=""),
    "a list of other numbers": lambda row: row.update({"widths:integers": "16"}),
    "a list with a text": lambda row: row.update({"widths:integers": "16-x"}),
}


@pytest.mark.parametrize("kind", EDITS)
def test_an_edited_record_of_a_family_is_refused_with_its_table(tmp_path, kind):
    export = tmp_path / "export"
    export_tables(mixed_tables(tmp_path / "tables"), export, format="csv")

    def edit(rows):
        [row] = [row for row in rows if row["id"] == WIDE.id]
        EDITS[kind](row)

    edit_csv(export / "networks.csv", edit)
    refused(export, rf"{WIDE.id}|column (is_split|widths:integers|depth)")


HOSTILE_COLUMNS = [
    [],
    [""],
    ["article", "x"],
    ["x:list"],
    ["id:text"],
    ["x:flag x:text"],
    [" "],
    ["x:flag  y:flag"],
    ["x:flag "],
    ["depth:text"],
    "article",
    [1],
    [None],
    None,
    {},
    ["x" * 50 + ":flag"],
    ["article", "article"],
    ["__class__:text"],
    ["a:flag" for _ in range(1000)],
]


@pytest.mark.parametrize("columns", HOSTILE_COLUMNS, ids=range(len(HOSTILE_COLUMNS)))
def test_a_manifest_of_hostile_columns_is_one_message(tmp_path, columns):
    export = tmp_path / "export"
    kind = "parquet" if columns == ["x:flag x:text"] else "csv"
    export_tables(write_families(tmp_path / "in") / "wide", export, format=kind)
    path = export / "export.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"own_columns": columns}))
    with pytest.raises(NnlcError, match=str(export)) as problem:
        import_tables(export, tmp_path / "out")
    assert "\n" not in str(problem.value)
    assert not (tmp_path / "out").exists()


def test_a_column_that_is_blank_in_the_file_of_a_forger_is_refused(tmp_path):
    export = tmp_path / "export"
    export_tables(write_families(tmp_path / "in"), export, format="parquet")
    path = export / "networks.parquet"
    table = pq.read_table(path)
    place = table.column_names.index("edges")
    blank = pa.nulls(len(table), pa.int64())
    table = table.set_column(place, table.schema.field("edges"), blank)
    pq.write_table(table, path, write_page_checksum=True)
    sign(export)
    with pytest.raises(NnlcError, match="column edges is blank"):
        import_tables(export, tmp_path / "out")


def test_too_many_different_headers_are_refused_before_anything_is_written(tmp_path):
    folder = tmp_path / "in" / "m"
    folder.mkdir(parents=True)
    for number in range(25):
        own = tuple((f"c{number:02}_{i:036}", "flag", True) for i in range(1000))
        spec = replace(WIDE, id=id_of(number), own=own)
        (folder / f"{spec.id}.txt").write_bytes(Table(spec, ROWS[:1]).to_bytes())
    with pytest.raises(NnlcError, match="too many different columns"):
        export_tables(folder, tmp_path / "export", format="csv")
    assert not (tmp_path / "export").exists()


def test_the_manifest_says_which_columns_there_are(tmp_path):
    export = tmp_path / "export"
    export_tables(mixed_tables(tmp_path / "tables"), export, format="csv")
    manifest = json.loads((export / "export.json").read_text())
    assert manifest["nnlc_export"] == 2
    assert manifest["own_columns"][0] == "article"
    assert len(manifest["own_columns"]) == 3
    schema = read_manifest(export).schema
    names = [part.name for part in schema.networks]
    assert len(set(names)) == len(names)
