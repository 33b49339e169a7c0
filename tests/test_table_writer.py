"""Finished tables on disks that are full or away: kept, tried again, never written over another."""

import errno
import os

import pytest
from gatherer_jobs import Clock, Job
from table_samples import EXPECTED, TABLE

import nnlc.system.files
from nnlc.errors import ExitStatus
from nnlc.ranks.table_writer import RETRY_SECONDS, TableWriter

DISK_SECONDS = 600
NO_SPACE = os.strerror(errno.ENOSPC)


class Disk:
    """Tables are written to it; counts how often that was tried."""

    def __init__(self):
        self.trouble: int | None = None
        self.spared = ""
        self.tries = 0

    def write_once(self, path, content, **options):
        self.tries += 1
        if self.trouble is not None and path.name != self.spared:
            raise OSError(self.trouble, os.strerror(self.trouble), str(path))
        return nnlc.system.files.write_once(path, content, **options)


@pytest.fixture
def disk(monkeypatch):
    disk = Disk()
    monkeypatch.setattr("nnlc.ranks.table_writer.write_once", disk.write_once)
    return disk


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def writer(disk, clock):
    return TableWriter(DISK_SECONDS, clock)


def indices(standing):
    return [(table.index, same) for table, same in standing]


def test_tables_of_one_folder_are_made_durable_together_before_any_is_said_to_stand(
    writer, tmp_path, monkeypatch
):
    synced = []

    def sync_folder(folder):
        synced.append((folder, len(list(folder.iterdir()))))
        nnlc.system.files.sync_folder(folder)

    monkeypatch.setattr("nnlc.ranks.table_writer.sync_folder", sync_folder)
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
    for index in range(6):
        writer.add(index, TABLE, folders[index % 2] / f"{index}.txt")
    assert indices(writer.write()) == [(index, True) for index in range(6)]
    assert sorted(synced) == [(folder, 3) for folder in folders]


def test_a_table_is_written_at_once(writer, tmp_path):
    writer.add(7, TABLE, tmp_path / "a.txt")
    assert indices(writer.write()) == [(7, True)]
    assert (tmp_path / "a.txt").read_bytes() == EXPECTED
    assert (len(writer), writer.problem, writer.waits_too_long()) == (0, None, False)
    assert writer.write() == []


@pytest.mark.parametrize("trouble", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.ESTALE])
def test_a_table_that_cant_be_written_is_kept_and_tried_again_now_and_then(
    writer, disk, clock, tmp_path, trouble
):
    disk.trouble = trouble
    writer.add(7, TABLE, tmp_path / "a.txt")
    assert writer.write() == []
    assert os.strerror(trouble) in writer.problem
    assert str(tmp_path / "a.txt") in writer.problem
    for _ in range(16):
        clock.now += 1
        assert writer.write() == []
    assert disk.tries == 1 + 16 // RETRY_SECONDS
    disk.trouble = None
    clock.now += RETRY_SECONDS
    assert indices(writer.write()) == [(7, True)]
    assert (tmp_path / "a.txt").read_bytes() == EXPECTED
    assert writer.problem is None


def test_tables_that_come_while_the_disk_is_full_wait_with_the_others(writer, disk, tmp_path):
    disk.trouble = errno.ENOSPC
    for index in range(3):
        writer.add(index, TABLE, tmp_path / f"{index}.txt")
        writer.write()
    assert (len(writer), disk.tries) == (3, 1)
    disk.trouble = None
    assert indices(writer.write(now=True)) == [(0, True), (1, True), (2, True)]
    assert len(list(tmp_path.iterdir())) == 3


def test_how_long_is_too_long_is_counted_for_the_oldest_that_still_waits(
    writer, disk, clock, tmp_path
):
    disk.trouble = errno.ENOSPC
    writer.add(0, TABLE, tmp_path / "0.txt")
    writer.write()
    clock.now += DISK_SECONDS
    assert not writer.waits_too_long()
    writer.add(1, TABLE, tmp_path / "1.txt")
    clock.now += 1
    assert writer.waits_too_long()
    disk.spared = "0.txt"  # there was room for one
    assert indices(writer.write()) == [(0, True)]
    clock.now += DISK_SECONDS - 1
    assert not writer.waits_too_long()
    clock.now += 1
    assert writer.waits_too_long()


def test_a_table_that_stands_with_the_same_bytes_is_simply_done(writer, tmp_path):
    (tmp_path / "a.txt").write_bytes(EXPECTED)
    writer.add(7, TABLE, tmp_path / "a.txt")
    assert indices(writer.write()) == [(7, True)]


def test_a_table_that_stands_with_other_bytes_is_left_as_it_is(writer, tmp_path):
    (tmp_path / "a.txt").write_bytes(b"another")
    writer.add(7, TABLE, tmp_path / "a.txt")
    assert indices(writer.write()) == [(7, False)]
    assert (tmp_path / "a.txt").read_bytes() == b"another"


@pytest.fixture
def job(tmp_path, disk, clock):
    """Its first network is finished while the disk is full."""
    job = Job(tmp_path, clock=clock, run=f"disk_minutes = {DISK_SECONDS / 60}").begin()
    disk.trouble = errno.ENOSPC
    job.finish(*job.handed_out[0])
    return job


