"""A table at a glance: the same values and the same refusals as `parse_table`, only sooner."""

import random
from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
import pytest
from article_columns import METADATA_COLUMNS
from audit_samples import GOOD
from damaged_tables import BYTE_KINDS
from export_samples import specs
from frame_samples import CURVE, PLAIN
from hypothesis import example, given, settings
from table_samples import EXPECTED, ROWS, SPEC, TABLE
from test_damaged_tables import DAMAGE, mutated
from test_tables import rows

from nnlc.errors import TableError
from nnlc.families.layouts import article_layout
from nnlc.tables import Row, Table, parse_table
from nnlc.tables.fast_parsing import parse_arrays


def arrays_of(table):
    values = [[nan if (v := getattr(row, c)) is None else v for c in CURVE] for row in table.rows]
    return repr((tuple(getattr(table.spec, c.field) for c in METADATA_COLUMNS), values))


def outcome(parse, content):
    """What a parser says: the values with every bit and type, or the refusal."""
    try:
        found = parse(content, path=Path("some/table.txt"))
    except TableError as problem:
        return str(problem), problem.path, problem.line, problem.column
    if isinstance(found, Table):
        return arrays_of(found)
    layout, metadata, curve = found
    assert layout is article_layout()
    assert curve.dtype == np.float64
    return repr((metadata, curve.tolist()))


@settings(max_examples=60)
@given(specs(), rows)
@example(replace(SPEC, optimizer="None"), (Row(None, None, None),))
def test_a_table_at_a_glance_says_what_parse_table_says(spec, rows):
    content = Table(spec, rows).to_bytes()
    assert outcome(parse_arrays, content) == outcome(parse_table, content)


DAMAGED = {name: damage(EXPECTED) for name, (damage, *_) in DAMAGE.items()} | {
    name: kind.damage(GOOD) for name, kind in BYTE_KINDS.items()
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_table_gets_the_very_error_of_parse_table(kind):
    content = DAMAGED[kind]
    assert outcome(parse_arrays, content) == outcome(parse_table, content)
    assert isinstance(outcome(parse_arrays, content), tuple) or kind in BYTE_KINDS


@pytest.mark.parametrize("table", [TABLE, PLAIN], ids=["odd values", "plain values"])
def test_mutated_bytes_are_judged_as_parse_table_judges_them(table):
    generator = random.Random(7)
    refused = 0
    for _ in range(2_000):
        content = mutated(table.to_bytes(), generator)
        found = outcome(parse_arrays, content)
        assert found == outcome(parse_table, content)
        refused += isinstance(found, tuple)
    assert 500 < refused < 2_000


TRICKS = {
    "two rows in one line": lambda c: c.replace(b" " * 24 + b"\n2.0", b" 2.0", 1),
    "line ends in another place": lambda c: c.replace(
        b" " * 24 + b"\n2.0 ", b" 2.0" + b" " * 24 + b"\n"
    ),
    "a value in quotes": lambda c: c.replace(b" 4.25 ", b' "4.25" '),
    "two values in one field": lambda c: c.replace(b" 4.25 ", b" 4.25,1.5 "),
    "a list": lambda c: c.replace(b" 4.25 ", b" [4.25] "),
    "a list of two fields": lambda c: c.replace(b"1.0 2.125 0.5 ", b"1.0 [2.125 0.5] "),
    "null": lambda c: c.replace(b"2.125", b"null"),
    "true": lambda c: c.replace(b"2.125", b"true"),
    "a whole number": lambda c: c.replace(b" 2.125 ", b" 2 "),
    "a long whole number": lambda c: c.replace(b" 2.125 ", b" 2" + b"0" * 30 + b" "),
    "a digit too many": lambda c: c.replace(b"2.125", b"2.1250"),
    "a tab for a space": lambda c: c.replace(b" 2.125 ", b"\t2.125 "),
    "a carriage return": lambda c: c.replace(b"2.125 ", b"2.125\r "),
    "a form feed": lambda c: c.replace(b"2.125 ", b"2.125\x0c "),
    "a number beyond doubles": lambda c: c.replace(b"2.125", b"2.125e999"),
    "a number in JSON's way": lambda c: c.replace(b"2.125", b"0.00001"),
    "an exponent in JSON's way": lambda c: c.replace(b"2.125", b"1e-7"),
    "a capital exponent": lambda c: c.replace(b"2.125", b"1E-07"),
    "a percent sign": lambda c: c.replace(b"2.125", b"%s"),
}


@pytest.mark.parametrize("kind", TRICKS)
def test_what_other_formats_would_take_is_refused_here_too(kind):
    content = TRICKS[kind](PLAIN.to_bytes())
    assert content != PLAIN.to_bytes()
    assert isinstance(outcome(parse_arrays, content), tuple)
    assert outcome(parse_arrays, content) == outcome(parse_table, content)


def test_only_what_is_not_seen_at_a_glance_is_left_to_parse_table(monkeypatch):
    left: list[bytes] = []

    def take_note(content, **keywords):
        left.append(content)
        return parse_table(content, **keywords)

    monkeypatch.setattr("nnlc.tables.table.parse_table", take_note)
    for table in (PLAIN, TABLE, Table(SPEC, ROWS[:1]), Table(SPEC, ROWS * 40)):
        parse_arrays(table.to_bytes())
    assert not left
    with pytest.raises(TableError):
        parse_arrays(PLAIN.to_bytes()[:-1])
    assert len(left) == 1
