"""Whose a lease is: jobs that live, are dead, stand still, or are on another machine."""

import errno
import json
import os
import signal

import lease_jobs
import pytest
from gatherer_jobs import Clock
from lease_jobs import ID, IDS, claims, heartbeat, pass_time, rewrite, tell

no_power_cuts, clock, folder = lease_jobs.no_power_cuts, lease_jobs.clock, lease_jobs.folder
begin, start, elsewhere = lease_jobs.begin, lease_jobs.start, lease_jobs.elsewhere


@pytest.mark.parametrize("zombie", [False, True])
def test_a_killed_jobs_network_is_taken_over_at_once(begin, start, zombie):
    job, mine = start([ID]), begin()
    tell(job)
    assert claims(job) == [ID]
    assert not mine.claim(ID)
    job.kill()
    if zombie:
        os.waitid(os.P_PID, job.pid, os.WEXITED | os.WNOWAIT)
    else:
        job.wait()
    assert mine.claim(ID)


def test_a_job_that_stands_still_loses_its_network_after_the_expiry_only(begin, start, clock):
    job, mine = start([ID]), begin()
    tell(job)
    assert claims(job) == [ID]
    job.send_signal(signal.SIGSTOP)
    assert not mine.claim(ID)
    pass_time(clock, 59, mine)
    assert not mine.claim(ID)
    pass_time(clock, 1, mine)
    assert mine.claim(ID)


def test_a_process_with_a_dead_jobs_number_does_not_pass_for_it(begin, start, folder):
    job, mine = start([ID]), begin()
    tell(job)
    assert claims(job) == [ID]
    assert not mine.claim(ID)
    rewrite(heartbeat(folder, job.pid), started="1")
    assert mine.claim(ID)


def test_a_job_with_an_odd_process_name_lives(begin, start):
    job, mine = start([ID], name=") Z 1 (x"), begin()
    tell(job)
    assert claims(job) == [ID]
    assert not mine.claim(ID)
    assert mine.seen_alive(ID)


@pytest.mark.parametrize("elsewhere", ["host", "boot", "namespace"])
def test_a_job_of_another_machine_is_not_judged_by_processes_here(
    begin, start, folder, clock, elsewhere
):
    job = start([ID])
    tell(job)
    assert claims(job) == [ID]
    job.kill()
    job.wait()
    rewrite(heartbeat(folder, job.pid), **{elsewhere: "another"})
    mine = begin()
    assert not mine.claim(ID)
    assert not mine.seen_alive(ID)
    pass_time(clock, 59, mine)
    assert not mine.claim(ID)
    pass_time(clock, 1, mine)
    assert mine.claim(ID)


def test_a_process_hidden_from_other_users_is_judged_by_its_heartbeat(begin, start, monkeypatch):
    def hidden(pid, number):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    job, mine = start([ID]), begin()
    tell(job)
    assert claims(job) == [ID]
    job.kill()
    job.wait()
    monkeypatch.setattr(os, "kill", hidden)  # there is such a process, and /proc doesn't show it
    assert not mine.claim(ID)


def test_a_job_elsewhere_lives_as_long_as_its_heartbeat_grows(begin, clock, elsewhere):
    other, path = elsewhere
    mine = begin()
    assert other.claim(ID)
    assert not mine.claim(ID)
    assert not mine.seen_alive(ID)
    pass_time(clock, 300, mine, other)
    assert json.loads(path.read_text())["beats"] > 20
    assert not mine.claim(ID)
    assert mine.seen_alive(ID)
    pass_time(clock, 70, mine)
    assert mine.claim(ID)


def test_only_content_counts_not_the_time_of_a_file(begin, clock, elsewhere):
    other, path = elsewhere
    mine = begin()
    assert other.claim(ID)
    assert not mine.claim(ID)
    for year in (1, 50):
        pass_time(clock, 29, mine)
        os.utime(path, (year * 3e7, year * 3e7))
        assert not mine.claim(ID)
    assert not mine.seen_alive(ID)
    pass_time(clock, 2, mine)
    assert mine.claim(ID)


@pytest.mark.parametrize("content", [None, b"", b"{", b"[1]", b"\xff", b'{"host": 1}'])
def test_a_job_without_a_good_heartbeat_is_waited_for_and_then_given_up(
    begin, folder, clock, content
):
    mine = begin()
    (folder / f"{ID}.lease").mkdir()
    (folder / f"{ID}.lease" / "stranger").touch()
    if content is not None:
        (folder / "stranger.job").write_bytes(content)
    assert not mine.claim(ID)
    assert mine.holder(ID) == "another job"
    assert not mine.seen_alive(ID)
    pass_time(clock, 61, mine)
    assert mine.claim(ID)


def test_a_heartbeat_that_cannot_be_read_keeps_nobody_waiting_for_ever(begin, clock, elsewhere):
    other, path = elsewhere
    mine = begin()
    assert other.claim(ID)
    path.unlink()
    path.mkdir()
    assert not mine.claim(ID)
    pass_time(clock, 61, mine)
    assert mine.claim(ID)


@pytest.mark.parametrize("garbage", ["[" * 200_000, '{"pid": "9' + "9" * 400 + '"}'])
def test_garbage_for_a_heartbeat_is_no_traceback(begin, folder, garbage):
    folder.mkdir(exist_ok=True)
    (folder / "n1-7-abcdef01.job").write_text(garbage)
    assert begin().claim(ID)


def test_a_lease_folder_that_a_disk_keeps_for_itself_keeps_nobody_from_training(begin, folder):
    (folder / f"{ID}.lease").mkdir(parents=True)
    (folder / f"{ID}.lease" / ".nfs0001").touch()
    assert begin().claim(ID)


def test_a_job_that_stood_still_itself_does_not_count_that_against_others(begin, elsewhere):
    other, _ = elsewhere
    mine = begin(late := Clock())
    assert other.claim(ID)
    assert not mine.claim(ID)
    late.now += 500  # the disk, say, stood still for both
    mine.renew()
    assert not mine.claim(ID)
    pass_time(late, 61, mine)
    assert mine.claim(ID)


def test_a_job_that_was_held_for_dead_gets_its_networks_again_unless_another_has_them(
    begin, clock, elsewhere
):
    other, path = elsewhere
    mine = begin()
    assert other.claim(IDS[0])
    assert other.claim(IDS[1])
    pass_time(clock, 61, mine)
    assert not path.exists()  # mine swept
    assert mine.claim(IDS[0])
    other.renew()
    assert path.exists()
    assert not mine.claim(IDS[1])
    assert not other.claim(IDS[0])
    other.release(IDS[0])
    other.end()
    third = begin()
    assert not third.claim(IDS[0])
    assert third.claim(IDS[1])
