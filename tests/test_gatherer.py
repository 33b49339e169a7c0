"""The gatherer's decisions, without processes: messages in, messages out."""

import errno
import os
import shutil
from dataclasses import replace
from random import Random

import gatherer_jobs
import pytest
from gatherer_jobs import CUDA_ERROR, HALF_EPOCHS, Clock, Job, facts, values_of
from hypothesis import given, settings
from hypothesis import strategies as st

import nnlc.system.files
from nnlc import read_table
from nnlc.errors import ExitStatus
from nnlc.ranks.gatherer import MAX_IDLE_DEATHS
from nnlc.ranks.leases import Leases
from nnlc.ranks.shutdown import LIMIT_SECONDS
from nnlc.results.history import Reached
from nnlc.tables import Row, Table

KIND_FROM = 4
"""From this start on nothing is done to the jobs of a world, so that it comes to an end."""


class World:
    """Pretended trainers that train, save and fail as drawn, over all starts of a campaign."""

    def __init__(self, folder, seed):
        self._folder, self._random = folder, Random(seed)
        self._checkpoints: dict[int, int] = {}
        self.bad_ends = dict.fromkeys(range(6), 0)
        self.disk_full = False
        self.starts = 0
        self.clock = Clock()

    def write_once(self, path, content, **options):
        if self.disk_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return nnlc.system.files.write_once(path, content, **options)

    def one_of(self, *choices):
        return self._random.choice(choices)

    def chance(self, one_in):
        return not self._kind and self._random.randrange(one_in) == 0

    @property
    def _kind(self):
        return self.starts > KIND_FROM

    def start(self) -> Job:
        """A job, to its end, be it violent."""
        self.starts += 1
        self.disk_full = False
        self.job = Job(
            self._folder,
            self.one_of(1, 2, 3),
            trainers=self.one_of(1, 2),
            clock=self.clock,
            minutes=None if self._kind else self.one_of(None, 30),
        )
        self._busy: dict[tuple[int, int], int] = {}
        self._rows: dict[int, int] = {}
        self._eager: dict[int, bool] = {}
        self._heard = self._idle_rounds = 0
        self._sick = {rank for rank in range(self.job.ranks) if self.chance(4)}
        if self.job.status is None:
            self.job.begin()
        while self.job.status is None:
            if self.chance(60):  # the whole job is killed; its leases die with it
                shutil.rmtree(self.job.results.leases_folder)
                return self.job
            self._obey()
            if self.job.leaving:
                self._leave()
            else:
                self._go_on()
        assert not self.job.leased
        return self.job

    def _obey(self):
        """What the gatherer said since last time."""
        while self._heard < len(self.job.sent):
            rank, message = self.job.sent[self._heard]
            self._heard += 1
            if message["kind"] == "train":
                self._take((rank, message["trainer"]), message["index"], message["graphs"])

    def _take(self, place, index, graphs):
        assert place not in self._busy, "a trainer got two networks at once"
        assert index not in self._busy.values(), "two trainers got one network"
        if self.chance(12):  # its trainer had just ended
            self.job.say(place[0], kind="died", trainer=place[1], index=None, reason="killed")
            self.job.say(place[0], kind="returned", index=index)
            self.job.idle(*place)
            return
        self._busy[place] = index
        self._eager[index] = not graphs
        self._rows[index] = self._checkpoints.get(index, 0)
        if index in self._checkpoints:
            rows = [values_of(index, h + 1) for h in range(self._rows[index])]
            self._say(place, "resumed", rows=rows, step=1)

    def _say(self, place, kind, **message):
        index = self._busy[place]
        self.job.say(place[0], kind=kind, trainer=place[1], index=index, **message)

    def _go_on(self):
        """Something happens."""
        self._idle_rounds = 0 if self._busy else self._idle_rounds + 1
        assert self._idle_rounds < 50, "it waits for nothing"
        if not self._busy or self.chance(8):
            self.job.tick(self.one_of(1, 6, 100, 700))
        if self.chance(8) or (self._idle_rounds and self.one_of(True, False)):
            self.disk_full = not self.disk_full
        if self.chance(40):
            self.job.say(self.job.ranks - 1, kind="notice", signal="SIGUSR1")
        elif self._busy and not self.job.leaving:
            self._act(self.one_of(*sorted(self._busy)))

    def _act(self, place):
        index = self._busy[place]
        if self._kind or not (place[0] in self._sick or self.chance(5)):
            if self.chance(3):
                self._save(place)
            return self._row(place)
        if not self._eager[index] and self.chance(3):
            self._say(place, "uncaptured", reason="not permitted")
            del self._busy[place]
            return self.job.idle(*place)
        kind = self.one_of("died", "failed")
        self.bad_ends[index] += 1
        self._say(place, kind, reason=self.one_of(CUDA_ERROR, "out of memory: 2 GiB"))
        del self._busy[place]
        return self.job.idle(*place)

    def _row(self, place):
        index = self._busy[place]
        if self._rows[index] < HALF_EPOCHS:
            self._rows[index] += 1
            h = self._rows[index]
            self._say(place, "row", half_epoch=h, seconds=0.1, values=values_of(index, h))
        if self._rows[index] == HALF_EPOCHS:
            self._say(place, "finished", seconds=1.0)
            del self._busy[place]
            if not self.job.leaving:
                self.job.idle(*place)

    def _save(self, place):
        index = self._busy[place]
        if self.disk_full:
            return self._say(place, "trouble", reason="no checkpoint saved: no space")
        self._checkpoints[index] = self._rows[index]
        facts = {"half_epoch": self._rows[index], "step": 1, "seconds": 0.1, "bytes": 1}
        return self._say(place, "saved", **facts)

    def _leave(self):
        """Every rank parts, but for one that may be silent."""
        for place in sorted(self._busy):
            if self.chance(3):
                self._row(place)
        for place in sorted(self._busy):
            self._save(place)
        for rank in range(self.job.ranks - self.chance(4)):
            self.job.say(rank, kind="left")
        given = len(self.job.handed_out)
        if self.job.status is None:
            self.job.tick(LIMIT_SECONDS + 1)
        assert len(self.job.handed_out) == given, "a network was handed out on leaving"
        stops = [rank for rank, m in self.job.sent if m["kind"] == "stop"]
        assert stops == list(range(self.job.ranks))


