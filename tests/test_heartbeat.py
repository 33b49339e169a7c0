"""Whether the other ranks are still there."""

import pytest
from gatherer_jobs import Clock

from nnlc.ranks.heartbeat import ABSENCE_SECONDS, BEAT_SECONDS, LOOK_SECONDS, SILENT_SECONDS, Pulse


@pytest.fixture
def clock():
    return Clock()


def wait(pulse, clock, seconds, *speaking):
    """Looks every second; the first rank that is found to be gone, or None."""
    for _ in range(int(seconds)):
        clock.now += 1
        for rank in speaking:
            pulse.heard(rank)
        if (gone := pulse.silent()) is not None:
            return gone
    return None


def test_all_others_are_told_at_every_beat_and_not_in_between(clock):
    pulse = Pulse([1, 2], clock)
    told = []
    for _ in range(int(10 * BEAT_SECONDS)):
        clock.now += 1
        told.append(pulse.due())
    assert sum(map(bool, told)) == 10
    assert {tuple(ranks) for ranks in told} == {(), (1, 2)}


def test_a_rank_that_says_nothing_for_long_is_gone(clock):
    pulse = Pulse([1, 2], clock)
    assert wait(pulse, clock, SILENT_SECONDS, 1) is None
    assert wait(pulse, clock, 1, 1) == 2


def test_an_agent_that_asks_at_every_turn_is_told_within_seconds_and_costs_a_look_a_second(clock):
    """There may be thousands of ranks to look through."""
    looks = []
    pulse = Pulse([1], clock)
    pulse._heard = Counting(pulse._heard, looks)
    for _ in range(int(100 * (SILENT_SECONDS + 2 * LOOK_SECONDS))):
        clock.now += 0.01
        if pulse.silent() == 1:
            break
    else:
        pytest.fail("rank 1 is gone, and nobody was told")
    assert len(looks) <= 1 + SILENT_SECONDS / LOOK_SECONDS + 1


class Counting(dict):
    def __init__(self, values, looks):
        super().__init__(values)
        self._looks = looks

    def items(self):
        self._looks.append(1)
        return super().items()


def test_every_message_is_a_sign_of_life(clock):
    pulse = Pulse([1, 2], clock)
    for _ in range(3):
        assert wait(pulse, clock, SILENT_SECONDS - 1) is None
        pulse.heard(1)
        pulse.heard(2)


def test_a_rank_listens_only_to_those_that_it_waits_for(clock):
    pulse = Pulse([], clock)
    pulse.heard(0)
    clock.now += 10 * SILENT_SECONDS
    assert pulse.due() == []
    assert pulse.silent() is None


@pytest.mark.parametrize("absence", [ABSENCE_SECONDS + 1, 10 * SILENT_SECONDS])
def test_a_rank_that_was_itself_stopped_does_not_hold_the_others_for_gone(clock, absence):
    pulse = Pulse([1], clock)
    assert wait(pulse, clock, SILENT_SECONDS - 10) is None
    clock.now += absence
    assert pulse.silent() is None
    assert wait(pulse, clock, 10) is None
    assert wait(pulse, clock, 1) == 1
