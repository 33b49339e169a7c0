"""Tables of any family are read without its code: bytes, values, frames, refusals."""

import copy
import pickle
import subprocess
import sys
from dataclasses import fields, replace
from math import nan

import numpy as np
import pandas as pd
import pytest
from export_samples import id_of
from frame_samples import CURVE, write
from hypothesis import given, settings
from hypothesis import strategies as st
from invented_families import (
    CELLS,
    ROWS,
    WIDE,
    WIDE_BYTES,
    curves,
    family_specs,
    write_families,
)
from table_samples import EXPECTED

from nnlc import load_tables
from nnlc.errors import SpecError, TableError
from nnlc.networks.columns import TRAINING_COLUMNS
from nnlc.networks.specification import MAX_OWN_COLUMNS, TAKEN_COLUMNS, FamilySpec
from nnlc.tables import Table, parse_table
from nnlc.tables.fast_parsing import parse_arrays
from nnlc.tables.lenient_parsing import parse_leniently

LINE_1, LINE_2, *_ = WIDE_BYTES.decode().split("\n")


class Notes(list):
    def add(self, rule, found, right="", *, line=None, column=None):
        self.append((rule, found, right, line, column))


def test_a_table_of_an_own_family_has_these_bytes_and_is_read_back():
    table = Table(WIDE, ROWS)
    assert table.to_bytes() == WIDE_BYTES
    assert parse_table(WIDE_BYTES).spec == WIDE
    assert parse_table(WIDE_BYTES).spec.stem == "=3x3"
    assert type(parse_table(Table(CELLS, ROWS).to_bytes()).spec.slope) is int


@settings(max_examples=150)
@given(family_specs(), curves)
def test_any_table_of_any_family_is_read_back_by_every_parser(spec, rows):
    content = Table(spec, rows).to_bytes()
    strict = parse_table(content)
    assert repr(strict) == repr(Table(spec, rows))  # types and signs of zeros too
    assert strict.to_bytes() == content
    layout, metadata, curve = parse_arrays(content)
    assert repr(metadata) == repr(tuple(getattr(spec, c.field) for c in layout.columns))
    expected = [[nan if (v := getattr(row, c)) is None else v for c in CURVE] for row in rows]
    assert repr(curve.tolist()) == repr(expected)
    notes = Notes()
    lenient = parse_leniently(content, notes)
    assert notes == []
    assert repr(list(lenient.values.values())) == repr(list(metadata))
    assert lenient.layout is strict.spec.layout
    for again in (
        FamilySpec.from_json(spec.to_json()),
        copy.deepcopy(spec),
        pickle.loads(pickle.dumps(spec)),
    ):
        assert repr(again) == repr(spec)


HEADS = {
    "a kind that does not exist": ("widths:integers", "widths:numbers"),
    "no kind": ("widths:integers", "widths"),
    "an empty kind": ("widths:integers", "widths:"),
    "two kinds": ("widths:integers", "widths:integers:text"),
    "an empty name": ("widths:integers", ":integers"),
    "a capital": ("widths:integers", "Widths:integers"),
    "a capital kind": ("widths:integers", "widths:Integers"),
    "a digit first": ("widths:integers", "1widths:integers"),
    "an underscore first": ("widths:integers", "_widths:integers"),
    "a dash": ("widths:integers", "wid-ths:integers"),
    "a dot": ("widths:integers", "wid.ths:integers"),
    "a dunder": ("widths:integers", "__class__:integers"),
    "a long name": ("widths:integers", "w" * 41 + ":integers"),
    "a name of 100,000 characters": ("widths:integers", "w" * 100_000 + ":integers"),
    "a percent sign": ("widths:integers", "%s:integers"),
    "quotes": ("widths:integers", '"widths":integers'),
    "a comma": ("widths:integers", "widths,x:integers"),
    "a column twice": ("depth:integer", "widths:integers"),
    "a column twice in two kinds": ("depth:integer", "widths:text"),
    "a depth of another kind": ("depth:integer", "depth:text"),
    "an empty field": ("widths:integers", ""),
    "a space too many": ("depth:integer", " depth:integer"),
    "a space at the end": ("slope:number", "slope:number "),
    "a tab": ("widths:integers", "widths:integers\t"),
    "a letter that is no ASCII": ("widths:integers", "widthß:integers"),
    "a column of a training after the family": ("widths:integers", "momentum"),
    "a column of the article": ("widths:integers", "convKernels"),
    "the family twice": ("widths:integers", "family"),
    "a kind for the family": (" family ", " family:text "),
    "a kind for the learning rate": ("learning_rate", "learning_rate:number"),
    "no family": (" family ", " "),
    "another word for the family": (" family ", " Family "),
    "the family first": ("epochs", "family epochs"),
    "the family before the weight decay": ("weight_decay family", "family weight_decay"),
    "two columns in the other order": ("momentum dampening", "dampening momentum"),
    "a missing column": (" momentum ", " "),
    "a column too few": (" slope:number", ""),
    "a column too many": ("slope:number", "slope:number more:flag"),
    "nothing after the family": (LINE_1[LINE_1.index(" widths:") :], ""),
    "the curve's columns alone": (LINE_1[LINE_1.index(" ID") :], ""),
    "a comment": ("epochs", "# epochs"),
}
HEADS |= {
    f"the name {name}": ("widths:integers", f"{name}:integers") for name in sorted(TAKEN_COLUMNS)
}


