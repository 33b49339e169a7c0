"""Bad ends: whether they tell of a network or of the rank that it was on."""

import pytest
from gatherer_jobs import CUDA_ERROR, Job

from nnlc.errors import ExitStatus
from nnlc.ranks.attempts import FAULTY_AFTER, LAST_RANK_FAULTY_AFTER, Attempts, FailedAttempt
from nnlc.results.retry import retry

OUT_OF_MEMORY = "out of memory: CUDA out of memory. Tried to allocate 2 GiB"


def test_a_network_is_given_up_after_so_many_bad_ends_over_all_jobs():
    attempts = Attempts(3, {"a": 2, "b": 1})
    assert attempts.record_failure("a", 0, suspicious=False) == FailedAttempt(3, final=True)
    assert attempts.record_failure("b", 0, suspicious=False) == FailedAttempt(2, final=False)
    assert attempts.record_failure("c", 0, suspicious=False) == FailedAttempt(1, final=False)
    assert [attempts.count(id_) for id_ in "abcd"] == [3, 2, 1, 0]


def test_different_networks_in_a_row_tell_of_a_sick_rank_and_get_one_attempt_back():
    attempts = Attempts(2, {"a": 1})
    for number, id_ in enumerate("abc", 1):
        assert attempts.faulty(0, last=False) == []
        attempts.record_failure(id_, 0, suspicious=True)
        attempts.record_failure(id_, number, suspicious=True)  # elsewhere: that rank's own affair
    assert attempts.faulty(0, last=False) == ["a", "b", "c"]
    assert [attempts.count(id_) for id_ in "abc"] == [2, 1, 1]
    assert attempts.faulty(0, last=False) == []


def test_one_network_that_fails_again_and_again_tells_nothing_of_its_rank():
    attempts = Attempts(100, {})
    for _ in range(50):
        attempts.record_failure("a", 0, suspicious=True)
    assert attempts.faulty(0, last=False) == []


def test_a_half_epoch_that_was_finished_clears_a_rank():
    attempts = Attempts(3, {})
    for id_ in "abcdef":
        attempts.record_failure(id_, 0, suspicious=True)
        assert attempts.faulty(0, last=False) == []
        if id_ in "bd":
            attempts.record_success(0)


def test_the_last_rank_is_given_more_chances():
    attempts = Attempts(3, {})
    for number in range(LAST_RANK_FAULTY_AFTER):
        assert attempts.faulty(0, last=True) == []
        attempts.record_failure(str(number), 0, suspicious=True)
    assert len(attempts.faulty(0, last=True)) == LAST_RANK_FAULTY_AFTER


def fail_on(job, rank, times, reason=CUDA_ERROR):
    """What the rank gets fails at once; returns which networks those were."""
    failed = []
    for _ in range(times):
        failed.append(job.last_given[rank])
        job.fail(rank, failed[-1], reason)
    return failed


def test_a_rank_on_which_all_fails_gets_no_more_and_its_networks_lose_no_attempt(tmp_path):
    job = Job(tmp_path, 2).begin()
    failed = fail_on(job, 0, FAULTY_AFTER)
    assert len(set(failed)) == FAULTY_AFTER
    assert "rank 0 on n0 gets no more networks" in job.progress.messages[-1]
    assert CUDA_ERROR in job.progress.messages[-1]
    [retired] = job.events("retire")
    assert retired["rank"] == 0
    assert set(retired["ids"]) == {job.id(index) for index in failed}
    given = [index for rank, index in job.handed_out if rank == 0]
    job.idle(0)
    while not job.leaving:
        job.finish(1, job.last_given[1])
    assert [index for rank, index in job.handed_out if rank == 0] == given
    assert job.part() == ExitStatus.DONE
    assert job.with_tables == set(range(6))
    assert not job.history().attempts


def test_no_trainer_of_a_sick_rank_gets_more_not_even_one_that_was_idle(tmp_path):
    job = Job(tmp_path, 2, trainers=2)
    for rank in (0, 1):
        job.idle(rank)
    job.checked()
    fail_on(job, 0, FAULTY_AFTER - 1)
    while len(job.with_tables) < 5:
        job.finish(1, job.last_given[1], idle=len(job.with_tables) < 4)
    job.idle(0, 1)
    [bad] = fail_on(job, 0, 1)
    assert len(job.events("retire")) == 1
    job.idle(1)
    assert job.handed_out[-1] == (1, bad)


@pytest.mark.parametrize("attempts", [1, 2])
def test_failures_recorded_because_of_a_sick_rank_are_taken_back(tmp_path, attempts):
    """With one attempt each network is given up at its first failure; with two at its second."""
    if attempts == 2:
        job = Job(tmp_path).begin()
        used = job.handed_out[-1][1]
        job.fail(0, used, OUT_OF_MEMORY)
        job.say(0, kind="notice", signal="SIGTERM")
        job.part()
    job = Job(tmp_path, 2, run=f"attempts = {attempts}").begin()
    failed = fail_on(job, 0, FAULTY_AFTER)
    assert any(final for _, _, final in job.progress.failures)
    assert not job.history().failures
    while not job.leaving:
        job.finish(1, job.last_given[1])
    assert job.part() == ExitStatus.DONE
    assert set(failed) < job.with_tables == set(range(6))
    assert Job(tmp_path).status == ExitStatus.DONE


def test_networks_that_want_more_memory_than_there_is_tell_nothing_of_their_rank(tmp_path):
    job = Job(tmp_path, 2, run="attempts = 1").begin()
    fail_on(job, 0, FAULTY_AFTER, OUT_OF_MEMORY)
    assert not job.events("retire")
    assert len(job.history().failures) == FAULTY_AFTER
    assert job.leased >= job.history().failures.keys()  # another job shall not try them anew


