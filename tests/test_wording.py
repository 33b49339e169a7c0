"""Numbers in sentences, and many mistakes in few lines."""

import pytest

from nnlc.wording import counted, first_few, reason_of


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((1, "network"), "1 network"),
        ((0, "network"), "0 networks"),
        ((6000, "network"), "6,000 networks"),
        ((2, "index", "indices"), "2 indices"),
        ((1, "index", "indices"), "1 index"),
    ],
)
def test_a_number_of_things_is_said_as_people_do(words, text):
    assert counted(*words) == text


def test_of_many_mistakes_the_first_are_told_and_how_many_there_are():
    written = []
    lines = first_few(range(200_000), write=lambda one: written.append(one) or f"line {one}")
    assert lines == [*(f"line {number}" for number in range(10)), "and 199,990 more"]
    assert len(written) == 10


@pytest.mark.parametrize("count", [0, 1, 10, 11])
def test_no_line_says_that_there_is_one_more_where_the_mistake_itself_would_fit(count):
    assert first_few(range(count)) == [str(number) for number in range(count)]


def test_what_another_library_says_is_one_short_line():
    assert reason_of(ValueError("bad\n  header " + "x" * 1000)) == "bad header " + "x" * 189
    assert reason_of(KeyError()) == "KeyError"