@settings(max_examples=50)
@given(st.integers(0, 2**32))
def test_whatever_happens_every_network_ends_as_one_table_or_one_recorded_failure(
    tmp_path_factory, seed
):
    world = World(tmp_path_factory.mktemp("world"), seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nnlc.ranks.table_writer.write_once", world.write_once)
        patch.setattr("os.fsync", lambda _: None)  # no power cut here, and it takes long
        while (job := world.start()).status in (ExitStatus.UNFINISHED, ExitStatus.ERROR, None):
            assert world.starts <= KIND_FROM
    failed = {n.index for n in job.networks if n.spec.id in job.history().failures}
    assert job.with_tables | failed == set(range(6))
    assert not job.with_tables & failed
    assert job.status == (ExitStatus.DONE_WITH_FAILURES if failed else ExitStatus.DONE)
    assert all(world.bad_ends[index] >= 2 for index in failed)
    for index in job.with_tables:
        rows = tuple(Row(*values_of(index, h + 1)) for h in range(HALF_EPOCHS))
        spec = replace(job.networks[index].spec, train_gpu=False)
        assert job.path(index).read_bytes() == Table(spec, rows).to_bytes()


def test_nothing_is_handed_out_before_every_rank_is_there_and_the_images_are_checked(tmp_path):
    job = Job(tmp_path, 2, greet=False)
    job.greet(0)
    assert not job.sent
    job.greet(1)
    job.idle(0)
    job.idle(1)
    assert job.kinds == ["configure", "configure", "check", "check"]
    job.say(0, kind="checked", trainer=0)
    assert not job.handed_out
    job.say(1, kind="checked", trainer=0)
    assert [rank for rank, _ in job.handed_out] == [0, 1]


@pytest.mark.parametrize(("memory_bytes", "looked_at"), [(16 * 10**9, 1), (1, 0)])
def test_checkpoints_are_looked_at_of_networks_that_a_device_has_room_for(
    tmp_path, memory_bytes, looked_at
):
    job = Job(tmp_path, greet=False)
    (job.results.checkpoints_folder / f"{job.networks[0].spec.id}.0.ckpt").touch()
    job.say(
        0, kind="hello", **gatherer_jobs.place(0, 1, devices=[facts(1, memory_bytes=memory_bytes)])
    )
    [check] = [message for _, message in job.sent if message["kind"] == "check"]
    assert len(check["networks"]) == looked_at


def test_a_network_that_another_job_has_is_not_told_to_be_lost(tmp_path):
    job = Job(tmp_path)
    other = Leases(job.results.leases_folder)
    other.begin()
    ids = [network.spec.id for network in job.networks[:2]]
    assert other.claim(ids[0])
    about = {"differences": [["device.name", "'A'", "'B'"]], "seconds": 60.0, "nnlc": None}
    about["older_ways"] = []
    foreign = [{"id": id_, "path": id_, **about} for id_ in ids]
    job.say(0, kind="checked", trainer=0, go_on=[], foreign=foreign)
    _, lost, _, theirs = job.progress.messages
    assert "1 network starts again, and 60 s" in lost
    assert "1 network is under way in another job" in theirs


def test_a_retried_network_keeps_no_row_of_the_attempt_that_died(tmp_path):
    job = Job(tmp_path, networks_per_depth=1).begin()
    _, index = job.handed_out[-1]
    job.say(0, kind="row", index=index, half_epoch=1, seconds=1.0, values=[9.0, 9.0, 9.0])
    job.say(0, kind="died", trainer=0, index=index, reason="killed")
    job.idle(0)
    while not job.leaving:
        job.finish(*job.handed_out[-1])
    assert read_table(job.path(index)).rows[0].train_loss == values_of(index, 1)[0]


def test_a_network_goes_on_with_the_rows_of_its_checkpoint(tmp_path):
    job = Job(tmp_path).begin()
    _, index = job.handed_out[-1]
    job.say(0, kind="resumed", trainer=0, index=index, rows=[[7.0, 8.0, 9.0]], step=3)
    assert job.progress.resumed_with == {index: 1}
    job.finish(0, index, first=2)
    assert [row.train_loss for row in read_table(job.path(index)).rows] == [7.0, index + 0.2]
    [resume] = job.events("resume")
    assert (resume["id"], resume["half_epoch"], resume["step"]) == (job.id(index), 1, 3)


def test_the_pace_of_a_network_is_recorded_for_the_time_left(tmp_path):
    job = Job(tmp_path).begin()
    _, index = job.handed_out[-1]
    job.row(index, 1, seconds=5.0)
    assert job.gatherer._running.snapshot()[job.id(index)]["seconds_a_half_epoch"] == 5.0
    saved = {"half_epoch": 1, "step": 0, "seconds_a_half_epoch": 5.0, "seconds": 0.1, "bytes": 9}
    job.say(0, kind="saved", trainer=0, index=index, **saved)
    assert job.history().saved == {job.id(index): Reached(1, 5.0)}


def test_a_network_given_to_a_trainer_that_had_just_ended_is_no_attempt_and_goes_to_another(
    tmp_path,
):
    job = Job(tmp_path, 2).begin()
    _, index = job.handed_out[0]
    for _ in range(MAX_IDLE_DEATHS - 1):  # no fewer than attempts are allowed
        job.say(0, kind="died", trainer=0, index=None, reason="killed")
        job.say(0, kind="returned", index=index)
        job.idle(0)
        assert job.handed_out[-1] == (0, index)
    assert not job.progress.failures


def test_a_network_whose_steps_can_not_be_captured_is_tried_again_without_graphs_and_no_other(
    tmp_path,
):
    job = Job(tmp_path, 2, run="attempts = 1").begin()
    (_, other), (rank, index) = job.handed_out
    job.row(index, 1, rank=rank)
    job.say(rank, kind="uncaptured", trainer=0, index=index, reason="not permitted")
    assert not job.leased & {job.id(index)}
    job.idle(rank)
    assert job.last_given[rank] == index
    job.finish(rank, index)
    job.finish(0, other)
    assert {m["index"]: m["graphs"] for _, m in job.sent if m["kind"] == "train"} == {
        each: each != index for _, each in job.handed_out
    }
    finish, _ = job.events("finish")
    assert (finish["eager_because"], finish["attempts"]) == ("not permitted", 1)
    assert "eager_because" not in job.events("finish")[1]
    [event] = job.events("uncaptured")
    assert (event["id"], event["rank"], event["reason"]) == (job.id(index), rank, "not permitted")
    assert not job.progress.failures
    assert job.history().attempts == {}
    [told] = [text for text in job.progress.messages if "CUDA graphs" in text]
    assert job.id(index) in told


def test_want_of_memory_in_a_capture_is_an_attempt_as_in_any_step(tmp_path):
    job = Job(tmp_path).begin()
    _, index = job.handed_out[-1]
    reason = "CUDA error: CUBLAS_STATUS_ALLOC_FAILED"
    job.say(0, kind="uncaptured", trainer=0, index=index, reason=reason)
    assert job.progress.failures == [(index, reason, False)]
    assert job.history().attempts == {job.id(index): 1}
    job.idle(0)
    assert all(m["graphs"] for _, m in job.sent if m["kind"] == "train")


def test_a_table_trained_on_gpus_says_so(tmp_path):
    for device, on_gpu in (("auto", True), ("cpu", False)):
        job = Job(tmp_path / device, 2, gpus=1, device=device).begin()
        assert {m["spec"]["train_gpu"] for _, m in job.sent if m["kind"] == "train"} == {on_gpu}


def test_a_missing_row_stops_the_job_instead_of_shifting_the_curve(tmp_path):
    for rows in ([2], [1, 1]):
        job = Job(tmp_path / str(rows)).begin()
        for half_epoch in rows:
            job.row(job.handed_out[-1][1], half_epoch)
        assert job.part() == ExitStatus.ERROR
    job = Job(tmp_path / "one").begin()
    job.row(job.handed_out[-1][1], 1)
    job.say(0, kind="finished", trainer=0, index=job.handed_out[-1][1], seconds=1.0)
    assert job.part() == ExitStatus.ERROR
    assert not job.with_tables


@pytest.mark.parametrize("greet", [True, False])
def test_a_trainer_that_never_starts_ends_the_job(tmp_path, greet):
    job = Job(tmp_path, greet=greet)
    job.say(0, kind="died", trainer=0, index=None, reason="its trainer left with status 1")
    assert "left with status 1" in job.progress.messages[-1]
    assert job.part() == ExitStatus.ERROR


def test_a_rank_whose_trainers_end_again_and_again_without_a_network_gets_no_more(tmp_path):
    job = Job(tmp_path, 2, networks_per_depth=2).begin()
    for _ in range(MAX_IDLE_DEATHS):
        job.say(1, kind="died", trainer=0, index=None, reason="its trainer left with status 1")
    assert not job.leaving
    given = len(job.handed_out)
    job.idle(1)
    job.finish(0, job.handed_out[0][1])
    assert [rank for rank, _ in job.handed_out[given:]] == [0]
    assert any("rank 1 gets no more networks" in text for text in job.progress.messages)


def test_trainers_that_end_again_and_again_without_a_network_end_a_job_of_one_rank(tmp_path):
    job = Job(tmp_path, 1, trainers=2, networks_per_depth=1).begin()
    for time in range(MAX_IDLE_DEATHS):
        assert not job.leaving, time
        job.idle(0, 1)
        job.say(0, kind="died", trainer=1, index=None, reason="its trainer left with status 1")
    assert job.part() == ExitStatus.ERROR


def test_trainers_that_end_now_and_then_while_networks_are_finished_do_not(tmp_path):
    job = Job(tmp_path).begin()
    while not job.leaving:
        job.finish(*job.handed_out[-1], idle=False)
        job.say(0, kind="died", trainer=0, index=None, reason="killed")
        job.idle(0)
    assert job.part() == ExitStatus.DONE


def test_a_job_leaves_nothing_behind_beside_checkpoints(tmp_path):
    for checked in (True, False):
        job = Job(tmp_path / str(checked))
        if checked:
            job.begin()
        job.say(0, kind="notice", signal="SIGTERM")
        job.part()
        assert not list(job.results.checkpoints_folder.iterdir())
        assert not list(job.results.leases_folder.iterdir())
        assert not list(job.results.journal_folder.glob("*.progress.json"))


def test_the_end_of_the_jobs_time_comes_also_before_its_ranks_are_there(tmp_path):
    """They may be loading libraries, or counting costs."""
    job = Job(tmp_path, minutes=10, greet=False)
    job.tick(300)
    assert not job.leaving
    job.tick(300)
    assert job.leaving
    assert "the job's time is nearly over" in job.progress.messages[-1]
    assert job.part() == ExitStatus.UNFINISHED


def test_messages_that_come_together_count_as_if_they_came_one_by_one(tmp_path):
    job = Job(tmp_path).begin()
    while not job.leaving:
        rank, index = job.handed_out[-1]
        facts = [{"index": index, "half_epoch": h, "seconds": 0.1} for h in (1, 2)]
        rows = [
            {"kind": "row", "values": values_of(index, fact["half_epoch"]), **fact}
            for fact in facts
        ]
        finished = {"kind": "finished", "trainer": 0, "index": index, "seconds": 1.0}
        job.sent += job.gatherer(rank, *rows, finished, {"kind": "idle", "trainer": 0})
        job.tick()
    assert job.part() == ExitStatus.DONE
    alone = Job(tmp_path / "alone").begin()
    assert alone.train_all() == ExitStatus.DONE
    assert [job.path(i).read_bytes() for i in range(6)] == [
        alone.path(i).read_bytes() for i in range(6)
    ]


def test_what_comes_together_with_a_message_that_ends_the_job_still_counts(tmp_path):
    job = Job(tmp_path).begin()
    _, index = job.handed_out[-1]
    too_late = {"kind": "row", "index": index, "half_epoch": 7, "seconds": 1, "values": [0, 0, 0]}
    job.sent += job.gatherer(0, too_late, {"kind": "left"})
    assert job.status == ExitStatus.ERROR