def test_networks_that_fail_later_than_in_their_first_half_epoch_tell_nothing(tmp_path):
    job = Job(tmp_path, 2, run="attempts = 1").begin()
    for _ in range(FAULTY_AFTER):
        index = job.last_given[0]
        job.row(index, 1)
        job.fail(0, index)
    assert not job.events("retire")


@pytest.mark.parametrize("later", [0, 1, 2])
def test_only_networks_that_fail_at_once_and_in_a_row_tell_of_a_sick_rank(tmp_path, later):
    """One of them fails later than the others: in its second half epoch."""
    job = Job(tmp_path, 2, networks_per_depth=5, run="attempts = 1").begin()
    for number in range(FAULTY_AFTER):
        if number == later:
            job.row(job.last_given[0], 1)
        fail_on(job, 0, 1)
    fail_on(job, 0, later)
    assert not job.events("retire")
    fail_on(job, 0, 1)
    assert len(job.events("retire")) == 1


def test_half_epochs_from_a_checkpoint_do_not_speak_for_a_rank(tmp_path):
    job = Job(tmp_path, 2).begin()
    for _ in range(FAULTY_AFTER):
        index = job.last_given[0]
        job.say(0, kind="resumed", trainer=0, index=index, rows=[[1.0, 1.0, 10.0]], step=0)
        job.fail(0, index)
    assert len(job.events("retire")) == 1


def test_the_last_rank_ends_the_job_as_an_error_after_more_networks(tmp_path):
    job = Job(tmp_path, 2, networks_per_depth=8, run="attempts = 1").begin()
    fail_on(job, 0, FAULTY_AFTER)
    fail_on(job, 1, LAST_RANK_FAULTY_AFTER - 1)
    assert not job.leaving
    fail_on(job, 1, 1)
    assert job.leaving
    assert job.progress.messages[-1].startswith("error: rank 1 on n1: 10 networks in a row")
    assert "repair its device" in job.progress.messages[-1]
    assert job.part() == ExitStatus.ERROR
    assert not job.history().failures
    assert Job(tmp_path, networks_per_depth=8).begin().train_all() == ExitStatus.DONE


def test_what_a_familys_code_does_speaks_for_no_rank_and_is_not_tried_again(tmp_path):
    job = Job(tmp_path, 2).begin()
    for _ in range(FAULTY_AFTER + 1):
        index = job.last_given[0]
        reason = "build raised ValueError: x"
        job.say(0, kind="failed", trainer=0, index=index, reason=reason, of_family=True)
        job.idle(0)
    assert not job.events("retire")
    failures = job.events("failure")
    assert [each["attempts"] for each in failures] == [1] * (FAULTY_AFTER + 1)
    assert len({each["id"] for each in failures}) == FAULTY_AFTER + 1


def test_trouble_with_checkpoints_is_told_and_written_down_and_costs_no_attempt(tmp_path):
    job = Job(tmp_path).begin()
    _, index = job.handed_out[-1]
    job.say(0, kind="aside", trainer=0, index=index, path="c/x.ckpt", reason="is damaged")
    job.say(0, kind="trouble", trainer=0, index=index, reason="c: no checkpoint saved: full")
    assert job.progress.messages[-2] == f"{job.id(index)}: c/x.ckpt: is damaged"
    assert job.progress.messages[-1] == f"{job.id(index)}: c: no checkpoint saved: full"
    assert [e["id"] for kind in ("aside", "trouble") for e in job.events(kind)] == [
        job.id(index)
    ] * 2
    assert not job.history().attempts


def test_a_network_that_failed_stays_so_at_the_next_start_until_it_is_cleared(tmp_path):
    job = Job(tmp_path).begin()
    index = job.handed_out[-1][1]
    job.fail(0, index, OUT_OF_MEMORY)
    job.say(0, kind="notice", signal="SIGTERM")
    job.part()
    job = Job(tmp_path).begin()  # the second attempt of two, in another job
    assert job.handed_out == [(0, index)]
    job.fail(0, index, OUT_OF_MEMORY)
    assert job.train_all() == ExitStatus.DONE_WITH_FAILURES
    assert "1 network failed" in job.progress.messages[-1]
    assert "nnlc retry" in job.progress.messages[-1]
    assert job.history().failures == {job.id(index): OUT_OF_MEMORY}
    assert Job(tmp_path).status == ExitStatus.DONE_WITH_FAILURES
    assert f"{job.id(index)} is no longer failed" in list(retry(job.results))
    job = Job(tmp_path).begin()
    job.fail(0, index, OUT_OF_MEMORY)  # has two attempts again
    assert job.handed_out == [(0, index)] * 2
    assert job.train_all() == ExitStatus.DONE
    assert not job.history().failures


def test_an_earlier_failure_is_counted_in_what_a_job_ends_with(tmp_path):
    job = Job(tmp_path, run="attempts = 1").begin()
    job.fail(0, job.handed_out[-1][1], OUT_OF_MEMORY)
    job.say(0, kind="notice", signal="SIGTERM")
    job.part()
    job = Job(tmp_path).begin()
    assert job.train_all() == ExitStatus.DONE_WITH_FAILURES
    assert len(job.with_tables) == 5
    assert "5 tables are in" in job.progress.messages[-1]


def test_a_traceback_is_shown_once(tmp_path):
    job = Job(tmp_path).begin()
    for _ in range(2):
        rank, index = job.handed_out[-1]
        about = {"reason": "ValueError: x", "traceback": "Traceback of x"}
        job.say(rank, kind="failed", trainer=0, index=index, **about)
        job.idle(rank)
    assert job.progress.messages.count("Traceback of x") == 1
