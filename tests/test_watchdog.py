"""A trainer that says nothing: slow, or hung? Judged by its own measured speed."""

import pytest
from gatherer_jobs import Clock
from hypothesis import given
from hypothesis import strategies as st

from nnlc.ranks.watchdog import (
    ABSENCE_SECONDS,
    DISK_TIMES,
    SLOWEST_TIMES,
    STARTING_SECONDS,
    Watchdog,
)

HANG = 300.0


class Watched:
    """A watchdog that looks every second, as an agent does several times a second."""

    def __init__(self, step_seconds: float = 0.01):
        self.clock = Clock()
        self.dog = Watchdog(self.clock)
        self.dog.idle_begins()
        self.dog.network_begins(HANG, step_seconds)

    def wait(self, seconds: float) -> bool:
        """Whether all stays well so long."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.now = min(end, self.clock.now + 1)
            if self.dog.overlong_silence() is not None:
                return False
        return True

    def steps(self, seconds: float, count: int = 3) -> None:
        for _ in range(count):
            assert self.wait(seconds)
            self.dog.steps_done()


def test_a_slow_network_is_not_killed_for_a_silence_of_some_of_its_steps():
    watched = Watched()
    watched.steps(30)
    assert watched.wait(SLOWEST_TIMES * 30)
    assert not watched.wait(1)


def test_a_fast_network_may_be_silent_for_the_hang_minutes_and_no_longer():
    watched = Watched()
    watched.steps(1, 100)
    assert watched.wait(HANG)
    assert not watched.wait(1)


@given(st.lists(st.floats(0.01, 60), min_size=2, max_size=8))
def test_no_trainer_that_keeps_its_own_pace_is_killed_and_every_silent_one_is(paces):
    watched = Watched()
    for seconds in paces:
        watched.steps(seconds, 1)
    limit = max(HANG, SLOWEST_TIMES * max(paces[1:]))  # the first has loading in it
    assert watched.wait(limit - 1)
    assert not watched.wait(3)


def test_a_network_predicted_to_be_slow_is_given_time_before_it_is_measured():
    watched = Watched(step_seconds=60)
    watched.steps(1)
    assert watched.wait(SLOWEST_TIMES * 60)
    assert not watched.wait(1)


def test_before_its_first_step_a_network_may_take_longer_but_not_for_ever():
    watched = Watched()
    assert watched.wait(DISK_TIMES * HANG)
    assert not watched.wait(1)


def test_what_loading_takes_is_no_step():
    watched = Watched()
    watched.steps(1000, 1)
    watched.steps(1)
    assert not watched.wait(HANG + 1)


def test_saving_may_take_longer_than_a_step_and_is_none():
    watched = Watched()
    watched.steps(1)
    watched.dog.save_begins()
    assert watched.wait(DISK_TIMES * HANG)
    watched.dog.save_ended()
    watched.steps(1)
    assert not watched.wait(HANG + 1)


def test_a_trainer_may_hang_while_it_saves():
    watched = Watched()
    watched.steps(1)
    watched.dog.save_begins()
    assert not watched.wait(DISK_TIMES * HANG + 1)


def test_after_a_save_steps_are_judged_and_measured_again():
    for pace, patience in ((1, HANG), (60, SLOWEST_TIMES * 60)):
        watched = Watched()
        watched.steps(1)
        watched.dog.save_begins()
        watched.dog.save_ended()
        watched.steps(pace, 1)
        assert watched.wait(patience)
        assert not watched.wait(1)
    watched.dog.save_begins()
    watched.dog.save_ended()  # its own slowest is not forgotten
    assert watched.wait(patience)
    assert not watched.wait(1)


def test_a_new_network_is_not_judged_by_the_last():
    watched = Watched()
    watched.steps(60)
    watched.dog.network_begins(HANG, 0.01)
    watched.steps(1)
    assert not watched.wait(HANG + 1)


def test_an_idle_trainer_is_left_in_peace():
    watched = Watched()
    watched.steps(1)
    watched.dog.idle_begins()
    assert watched.wait(10 * HANG)


def test_a_trainer_has_half_an_hour_to_start():
    watched = Watched()
    watched.dog = Watchdog(watched.clock)
    assert watched.wait(STARTING_SECONDS)
    assert not watched.wait(1)


@pytest.mark.parametrize("absence", [ABSENCE_SECONDS + 1, 3600, 1e6])
def test_a_watcher_that_was_itself_stopped_kills_nobody(absence):
    watched = Watched()
    watched.steps(1)
    watched.wait(HANG - 10)
    watched.clock.now += absence
    assert watched.dog.overlong_silence() is None
    assert watched.wait(10)
    assert not watched.wait(absence + 10)  # signs may have come until it was back


def test_its_own_absence_does_not_make_a_watcher_more_patient_with_steps():
    watched = Watched()
    watched.steps(1)
    watched.clock.now += 1000
    watched.dog.steps_done()  # what lay unread is heard before the next look
    watched.dog.overlong_silence()
    watched.steps(1)
    assert not watched.wait(HANG + 1)