def test_the_training_goes_on_while_a_table_waits_and_the_user_is_told_once(job, disk):
    for _ in range(20):
        job.tick(1)
    assert not job.with_tables
    assert len(job.handed_out) == 2
    told = [text for text in job.progress.messages if NO_SPACE in text]
    assert len(told) == 1
    assert "writing is retried" in told[0]
    assert str(job.path(job.handed_out[0][1])) in told[0]
    disk.trouble = None
    job.tick(RETRY_SECONDS)
    job.tick()
    assert job.progress.messages.count("everything has now been written") == 1
    assert job.with_tables == set(job.progress.tables) == {job.handed_out[0][1]}


def test_a_table_that_had_to_wait_has_the_bytes_of_one_that_had_not(job, disk, tmp_path):
    disk.trouble = None
    job.tick(RETRY_SECONDS)
    assert job.train_all() == ExitStatus.DONE
    calm = Job(tmp_path / "calm").begin()
    assert calm.train_all() == ExitStatus.DONE
    for index in range(6):
        assert job.path(index).read_bytes() == calm.path(index).read_bytes()


def test_a_network_whose_table_waits_is_not_done_and_stays_leased_to_its_job(job, disk, tmp_path):
    index = job.handed_out[0][1]
    assert job.id(index) in job.leased
    assert not job.events("finish")
    while len(job.progress.tables) + 1 < 6 and len(job.handed_out) < 6:
        job.finish(*job.handed_out[-1])
    job.finish(*job.handed_out[-1])
    job.tick(DISK_SECONDS - 1)
    assert not job.leaving  # nothing else is left to do, but the disk may come back
    disk.trouble = None
    job.tick(RETRY_SECONDS)
    assert job.part() == ExitStatus.DONE
    assert len(job.events("finish")) == 6


def test_a_job_whose_tables_can_not_be_written_for_long_leaves_with_an_error(job, disk):
    job.tick(DISK_SECONDS)
    assert not job.leaving
    job.tick(RETRY_SECONDS)
    assert job.leaving
    assert NO_SPACE in job.progress.messages[-1]
    assert job.progress.messages[-1].endswith("make room or repair the folder and start again")
    tries = disk.tries
    assert job.part() == ExitStatus.ERROR
    assert disk.tries == tries + 1
    assert "1 finished network must be trained again" in job.progress.messages[-1]


def test_a_last_try_saves_the_tables_of_a_job_that_leaves(job, disk):
    job.say(0, kind="notice", signal="SIGTERM")
    disk.trouble = None
    assert job.part() == ExitStatus.UNFINISHED
    assert job.with_tables == {job.handed_out[0][1]}


def test_a_notice_ends_as_an_error_where_tables_are_lost(job):
    job.say(0, kind="notice", signal="SIGTERM")
    assert job.part() == ExitStatus.ERROR
    assert job.leased == set()


def test_checkpoints_of_a_finished_network_are_removed_and_no_others(tmp_path):
    job = Job(tmp_path).begin()
    _, index = job.handed_out[-1]
    paths = [job.results.checkpoints_folder / f"{job.id(i)}.1.ckpt" for i in range(6)]
    for path in paths:
        path.touch()
    job.finish(0, index)
    assert [path.exists() for path in paths] == [i != index for i in range(6)]


@pytest.mark.parametrize("same", [True, False])
def test_a_table_that_another_job_wrote_is_never_written_over(tmp_path, same):
    job = Job(tmp_path).begin()
    index = job.handed_out[0][1]
    other = Job(tmp_path / "other").begin()
    other.finish(0, index)
    content = other.path(index).read_bytes()
    if not same:
        content = content.replace(b" 10.0", b" 11.0")
    job.path(index).write_bytes(content)
    job.finish(0, index)
    assert job.path(index).read_bytes() == content
    assert len(job.events("finish")) == same  # what stands was not made by this job
    assert len(job.events("trouble")) == (not same)
    told = [text for text in job.progress.messages if "other bytes" in text]
    assert [str(job.path(index)) in text for text in told] == [True] * (not same)
    assert job.train_all() == ExitStatus.DONE


PLACE_TAKEN = {
    "another file": lambda path: path.write_bytes(b"half a table"),
    "a pipe": os.mkfifo,
    "a folder": lambda path: path.mkdir(),
    "a link": lambda path: path.symlink_to("nowhere"),
}


@pytest.mark.parametrize("kind", PLACE_TAKEN)
def test_what_takes_a_tables_place_while_it_is_trained_is_named_and_its_checkpoint_kept(
    tmp_path, kind
):
    job = Job(tmp_path).begin()
    index = job.handed_out[0][1]
    PLACE_TAKEN[kind](job.path(index))
    checkpoint = job.results.checkpoints_folder / f"{job.id(index)}.x.ckpt"
    checkpoint.touch()
    job.finish(0, index)
    assert job.train_all() == ExitStatus.DONE_WITH_FAILURES
    assert checkpoint.exists()
    last = job.progress.messages[-1]
    assert last.startswith("5 tables are in ")
    assert "1 table can't be used" in last
    assert str(job.path(index)) in last


@pytest.mark.parametrize("kind", PLACE_TAKEN)
def test_a_network_whose_place_is_taken_before_its_turn_is_not_trained(tmp_path, kind):
    job = Job(tmp_path)
    PLACE_TAKEN[kind](job.path(3))
    assert job.begin().train_all() == ExitStatus.DONE_WITH_FAILURES
    assert 3 not in [index for _, index in job.handed_out]
    assert not job.leased
    assert "1 table can't be used" in job.progress.messages[-1]
