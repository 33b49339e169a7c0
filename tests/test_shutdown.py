"""How a job ends: all ranks leave together, and nothing that was trained is lost."""

import pytest
from gatherer_jobs import Clock, Job

from nnlc.errors import ExitStatus
from nnlc.ranks.shutdown import LIMIT_SECONDS, Shutdown

DONE, ERROR, UNFINISHED = ExitStatus.DONE, ExitStatus.ERROR, ExitStatus.UNFINISHED


@pytest.fixture
def job(tmp_path):
    """Two ranks, a network on each."""
    return Job(tmp_path, 2).begin()


def notice(job, rank=0, signal="SIGTERM"):
    return job.say(rank, kind="notice", signal=signal)


def test_a_departure_is_complete_when_every_rank_has_left():
    shutdown = Shutdown(3, Clock())
    assert shutdown.begin(UNFINISHED)
    for rank in (2, 0, 2):
        shutdown.left(rank)
        assert not shutdown.complete()
    shutdown.left(1)
    assert shutdown.complete()


def test_a_departure_waits_for_a_silent_rank_only_so_long():
    clock = Clock()
    shutdown = Shutdown(2, clock)
    clock.now += 1000  # counted from its beginning, not from the job's
    shutdown.begin(DONE)
    shutdown.left(0)
    clock.now += LIMIT_SECONDS
    assert not shutdown.complete()
    clock.now += 1
    assert shutdown.complete()


@pytest.mark.parametrize(
    ("first", "second", "in_the_end"),
    [
        (UNFINISHED, ERROR, ERROR),
        (DONE, ERROR, ERROR),
        (DONE, UNFINISHED, DONE),
        (UNFINISHED, DONE, UNFINISHED),
        (ERROR, UNFINISHED, ERROR),
    ],
)
def test_only_an_error_outweighs_what_a_departure_began_with(first, second, in_the_end):
    shutdown = Shutdown(1, Clock())
    assert shutdown.begin(first)
    assert not shutdown.begin(second)
    assert shutdown.status == in_the_end


def test_a_notice_on_any_rank_has_every_rank_leave_and_all_stop_when_all_have_left(job):
    answers = notice(job, rank=1)
    assert answers == [(0, {"kind": "leave"}), (1, {"kind": "leave"})]
    assert "SIGTERM came on rank 1" in job.progress.messages[-1]
    assert "same command" in job.progress.messages[-1]
    assert job.say(1, kind="left") == []
    assert job.tick(LIMIT_SECONDS / 2) == []
    stop = {"kind": "stop", "status": UNFINISHED}
    assert job.say(0, kind="left") == [(0, stop), (1, stop)]
    assert job.progress.ended
    [end] = job.events("end")
    assert end["status"] == "UNFINISHED"


def test_nothing_is_handed_out_after_a_notice(job):
    notice(job)
    before = len(job.handed_out)
    job.finish(*job.handed_out[0])
    job.idle(1)
    job.tick(10)
    job.say(1, kind="returned", index=job.handed_out[1][1])
    assert len(job.handed_out) == before


def test_what_is_finished_on_the_way_out_stands_and_the_job_is_unfinished_still(job):
    [(_, first), (_, second)] = job.handed_out
    job.row(first, 1)
    notice(job)
    job.finish(0, first, first=2, idle=False)
    assert job.with_tables == {first}
    job.row(second, 1, rank=1)
    assert job.part() == UNFINISHED
    assert job.with_tables == {first}


def test_a_job_that_finishes_its_last_network_on_the_way_out_is_found_done_by_the_next(tmp_path):
    job = Job(tmp_path).begin()
    while len(job.with_tables) < 5:
        job.finish(*job.handed_out[-1])
    notice(job)
    job.finish(*job.handed_out[-1], idle=False)
    assert job.part() == UNFINISHED
    assert Job(tmp_path).status == DONE


def test_a_notice_is_no_attempt_and_every_network_under_way_goes_on(tmp_path):
    for _ in range(3):  # one more than there are attempts
        job = Job(tmp_path, 2).begin()
        notice(job)
        assert job.part() == UNFINISHED
    assert not job.history().attempts
    assert Job(tmp_path).begin().train_all() == DONE


def test_a_notice_that_comes_on_every_rank_is_told_once(job):
    for rank in (0, 1, 1):
        notice(job, rank)
    assert sum("SIGTERM" in text for text in job.progress.messages) == 1
    assert job.kinds.count("leave") == 2


def test_a_rank_that_never_says_left_is_waited_for_only_so_long(job):
    notice(job)
    job.say(0, kind="left")
    job.tick(LIMIT_SECONDS)
    assert job.status is None
    job.tick(1)
    assert job.status == UNFINISHED


def test_an_error_on_the_way_out_outweighs_the_notice_and_is_told(job):
    [(_, first), _] = job.handed_out
    notice(job)
    job.row(first, 2)
    assert job.kinds.count("leave") == 2
    assert "half epoch 2 came after 0" in job.progress.messages[-1]
    assert job.part() == ERROR


def test_a_notice_after_the_last_table_leaves_a_job_done(tmp_path):
    job = Job(tmp_path).begin()
    while not job.leaving:
        job.finish(*job.handed_out[-1])
    notice(job)
    assert job.part() == DONE
    assert not any("SIGTERM" in text for text in job.progress.messages)


def test_a_failure_on_the_way_out_counts_as_an_attempt(job):
    [(_, first), _] = job.handed_out
    notice(job)
    job.say(0, kind="failed", trainer=0, index=first, reason="out of memory: 2 GB")
    job.part()
    assert job.history().attempts == {job.id(first): 1}


def test_a_notice_before_all_ranks_are_there_is_obeyed_and_begins_nothing(tmp_path):
    job = Job(tmp_path, 2, greet=False)
    job.greet(0)
    notice(job, 0)
    job.greet(1)  # had been under way
    assert job.kinds == ["leave", "leave"]
    assert job.part() == UNFINISHED


def test_a_job_that_has_ended_keeps_no_lease_and_answers_nothing(job):
    assert job.leased == {job.id(index) for _, index in job.handed_out}
    notice(job)
    job.part()
    assert job.leased == set()
    assert notice(job) == []
    assert job.tick(1000) == []
