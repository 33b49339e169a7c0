"""Whether the other ranks are still there."""

import pytest
from gatherer_jobs import Clock

from nnlc.ranks.heartbeat import (
    ABSENCE_SECONDS,
    BEAT_SECONDS,
    LOOK_SECONDS,
    SILENT_SECONDS,
    Heartbeat,
)


@pytest.fixture
def clock():
    return Clock()


def wait(heartbeat, clock, seconds, *speaking):
    """Looks every second; the first rank that is found to be gone, or None."""
    for _ in range(int(seconds)):
        clock.now += 1
        for rank in speaking:
            heartbeat.heard(rank)
        if (gone := heartbeat.silent_rank()) is not None:
            return gone
    return None


def test_all_others_are_told_at_every_beat_and_not_in_between(clock):
    heartbeat = Heartbeat([1, 2], clock)
    told = []
    for _ in range(int(10 * BEAT_SECONDS)):
        clock.now += 1
        told.append(heartbeat.due())
    assert sum(map(bool, told)) == 10
    assert {tuple(ranks) for ranks in told} == {(), (1, 2)}


def test_a_rank_that_says_nothing_for_long_is_gone(clock):
    heartbeat = Heartbeat([1, 2], clock)
    assert wait(heartbeat, clock, SILENT_SECONDS, 1) is None
    assert wait(heartbeat, clock, 1, 1) == 2


def test_an_agent_that_asks_at_every_turn_is_told_within_seconds_and_costs_a_look_a_second(clock):
    """There may be thousands of ranks to look through."""
    looks = []
    heartbeat = Heartbeat([1], clock)
    heartbeat._heard = Counting(heartbeat._heard, looks)
    for _ in range(int(100 * (SILENT_SECONDS + 2 * LOOK_SECONDS))):
        clock.now += 0.01
        if heartbeat.silent_rank() == 1:
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
    heartbeat = Heartbeat([1, 2], clock)
    for _ in range(3):
        assert wait(heartbeat, clock, SILENT_SECONDS - 1) is None
        heartbeat.heard(1)
        heartbeat.heard(2)


def test_a_rank_listens_only_to_those_that_it_waits_for(clock):
    heartbeat = Heartbeat([], clock)
    heartbeat.heard(0)
    clock.now += 10 * SILENT_SECONDS
    assert heartbeat.due() == []
    assert heartbeat.silent_rank() is None


@pytest.mark.parametrize("absence", [ABSENCE_SECONDS + 1, 10 * SILENT_SECONDS])
def test_a_rank_that_was_itself_stopped_does_not_hold_the_others_for_gone(clock, absence):
    heartbeat = Heartbeat([1], clock)
    assert wait(heartbeat, clock, SILENT_SECONDS - 10) is None
    clock.now += absence
    assert heartbeat.silent_rank() is None
    assert wait(heartbeat, clock, 10) is None
    assert wait(heartbeat, clock, 1) == 1
