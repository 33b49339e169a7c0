"""What measured seconds teach, and the order of what waits while it is learned."""

import math
from functools import partial
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnlc.calibration.speed_correction import COUNTED, Kind, SpeedCorrection, size_class
from nnlc.ranks.waiting import ExpectedSeconds, WaitingNetworks

KINDS = [Kind(images, size, packable) for images in "ab" for size in (2, 3) for packable in (0, 1)]
SECONDS = st.floats(0.01, 1e6)
WRONG = st.floats(0.01, 100)
NETWORKS = st.lists(st.tuples(st.sampled_from(KINDS), SECONDS | st.just(7.0)), max_size=40)


def taught(*votes: tuple[Kind, float]) -> SpeedCorrection:
    """A network for each kind and factor."""
    correction = SpeedCorrection()
    for index, (kind, factor) in enumerate(votes):
        for _ in range(COUNTED):
            correction.measure(index, kind, 10.0, factor * 10.0)
    return correction


def test_nothing_is_corrected_before_anything_is_measured():
    assert SpeedCorrection().factor(KINDS[0]) == 1


def test_one_measured_network_speaks_for_all_until_there_are_others():
    correction = taught((KINDS[0], 5.0))
    assert {round(correction.factor(kind), 9) for kind in KINDS} == {5.0}


@given(st.lists(WRONG, min_size=20, max_size=40), st.sampled_from(KINDS))
def test_what_a_kind_has_in_common_is_found_whatever_is_each_network_s_own(own, kind):
    """Drawn a little towards the other kinds, of which nothing is wrong."""
    others = [(k, 1.0) for k in KINDS if k != kind]
    ours = [(kind, 0.3 * factor) for one in own for factor in (one, 1 / one)]
    assert taught(*ours, *others).factor(kind) == pytest.approx(0.3, rel=0.1)


def test_a_few_networks_that_are_wildly_wrong_move_nothing():
    ours = [(KINDS[0], 2.0)] * 20
    assert taught(*ours, *[(KINDS[0], 1e4)] * 5).factor(KINDS[0]) == pytest.approx(2.0)


def test_a_kind_that_is_unknown_is_taken_for_one_of_its_image_set():
    known, of_the_set, of_another = Kind("a", 2), Kind("a", 5), Kind("b", 2)
    correction = taught(*[(known, 8.0)] * 10, *[(of_another, 1.0)] * 30)
    assert correction.factor(known) > 7
    assert correction.factor(of_the_set) > 5
    assert correction.factor(of_another) == pytest.approx(1.0)


def test_a_network_has_one_vote_its_second_half_epoch_and_is_not_asked_again():
    correction = SpeedCorrection()
    for seconds in (90.0, 20.0, 5000.0, 5000.0):
        correction.measure(1, KINDS[0], 10.0, seconds)
    assert correction.factor(KINDS[0]) == pytest.approx(2.0)


def test_a_network_that_becomes_one_of_another_kind_votes_there():
    before, after = Kind("a", 2, packable=True), Kind("a", 2)
    correction = taught(*[(before, 1.0)] * 3, *[(after, 1.0)] * 3)
    correction.measure(99, before, 10.0, 1000.0)
    correction.measure(99, after, 10.0, 1000.0)
    assert correction.factor(before) == pytest.approx(1.0)
    assert correction.factor(after) == pytest.approx(1.0)  # the median of 1, 1, 1 and 100
    correction.measure(98, after, 10.0, 1000.0)
    correction.measure(97, after, 10.0, 1000.0)
    correction.measure(96, after, 10.0, 1000.0)
    assert correction.factor(before) == pytest.approx(1.0)
    assert correction.factor(after) > 10


@pytest.mark.parametrize("measured", [0.0, -1.0, math.nan, math.inf])
def test_what_is_no_time_teaches_nothing(measured):
    correction = SpeedCorrection()
    correction.measure(1, KINDS[0], 10.0, measured)
    correction.measure(2, KINDS[0], measured, 10.0)
    assert correction.factor(KINDS[0]) == 1
    correction.measure(1, KINDS[0], 10.0, 20.0)
    assert correction.factor(KINDS[0]) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("seconds", "size"), [(1.0, 0), (9.99, 0), (10.0, 1), (0.02, -2), (0.0, 0), (math.inf, 0)]
)
def test_a_size_is_a_power_of_ten(seconds, size):
    assert size_class(seconds) == size


def waiting(networks, correction, order="longest"):
    kinds = dict(enumerate(kind for kind, _ in networks))
    seconds = dict(enumerate(seconds for _, seconds in networks))
    found = WaitingNetworks(seconds, kinds, correction, order)
    for index in kinds:
        found.push(index)
    return found, ExpectedSeconds(seconds, kinds, correction)


VOTES = st.lists(st.tuples(st.sampled_from(KINDS), WRONG), max_size=12)


@given(NETWORKS, VOTES, VOTES, st.integers(0, 40), st.sampled_from(["longest", "shortest"]))
def test_the_next_is_always_the_longest_as_expected_by_then_and_of_equal_ones_the_first(
    networks, votes, later, position, order
):
    correction = taught(*votes)
    found, expected = waiting(networks, correction, order)
    sign = -1 if order == "longest" else 1
    left = set(range(len(networks)))
    for turn in range(len(networks)):
        if turn == position:
            for number, (kind, factor) in enumerate(later, start=1000):
                correction.measure(number, kind, 1.0, factor)
        best = min(left, key=lambda i: (sign * expected[i], i))
        assert found.first() == found.pop() == best
        left.remove(best)
        assert len(found) == len(left)
    assert found.pop() is None


@given(NETWORKS, VOTES)
def test_those_that_share_a_gpu_and_those_that_do_not_can_be_asked_for_apart(networks, votes):
    for packable in (False, True):
        found, expected = waiting(networks, taught(*votes))
        taken = list(iter(partial(found.pop, packable=packable), None))
        assert set(taken) == {i for i, (k, _) in enumerate(networks) if k.packable == packable}
        assert taken == sorted(taken, key=lambda i: (-expected[i], i))
        assert found.first(packable=packable) is None


@given(NETWORKS, VOTES, st.integers(0, 40))
def test_all_that_waits_is_summed_up_as_expected(networks, votes, taken):
    found, expected = waiting(networks, taught(*votes))
    gone = [index for index in (found.pop() for _ in range(taken)) if index is not None]
    if gone:
        found.push(gone.pop())
    left = sum(expected.values()) - sum(expected[i] for i in gone)
    assert found.expected_seconds == pytest.approx(left, abs=1e-6 * sum(expected.values()))


@given(NETWORKS, VOTES)
def test_within_a_kind_nothing_changes_its_order(networks, votes):
    orders = []
    for correction in (SpeedCorrection(), taught(*votes)):
        found, _ = waiting(networks, correction)
        taken = list(iter(found.pop, None))
        by_kind = sorted(taken, key=lambda i: networks[i][0])
        orders.append([list(group) for _, group in groupby(by_kind, lambda i: networks[i][0])])
    assert orders[0] == orders[1]
