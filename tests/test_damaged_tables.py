"""A damaged table is refused with line and column; no byte of one is ever lost silently."""

import random
from contextlib import suppress

import pytest
from article_columns import COLUMNS
from audit_samples import GOOD
from damaged_tables import BYTE_KINDS, field, line, without_line
from hypothesis import given, settings
from hypothesis import strategies as st
from table_samples import EXPECTED, SPEC

from nnlc.errors import TableError
from nnlc.tables import parse_table, read_table

NAMES = [column.name for column in COLUMNS]


def twice(number):
    def damage(content):
        lines = content.split(b"\n")
        return b"\n".join(lines[:number] + lines[number - 1 :])

    return damage


# kind: (damage, line, column name or None)
DAMAGE = {
    "a header in another order": (
        lambda c: c.replace(b"trainLoss valLoss", b"valLoss trainLoss"),
        1,
        "trainLoss",
    ),
    "a header that ends in a space": (line(1, lambda t: t + b" "), 1, 29),
    "a header with two spaces": (lambda c: c.replace(b" ID", b"  ID"), 1, "ID"),
    "a tab": (lambda c: c.replace(b"nan inf", b"nan\tinf"), 3, "trainLoss"),
    "a carriage return": (line(3, lambda t: t + b"\r"), 3, "FCFilters"),
    "cut in the middle of a line": (lambda c: c[:-60], 4, None),
    "an empty line in the middle": (line(4, lambda t: b"\n" + t), 4, None),
    "a missing first row": (without_line(2), 2, "epochs"),
    "a row with one space fewer": (line(4, lambda t: t[:-1]), 4, None),
    "a row with one space more": (line(5, lambda t: t + b" "), 5, None),
    "metadata with a field fewer": (line(2, lambda t: t.rsplit(b" ", 1)[0]), 2, None),
    "an epoch as a whole number": (field(3, "epochs", b"1"), 3, "epochs"),
    "an epoch with more zeros": (field(3, "epochs", b"1.00"), 3, "epochs"),
    "an epoch out of order": (field(5, "epochs", b"2.5"), 5, "epochs"),
    "no epoch": (field(3, "epochs", b""), 3, "epochs"),
    "a loss in words": (field(3, "trainLoss", b"high"), 3, "trainLoss"),
    "a loss as a whole number": (field(3, "valLoss", b"4"), 3, "valLoss"),
    "a loss with a plus sign": (field(3, "valLoss", b"+4.0"), 3, "valLoss"),
    "a loss with an underscore": (field(3, "valLoss", b"4_0.0"), 3, "valLoss"),
    "a loss beyond doubles": (field(3, "trainLoss", b"1e999"), 3, "trainLoss"),
    "infinity in full": (field(3, "valLoss", b"infinity"), 3, "valLoss"),
    "a negative nan": (field(3, "trainLoss", b"-nan"), 3, "trainLoss"),
    "an exponent in capitals": (field(4, "trainLoss", b"1E-07"), 4, "trainLoss"),
    "an ID with a digit fewer": (field(2, "ID", b"2021_02_15_13_55_26_53926"), 2, "ID"),
    "no ID": (field(2, "ID", b""), 2, "ID"),
    "a negative seed": (field(2, "random_seed", b"-1"), 2, "random_seed"),
    "a seed with a leading zero": (field(2, "random_seed", b"01"), 2, "random_seed"),
    "a seed of 5,000 digits": (field(2, "random_seed", b"1" * 5_000), 2, "random_seed"),
    "truth as a number": (
        field(2, "torch_set_deterministic", b"1"),
        2,
        "torch_set_deterministic",
    ),
    "no dataset": (field(2, "dataset", b""), 2, "dataset"),
    "a batch of nothing": (field(2, "batch_size", b"0"), 2, "batch_size"),
    "a batch as a float": (field(2, "batch_size", b"25.0"), 2, "batch_size"),
    "no loss function": (field(2, "loss_fn", b""), 2, "loss_fn"),
    "no optimizer": (field(2, "optimizer", b""), 2, "optimizer"),
    "a learning rate of nan": (field(2, "learning_rate", b"nan"), 2, "learning_rate"),
    "a negative momentum": (field(2, "momentum", b"-0.1"), 2, "momentum"),
    "no dampening": (field(2, "dampening", b""), 2, "dampening"),
    "a weight decay of 1": (field(2, "weight_decay", b"1"), 2, "weight_decay"),
    "a dropout rate above 1": (field(2, "dropout_rate", b"1.5"), 2, "dropout_rate"),
    "a block of nothing": (field(2, "layer_types", b"3-0"), 2, "layer_types"),
    "a list that ends in a hyphen": (field(2, "convStrides", b"12-1-"), 2, "convStrides"),
    "a list that is too long": (field(2, "convFilters", b"301-345-9"), 2, "convFilters"),
    "a stride without pooling": (field(2, "poolStrides", b"1-1"), 2, "poolStrides"),
    "a pool padding in words": (field(2, "poolPaddings", b"none"), 2, "poolPaddings"),
    "a rate of False": (field(2, "FC_dropout_rate", b"False"), 2, "FC_dropout_rate"),
    "no classes": (field(2, "FCFilters", b""), 2, None),
    "zero classes": (field(2, "FCFilters", b"0"), 2, "FCFilters"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_table_is_refused_with_line_and_column(kind, tmp_path):
    damage, line_number, column = DAMAGE[kind]
    path = tmp_path / "damaged.txt"
    path.write_bytes(damage(EXPECTED))
    assert path.read_bytes() != EXPECTED
    with pytest.raises(TableError) as refusal:
        read_table(path)
    error = refusal.value
    number = column if isinstance(column, int | None) else NAMES.index(column) + 1
    assert (error.path, error.line, error.column) == (path, line_number, number)
    assert str(error).startswith(str(path))
    assert line_number is None or f"line {line_number}" in str(error)
    assert number is None or f"column {number}" in str(error)
    assert len(str(error)) < 1_000


READ_ALL_THE_SAME = {
    *("id", "id-file-name", "dataset-folder", "loss-and-optimizer", "conv-kernel", "conv-stride"),
    *("conv-padding", "pool-kernel", "pool-stride", "pool-padding", "output-width", "filters"),
    *("last-filters", "dropout-rate", "fc-layers", "fc-units", "classes", "fc-dropout-rate"),
    *("fc-dropout-layers", "learning-rate", "momentum", "dampening", "weight-decay", "batches"),
    *("batch-size", "half-epochs", "accuracy-range", "accuracy-step", "loss-range"),
    *("loss-accuracy", "nan-stays", "nan-accuracy", "non-finite", "first-loss", "never-learned"),
}
"""Rules of networks and curves, which an audit holds a table to and a reader does not."""


@pytest.mark.parametrize("kind", BYTE_KINDS)
def test_what_an_audit_finds_wrong_in_the_bytes_is_refused_at_the_same_line(kind):
    content = BYTE_KINDS[kind].damage(GOOD)
    if BYTE_KINDS[kind].rule in READ_ALL_THE_SAME:
        with suppress(TableError):
            assert parse_table(content).to_bytes() == content
        return
    with pytest.raises(TableError) as refusal:
        parse_table(content)
    assert refusal.value.line in (BYTE_KINDS[kind].line, None) or kind == "a million lines"


@pytest.mark.parametrize(
    ("half_epochs", "words"),
    [(5, "ends after 4 of 5"), (3, "4 half epochs where 3 are expected")],
)
def test_another_number_of_rows_than_expected_is_refused(half_epochs, words):
    assert len(parse_table(EXPECTED, half_epochs=4).rows) == 4
    with pytest.raises(TableError, match=words) as refusal:
        parse_table(EXPECTED, half_epochs=half_epochs)
    assert refusal.value.line == {5: 6, 3: 5}[half_epochs]


def test_what_cannot_be_read_is_a_table_error(tmp_path):
    for path, why in ((tmp_path, "is a folder where"), (tmp_path / "gone.txt", "can't be read")):
        with pytest.raises(TableError, match=why) as refusal:
            read_table(path)
        assert refusal.value.path == path


def test_a_file_too_large_for_a_table_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr("nnlc.tables.table.MAX_BYTES", len(EXPECTED))
    path = tmp_path / "large.txt"
    path.write_bytes(EXPECTED)
    assert read_table(path).spec == SPEC
    path.write_bytes(EXPECTED + b"2.5" + b" " * 27 + b"\n")
    with pytest.raises(TableError, match="larger"):
        read_table(path)


PIECES = [b" ", b"\n", b"-", b".", b"0", b"1", b"nan", b"inf", b"e", b"True", b"\r", b"\xff", b"_"]


def mutated(content, generator):
    """A few bytes replaced, put in, taken out, doubled or moved."""
    for _ in range(generator.choice((1, 1, 1, 2, 4))):
        at = generator.randrange(len(content) + 1)
        end = min(len(content), at + generator.choice((1, 1, 1, 2, 8, 200)))
        piece = generator.choice((*PIECES, bytes([generator.randrange(256)])))
        to = generator.randrange(len(content) + 1)
        content = (
            generator.choice(
                (
                    content[:at] + piece + content[at + 1 :],
                    content[:at] + piece + content[at:],
                    content[:at] + content[end:],
                    content[:to] + content[at:end] + content[to:],
                    content[:at],
                )
            )
            or b"\n"
        )
    return content


def test_mutated_bytes_are_refused_or_given_back_exactly():
    generator = random.Random(5)
    outcomes = {"refused": 0, "given back": 0}
    for _ in range(4_000):
        content = mutated(EXPECTED, generator)
        try:
            table = parse_table(content)
        except TableError:
            outcomes["refused"] += 1
        else:
            assert table.to_bytes() == content
            outcomes["given back"] += content != EXPECTED
    assert outcomes["refused"] > 1_000
    assert outcomes["given back"] > 100


@settings(max_examples=200)
@given(st.data())
def test_any_text_in_any_field_is_refused_or_given_back_exactly(data):
    number = data.draw(st.integers(2, 5))
    column = data.draw(st.sampled_from(NAMES))
    text = data.draw(st.text("0123456789-+.einfatTruFls_ \n", max_size=12))
    content = field(number, column, text.encode())(EXPECTED)
    line_number = 0
    try:
        again = parse_table(content).to_bytes()
    except TableError as error:
        line_number = error.line
    assert line_number or again == content, "a refusal names a line"


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_never_a_table(content):
    for start in (b"", EXPECTED.split(b"\n")[0] + b"\n"):
        with pytest.raises(TableError):
            parse_table(start + content)