@pytest.mark.parametrize("kind", HEADS)
def test_a_hostile_header_is_refused_in_words_by_every_parser(kind):
    """About 75 kinds; the strict and the fast parser say the same, the lenient one notes it."""
    old, new = HEADS[kind]
    assert old in LINE_1
    content = WIDE_BYTES.replace(old.encode(), new.encode(), 1)
    with pytest.raises(TableError) as strict:
        parse_table(content)
    with pytest.raises(TableError) as fast:
        parse_arrays(content)
    assert str(strict.value) == str(fast.value)
    assert len(str(strict.value)) < 300
    assert "line 1" in str(strict.value) or "line 2: " in str(strict.value)
    notes = Notes()
    parse_leniently(content, notes)
    assert notes
    assert all(len(found) < 300 and line is not None for _, found, _, line, _ in notes)


def test_a_header_of_many_columns_is_read_up_to_a_limit():
    own = tuple((f"c{i}", "flag", True) for i in range(MAX_OWN_COLUMNS + 1))
    content = Table(replace(WIDE, own=own[1:]), ROWS).to_bytes()
    assert parse_table(content).spec.c1000 is True
    assert len(parse_arrays(content)[1]) == len(TRAINING_COLUMNS) + 1 + MAX_OWN_COLUMNS
    with pytest.raises(SpecError, match="1,001 own columns are more than 1,000"):
        replace(WIDE, own=own)
    more = content.replace(b" c1:flag", b" c1:flag c0:flag", 1)
    with pytest.raises(TableError, match=r"line 1.*1,001 own columns are more than 1,000"):
        parse_arrays(more)


FIELDS = {
    "a family without version": ("wide@1", "wide"),
    "a family of no name": ("wide@1", "@1"),
    "two versions": ("wide@1", "wide@1@2"),
    "a path as the family": ("wide@1", "../wide@1"),
    "no family at all": (" wide@1", " "),
    "a negative number in a list": ("16-3000000000", "16--3"),
    "a list that ends in a hyphen": ("16-3000000000", "16-"),
    "a leading zero": ("16-3000000000", "016-3"),
    "a number beyond 10^18": ("16-3000000000", "16-1000000000000000001"),
    "a number of 10,000 digits": ("16-3000000000", "1" * 10_000),
    "a flag of 1": (" True =3x3", " 1 =3x3"),
    "a text of nothing": (" =3x3 ", "  "),
    "a number of nan": ("=3x3 0.0", "=3x3 nan"),
    "a whole number for a float": ("=3x3 0.0", "=3x3 5"),
    "a float for a whole number": (" 4 True =3x3", " 4.0 True =3x3"),
    "a seed beyond 32 bits": (" 7 True", " 4294967296 True"),
    "an infinite learning rate's sign": (" 0.1 0.9", " -inf 0.9"),
}


@pytest.mark.parametrize("kind", FIELDS)
def test_a_hostile_value_is_refused_in_words_by_both_strict_parsers(kind):
    old, new = FIELDS[kind]
    assert old in LINE_2
    content = (f"{LINE_1}\n" + LINE_2.replace(old, new, 1)).encode() + WIDE_BYTES[
        len(LINE_1) + 1 + len(LINE_2) :
    ]
    with pytest.raises(TableError) as strict:
        parse_table(content)
    with pytest.raises(TableError) as fast:
        parse_arrays(content)
    assert str(strict.value) == str(fast.value)
    assert "line 2" in str(strict.value)
    assert len(str(strict.value)) < 400


@settings(max_examples=300)
@given(st.data())
def test_bytes_changed_at_random_are_judged_alike_by_both_parsers(data):
    content = bytearray(WIDE_BYTES)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from([b"", b" ", b":", b"-", b"0", b"nan", b"\n", b"@", b"text", b"e"])
        )

    def outcome(parse):
        try:
            found = parse(bytes(content))
        except TableError as problem:
            return str(problem)
        spec = found.spec if isinstance(found, Table) else None
        return repr([getattr(spec, c.field) for c in spec.layout.columns] if spec else [*found[1]])

    assert outcome(parse_table) == outcome(parse_arrays)
    parse_leniently(bytes(content), Notes())


