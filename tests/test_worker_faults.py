"""Jobs that are hurt: signals, kills, logs that fail. Every table comes out all the same."""

import os
import resource
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from limits import HANG_SECONDS, wait_until
from worker_jobs import (
    ONE,
    TINY,
    command,
    events,
    processes,
    slow_steps,
    start_worker,
    steps_done,
    tables,
    wait_for,
    write_campaign,
)

from nnlc.ranks.job import GO_ON

LONG = ONE.replace("epochs = 1", "epochs = 50000")
"""More than seconds of work on any machine."""


def test_a_signal_to_every_process_of_a_job_is_a_notice_and_no_failure(tmp_path):
    """As schedulers send it: to the trainers too, with no attempt left to lose."""
    text = TINY.replace("epochs = 1", "epochs = 1\n[run]\nattempts = 1\n")
    campaign, results = write_campaign(tmp_path, text), tmp_path / "r"
    job = subprocess.Popen(
        command(campaign, "--results", results),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **slow_steps(tmp_path, HANG_SECONDS)},
        start_new_session=True,
    )
    wait_until(lambda: steps_done(tmp_path), process=job)
    os.killpg(job.pid, signal.SIGHUP)
    output, _ = job.communicate(timeout=HANG_SECONDS)
    assert job.returncode == 75, output
    assert GO_ON in output
    assert "failed" not in output
    assert not events(results, "failure") + events(results, "attempt")
    assert events(results, "end")[0]["status"] == "UNFINISHED"


def test_a_trainer_that_has_used_up_its_processor_time_has_the_job_save(tmp_path, monkeypatch):
    campaign, results = write_campaign(tmp_path, LONG), tmp_path / "r"
    monkeypatch.setenv("NNLC_TEST_MARK", str(tmp_path))
    job = start_worker(campaign, "--results", results)
    wait_for(results, "start", process=job)
    [trainer] = processes("nnlc.training.trainer", str(tmp_path))
    resource.prlimit(trainer, resource.RLIMIT_CPU, (1, resource.RLIM_INFINITY))
    output, _ = job.communicate(timeout=HANG_SECONDS)
    assert job.returncode == 75, output
    assert "SIGXCPU came on rank 0" in output
    assert len(events(results, "checkpoint")) == 1
    assert not events(results, "attempt")


def test_a_log_that_nobody_reads_costs_no_table(alone, tmp_path):
    campaign, results = alone
    words = command(campaign, "--results", tmp_path / "r")
    left = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    left.stdout.close()
    left.stderr.read()
    assert left.wait(HANG_SECONDS) == 0
    assert tables(tmp_path / "r") == tables(results)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_log_that_cant_be_written_changes_no_status(alone, tmp_path, monkeypatch, unbuffered):
    campaign, results = alone
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    damaged = tmp_path / "r"
    shutil.copytree(results, damaged)
    next(damaged.glob("*_models/*.txt")).write_text("")
    ends = {
        0: command(campaign, "--results", results),
        1: command("nowhere.toml", "--results", results),
        2: command(campaign, "--elements", "x"),
        3: command(campaign, "--results", damaged),
    }
    with Path("/dev/full").open("w") as log:
        for status, words in ends.items():
            job = subprocess.run(words, stdout=log, stderr=log, timeout=HANG_SECONDS)
            assert job.returncode == status


def test_a_killed_trainer_costs_one_attempt_and_a_full_log_nothing(alone, tmp_path, monkeypatch):
    campaign, results = alone
    again, over = tmp_path / "r", tmp_path / "over"
    monkeypatch.setenv("NNLC_TEST_MARK", str(tmp_path))
    held = slow_steps(tmp_path, HANG_SECONDS, when=f"not os.path.exists({str(over)!r})")
    with Path("/dev/full").open("w") as log:
        words = command(campaign, "--results", again)
        job = subprocess.Popen(words, env={**os.environ, **held}, stdout=log)
    wait_until(lambda: steps_done(tmp_path), process=job)
    [trainer] = processes("nnlc.training.trainer", str(tmp_path))
    os.kill(trainer, signal.SIGKILL)
    over.touch()
    assert job.wait(HANG_SECONDS) == 0
    [attempt] = events(again, "attempt")
    assert "SIGKILL" in attempt["reason"]
    assert tables(again) == tables(results)
