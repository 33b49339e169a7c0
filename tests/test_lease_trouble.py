"""Leases on a disk in trouble, and what dead jobs have left there."""

import contextlib
import errno
import os

import lease_jobs
import pytest
from lease_jobs import ID, IDS, claims, heartbeat, pass_time, rewrite, tell

from nnlc.ranks.leases import RETRY_SECONDS
from nnlc.system.files import TEMPORARY_SUFFIX

TROUBLES = [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES]

no_power_cuts, clock, folder = lease_jobs.no_power_cuts, lease_jobs.clock, lease_jobs.folder
begin, start, elsewhere = lease_jobs.begin, lease_jobs.start, lease_jobs.elsewhere


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir())


@contextlib.contextmanager
def trouble(monkeypatch, number, *calls):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        for call in calls:
            patch.setattr(os, call, fail)
        yield


@pytest.mark.parametrize("number", TROUBLES)
@pytest.mark.parametrize("call", ["mkdir", "open", "rename"])
def test_a_lease_that_cannot_be_written_keeps_nobody_from_training(
    begin, clock, monkeypatch, number, call
):
    one, other = begin(), begin()
    with trouble(monkeypatch, number, call):
        assert one.claim(ID)
        clock.now += RETRY_SECONDS
        one.renew()
        assert one.claim(ID)
    clock.now += RETRY_SECONDS
    one.renew()
    assert not other.claim(ID)
    one.release(ID)
    assert other.claim(ID)


def test_a_lease_that_was_not_written_in_time_is_not_taken_from_another(begin, monkeypatch):
    one, other = begin(), begin()
    with trouble(monkeypatch, errno.ENOSPC, "mkdir"):
        assert one.claim(ID)
    assert other.claim(ID)
    one.renew()
    one.release(ID)
    one.end()
    assert not begin().claim(ID)


@pytest.mark.parametrize("number", TROUBLES)
def test_a_release_that_failed_is_made_up_for(begin, monkeypatch, number):
    one, other = begin(), begin()
    assert one.claim(ID)
    with trouble(monkeypatch, number, "unlink"):
        one.release(ID)
    assert not other.claim(ID)
    one.renew()
    assert other.claim(ID)


@pytest.mark.parametrize("number", TROUBLES)
def test_a_heartbeat_that_failed_is_tried_again_at_the_next_beat(
    begin, clock, monkeypatch, elsewhere, number
):
    leases, path = elsewhere
    before = path.read_bytes()
    clock.now += 10
    with trouble(monkeypatch, number, "open", "fsync"):
        leases.renew()
    assert path.read_bytes() == before
    leases.renew()
    assert path.read_bytes() == before  # a disk in trouble is left alone for a moment
    clock.now += RETRY_SECONDS
    leases.renew()
    assert path.read_bytes() != before


def test_a_heartbeat_is_written_only_when_it_is_due(begin, clock, elsewhere):
    leases, path = elsewhere
    before = path.read_bytes()
    pass_time(clock, 9, leases)
    assert path.read_bytes() == before
    pass_time(clock, 1, leases)
    assert path.read_bytes() != before


def test_no_error_of_the_disk_comes_out_of_the_end(begin, monkeypatch, folder):
    unlink = os.unlink

    def fail(path):
        if path.parent.name == f"{ID}.lease":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        unlink(path)

    leases = begin()
    assert leases.claim(ID)
    monkeypatch.setattr(os, "unlink", fail)
    leases.end()
    assert len(files(folder)) == 2  # with the lease, what tells whose it was


@pytest.mark.parametrize("local", [True, False])
def test_what_a_dead_job_left_is_removed_by_those_that_live(begin, start, folder, clock, local):
    job, mine = start(IDS), begin()
    tell(job)
    assert claims(job) == IDS
    job.kill()
    job.wait()
    path = heartbeat(folder, job.pid)
    if not local:
        rewrite(path, boot="another")
    (folder / f".{path.name}.abc_d1{TEMPORARY_SUFFIX}").touch()  # killed in the midst of writing
    (folder / f".{path.stem}.lease").mkdir()
    (folder / f".{path.stem}.lease" / path.stem).touch()
    assert mine.claim("another")
    pass_time(clock, 10, mine)
    assert (path in folder.iterdir()) is not local
    pass_time(clock, 60, mine)
    assert len(files(folder)) == 2
    mine.end()
    assert list(folder.iterdir()) == []