def test_what_every_specification_has_is_no_name_of_an_own_column():
    public = {name for name in dir(WIDE) if not name.startswith("_")}
    assert public - {"widths", "is_split", "stem", "slope"} <= TAKEN_COLUMNS
    assert {field.name for field in fields(WIDE)} <= TAKEN_COLUMNS


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ((("id", "text", "x"),), "'id' is taken"),
        ((("to_json", "text", "x"),), "'to_json' is taken"),
        ((("a b", "text", "x"),), "'a b' is no name of a column"),
        ((("x", "text", "x"), ("x", "flag", True)), "two columns have the name 'x'"),
        ((("x", "list", ()),), "'list' is no kind"),
        ((("depth", "text", "4"),), "'depth' must be of kind integer"),
        ((("x", "text", "a b"),), "without spaces"),
        ((("x", "text", ""),), "without spaces"),
        ((("x", "integer", True),), "no value of a column of kind 'integer'"),
        ((("x", "integers", [1]),), "no value of a column of kind 'integers'"),
        ((("x", "integers", (1, True)),), "whole numbers"),
        ((("x", "integer", -1),), "whole numbers"),
        ((("x", "number", nan),), "NaN"),
        ((("x", "number", 1),), "must be a float"),
    ],
)
def test_a_specification_that_no_table_can_hold_is_refused(own, words):
    with pytest.raises(SpecError, match=words):
        replace(WIDE, own=own)


def test_families_side_by_side_are_one_frame(tmp_path):
    article = write(tmp_path / "article" / "CIFAR-100_models", 1)
    networks = load_tables(write_families(tmp_path)).networks
    assert list(networks["family"]) == ["article", *["cells@2.0"] * 2, *["wide@1"] * 2]
    assert networks["path"][0] == str(article)
    first = [column.field for column in TRAINING_COLUMNS]
    assert list(networks)[:13] == [*first, "family"]
    last = ["depth", "half_epochs", "published", "path", "parameters", "multiply_adds", "seconds"]
    assert list(networks)[-7:] == last
    assert list(networks)[-12:-7] == ["slope", "widths", "cell", "edges", "is_split", "stem"][-5:]
    assert list(networks["conv_kernels"]) == [(24, 2), None, None, None, None]
    assert list(networks["widths"]) == [None, *["16x32"] * 2, *[(16, 3_000_000_000)] * 2]
    assert list(networks["edges"].fillna(-1)) == [-1, 6, 6, -1, -1]
    assert list(networks["depth"].fillna(-1)) == [2, -1, -1, 4, 4]
    assert networks.dtypes[["edges", "depth"]].tolist() == [pd.Int64Dtype()] * 2
    assert networks["is_split"].dtype == pd.BooleanDtype()
    assert networks["is_split"].isna().tolist() == [True] * 3 + [False] * 2
    assert networks["dropout_rate"].fillna(-1).tolist() == [0.25, 0.25, 0.25, -1, -1]
    assert networks["slope"].dtype == np.dtype("float64")
    assert networks["stem"].isna().tolist() == [True] * 3 + [False] * 2
    assert networks["published"].tolist() == [True] + [False] * 4
    assert networks["parameters"].isna().tolist() == [False] + [True] * 4  # none is counted


def test_tables_of_one_family_have_plain_types_and_no_others_columns(tmp_path):
    networks = load_tables(write_families(tmp_path) / "wide").networks
    assert list(networks)[12:18] == ["family", "widths", "is_split", "stem", "slope", "depth"]
    assert networks["depth"].dtype == np.dtype("int64")
    assert networks["is_split"].dtype == np.dtype(bool)
    assert networks["seconds"].isna().all()
    cells = load_tables(tmp_path / "cells").networks
    assert cells["depth"].isna().all()
    assert cells["edges"].dtype == np.dtype("int64")


@settings(max_examples=25)
@given(st.lists(st.tuples(family_specs(), curves), min_size=1, max_size=4), st.booleans())
def test_frames_of_any_tables_have_the_values_of_each(tmp_path_factory, given, article):
    folder = tmp_path_factory.mktemp("any") / "m"
    folder.mkdir()
    tables = [Table(replace(s, id=id_of(i)), r) for i, (s, r) in enumerate(given)]
    for table in tables:
        (folder / f"{table.spec.id}.txt").write_bytes(table.to_bytes())
    if article:
        write(folder, 9)
    networks = load_tables(folder).networks.set_index("id")
    assert not networks.columns.duplicated().any()
    for table in tables:
        row = networks.loc[table.spec.id]
        assert row["family"] == table.spec.family
        for name, _, value in table.spec.own:
            assert row[name] == value
        lacking = set(networks) - {c.field for c in table.spec.layout.columns}
        lacking -= {"depth", "half_epochs", "published", "path"}
        assert all(
            row[name] is None or row[name] is pd.NA or row[name] != row[name] for name in lacking
        )


def test_a_folder_of_own_families_is_read_without_the_articles_code_and_torch(tmp_path):
    program = (
        "import sys, nnlc; tables = nnlc.load_tables(sys.argv[1]); assert len(tables) == 4; "
        "assert not {'torch', 'nnlc.families.registry'} & set(sys.modules)"
    )
    write_families(tmp_path)
    subprocess.run([sys.executable, "-c", program, tmp_path], check=True)


def test_the_articles_header_with_a_kind_is_no_table_of_the_article():
    for old, new in ((b"layer_types", b"layer_types:integers"), (b" FCFilters", b" family")):
        with pytest.raises(TableError, match="line 1"):
            parse_table(EXPECTED.replace(old, new, 1))
