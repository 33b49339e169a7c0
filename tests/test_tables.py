"""Tables have the published format to the byte, and nothing else is taken for one."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from article_columns import COLUMNS
from export_samples import specs
from hypothesis import given, settings
from hypothesis import strategies as st
from table_samples import EXPECTED, ROWS, SPEC, TABLE

from nnlc.errors import NnlcError, TableError
from nnlc.families.article import walk_network
from nnlc.networks import KNOWN_IMAGE_SETS
from nnlc.tables import Row, Table, parse_table, read_table, write_table

PUBLISHED = Path(__file__).parent.parent.parent / "shared/published/2021_02_15_13_55_26_539263.txt"

COLUMNS_1_TO_4 = ["epochs", "trainLoss", "valLoss", "valAcc"]
COLUMNS_5_TO_16 = [
    *("ID", "random_seed", "train_GPU", "torch_set_deterministic", "dataset", "batch_size"),
    *("loss_fn", "optimizer", "learning_rate", "momentum", "dampening", "weight_decay"),
]
COLUMNS_17_TO_28 = [
    *("layer_types", "dropout_rate", "convKernels", "convStrides", "convPaddings", "poolKernels"),
    *("poolStrides", "poolPaddings", "convFilters"),
    *("FC_dropout_rate", "FC_dropout_layers", "FCFilters"),
]
COLUMN_NAMES = [*COLUMNS_1_TO_4, *COLUMNS_5_TO_16, *COLUMNS_17_TO_28]

# ---- the format


def test_the_columns_are_the_articles_in_its_order():
    assert [column.name for column in COLUMNS] == COLUMN_NAMES
    assert len(COLUMN_NAMES) == 28


def test_a_table_is_written_to_the_expected_bytes():
    assert TABLE.to_bytes() == EXPECTED


def test_the_expected_bytes_read_as_the_table():
    assert repr(parse_table(EXPECTED)) == repr(TABLE)  # repr, since NaN equals nothing


def test_every_line_has_28_fields_and_the_later_ones_end_in_24_spaces():
    for content in (EXPECTED, Table(SPEC, ROWS * 40).to_bytes()):
        lines = content.decode().removesuffix("\n").split("\n")
        assert {len(line.split(" ")) for line in lines} == {28}
        for line in lines[2:]:
            assert line.endswith(" " * 24)
            assert line[-25] != " "
            assert line.split(" ")[4:] == [""] * 24


def test_a_last_curve_field_that_is_blank_adds_one_space():
    content = Table(SPEC, (ROWS[0], Row(None, None, None))).to_bytes()
    assert content.endswith(b"\n1.0" + b" " * 27 + b"\n")
    assert parse_table(content).rows[1] == Row(None, None, None)


def test_what_was_not_drawn_reads_as_the_integer_and_what_was_drawn_as_a_float():
    spec = parse_table(EXPECTED).spec
    assert type(spec.dampening) is int
    assert type(spec.weight_decay) is float
    zero = parse_table(EXPECTED.replace(b"-05 0 1.0", b"-05 0.0 1.0"))
    assert type(zero.spec.dampening) is float
    assert zero.to_bytes() != EXPECTED


def test_epochs_count_halves():
    content = Table(SPEC, ROWS * 20).to_bytes()
    epochs = [line.split(b" ")[0] for line in content.splitlines()[1:]]
    assert epochs[:3] + epochs[-1:] == [b"0.5", b"1.0", b"1.5", b"40.0"]


def test_a_table_without_rows_is_not_written():
    with pytest.raises(TableError, match="at least one half epoch"):
        Table(SPEC, ()).to_bytes()


@pytest.mark.needs("published tables")
def test_a_published_table_is_read_without_loss():
    content = PUBLISHED.read_bytes()
    table = read_table(PUBLISHED, half_epochs=80)
    assert table.to_bytes() == content
    assert (len(table.rows), table.spec.id) == (80, PUBLISHED.stem)
    walk = walk_network(table.spec, KNOWN_IMAGE_SETS["CIFAR-100"])
    flat = next(layer.output[0] for layer in walk.layers if layer.kind == "flatten")
    assert (flat, walk.classes) == (12_420, 100)
    assert table.rows[0] == Row(4.253769808530808, 3.8971090102730845, 9.68)
    assert (table.spec.fc_dropout_layers, table.spec.fc_filters) == ((), (100,))


# ---- there and back

curve_values = st.one_of(st.none(), st.floats())
rows = st.lists(
    st.builds(Row, curve_values, curve_values, curve_values), min_size=1, max_size=6
).map(tuple)


@settings(max_examples=200)
@given(specs(), rows)
def test_a_table_reads_back_as_what_was_written(spec, rows):
    content = Table(spec, rows).to_bytes()
    again = parse_table(content, half_epochs=len(rows))
    assert repr(again.spec) == repr(spec)
    assert repr(again.rows) == repr(rows)
    assert again.to_bytes() == content


@pytest.mark.parametrize("text", ["", "two words", "tab\tbed", "line\nbreak", "größer"])
def test_a_word_that_would_break_the_table_is_not_written(text):
    for name in ("dataset", "loss_fn", "optimizer"):
        with pytest.raises(NnlcError):
            Table(replace(SPEC, **{name: text}), ROWS).to_bytes()


# ---- on disk


def test_a_written_table_is_alone_in_its_folder(tmp_path):
    path = tmp_path / "table.txt"
    write_table(TABLE, path)
    assert path.read_bytes() == EXPECTED
    write_table(Table(SPEC, ROWS[:1]), path)
    assert read_table(path, half_epochs=1).rows == ROWS[:1]
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.txt"]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failing_disk_leaves_the_old_table_and_nothing_else(tmp_path, monkeypatch, failing):
    path = tmp_path / "table.txt"
    write_table(TABLE, path)
    calls = []

    def fail(*arguments, **keywords):
        calls.append(arguments)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(OSError, match="No space left"):
        write_table(Table(SPEC, ROWS[:1]), path)
    monkeypatch.undo()
    assert calls
    assert path.read_bytes() == EXPECTED
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.txt"]


def test_the_old_table_stands_until_the_new_one_is_whole_and_synced(tmp_path, monkeypatch):
    path = tmp_path / "table.txt"
    write_table(TABLE, path)
    seen, sync = [], os.fsync

    def look_and_sync(handle):
        seen.append(path.read_bytes())
        sync(handle)

    monkeypatch.setattr(os, "fsync", look_and_sync)
    write_table(Table(SPEC, ROWS[:1]), path)
    assert seen[0] == EXPECTED
    assert path.read_bytes() == Table(SPEC, ROWS[:1]).to_bytes()


def test_a_table_that_cannot_be_encoded_touches_no_file(tmp_path):
    path = tmp_path / "table.txt"
    write_table(TABLE, path)
    with pytest.raises(TableError):
        write_table(Table(SPEC, ()), path)
    assert path.read_bytes() == EXPECTED
