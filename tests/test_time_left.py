"""How long a job may still run, and what it does about its end."""

import time

import pytest
from gatherer_jobs import Clock, Job
from hypothesis import given
from hypothesis import strategies as st
from limits import HANG_SECONDS

from nnlc.errors import ExitStatus
from nnlc.ranks.time_left import MARGIN_SECONDS, MOST_SAVE_SECONDS, TimeLeft, seconds_left


def test_a_job_without_an_end_has_time_for_ever():
    left = TimeLeft(None, Clock())
    left.record_save(1e6)
    assert left.work_seconds() == float("inf")


@pytest.mark.parametrize(
    ("seconds", "margin"), [(36000, MARGIN_SECONDS), (900, 90), (600, 60), (100, 10)]
)
def test_a_job_leaves_a_minute_before_its_end_and_a_short_one_a_tenth_before(seconds, margin):
    clock = Clock()
    left = TimeLeft(seconds, clock)
    assert left.work_seconds() == pytest.approx(seconds - margin)
    clock.now += seconds - margin
    assert left.work_seconds() == pytest.approx(0)


def test_twice_the_slowest_save_is_left_too():
    left = TimeLeft(3600, Clock())
    for seconds in (5, 100, 20):
        left.record_save(seconds)
    assert left.work_seconds() == 3600 - MARGIN_SECONDS - 2 * MOST_SAVE_SECONDS


def slurm(seconds: float) -> dict[str, str]:
    return {"SLURM_JOB_END_TIME": str(int(time.time() + seconds))}


def test_what_is_asked_goes_before_what_slurm_says():
    assert seconds_left(2.5, slurm(3600)) == 150
    assert seconds_left(None, slurm(3600)) == pytest.approx(3600, abs=HANG_SECONDS)
    assert seconds_left(2.5, {}) == 150
    assert seconds_left(None, {}) is None


def test_an_end_that_is_over_is_that_of_a_job_around_this_one():
    assert seconds_left(None, slurm(-100)) is None


@pytest.mark.parametrize("garbage", ["", "never", "nan", "inf", "-inf", "9" * 400, "2026-01-01"])
def test_a_word_of_slurms_that_is_no_time_is_ignored(garbage):
    assert seconds_left(None, {"SLURM_JOB_END_TIME": garbage}) is None


@given(st.floats().map(str) | st.text("0123456789.-+einfa _", max_size=12))
def test_whatever_slurm_says_there_is_an_end_or_none(word):
    seconds = seconds_left(None, {"SLURM_JOB_END_TIME": word})
    assert seconds is None or float("-inf") < seconds < float("inf")


def test_a_job_leaves_before_its_end_without_any_signal(tmp_path):
    job = Job(tmp_path, 2, minutes=60).begin()
    job.tick(3600 - MARGIN_SECONDS - 1)
    assert not job.leaving
    job.tick(1)
    assert [(rank, m["kind"]) for rank, m in job.sent[-2:]] == [(0, "leave"), (1, "leave")]
    assert "time is nearly over" in job.progress.messages[-1]
    assert job.part() == ExitStatus.UNFINISHED


def test_a_job_whose_checkpoints_take_long_leaves_earlier(tmp_path):
    job = Job(tmp_path, minutes=60).begin()
    [(_, index)] = job.handed_out
    saved = {"half_epoch": 0, "step": 9, "seconds": 300.0, "bytes": 1000}
    job.say(0, kind="saved", trainer=0, index=index, **saved)
    job.tick(3600 - MARGIN_SECONDS - 2 * MOST_SAVE_SECONDS - 1)
    assert not job.leaving
    job.tick(1)
    assert job.leaving


def test_networks_stopped_by_the_end_of_the_time_have_used_no_attempt(tmp_path):
    for _ in range(3):  # one more than there are attempts
        job = Job(tmp_path, minutes=10).begin()
        job.row(job.handed_out[0][1], 1)
        job.tick(600)
        assert job.part() == ExitStatus.UNFINISHED
    assert not job.history().attempts
    assert Job(tmp_path).begin().train_all() == ExitStatus.DONE
