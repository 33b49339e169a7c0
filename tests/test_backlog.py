"""What waits, in which order, and what is left to other jobs on the same folder."""

import json
import random
from itertools import pairwise

import pytest
from gatherer_jobs import Clock, Job
from hypothesis import given, settings
from hypothesis import strategies as st

from nnlc.errors import ExitStatus
from nnlc.networks.machine import CPU
from nnlc.ranks.backlog import RECHECK_SECONDS, Backlog, find_unfinished
from nnlc.ranks.leases import Leases
from nnlc.results.inventory import inventory

EXPIRY_SECONDS = 60

pytestmark = pytest.mark.usefixtures("no_syncs")


@pytest.fixture
def clock():
    return Clock()


def order_of(job, order):
    leases = Leases(job.results.leases_folder / order)
    leases.begin()
    backlog = Backlog(job.networks, job.campaign, job.results, leases, CPU, "cpu", order)
    taken = iter(lambda: backlog.take(lambda _: True, ()), None)
    return [(backlog.seconds[n.index], n.index) for n in taken]


def test_shortest_first_is_longest_first_turned_round_but_for_ties(tmp_path):
    job = Job(tmp_path, networks_per_depth=20)
    longest, shortest = order_of(job, "longest"), order_of(job, "shortest")
    assert [s for s, _ in longest] == [s for s, _ in reversed(shortest)]
    assert len({s for s, _ in longest}) > 20
    for order in (longest, shortest):
        for (s, index), (t, after) in pairwise(order):
            assert s != t or index < after


def test_networks_with_a_table_or_given_up_do_not_wait(tmp_path):
    job = Job(tmp_path).begin()
    index = job.handed_out[0][1]
    job.finish(0, index)
    failed = job.handed_out[-1][1]
    found = inventory(job.results, job.campaign, job.networks)
    work = find_unfinished(job.networks, found, {job.id(failed), job.id(index), "another"})
    assert (work.done, work.failed) == (1, 1)
    assert {n.index for n in work.networks} == set(range(6)) - {index, failed}


def test_a_disk_in_trouble_while_a_job_runs_keeps_no_network_from_being_trained(
    tmp_path, monkeypatch
):
    job = Job(tmp_path)

    def stale(path, **_):
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr("nnlc.tables.record.open_regular", stale)
    assert job.begin().train_all() == ExitStatus.DONE


ORDER = st.sampled_from(["longest", "shortest"])


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), orders=st.tuples(ORDER, ORDER))
def test_two_jobs_on_one_folder_hand_out_each_network_once(tmp_path_factory, seed, orders):
    folder, clock, rng = tmp_path_factory.mktemp("two"), Clock(), random.Random(seed)
    jobs = [Job(folder, 2, clock=clock, order=order).begin() for order in orders]
    busy = {(number, *given) for number, job in enumerate(jobs) for given in job.handed_out}
    while busy:
        number, rank, index = place = rng.choice(sorted(busy))
        before = len(jobs[number].handed_out)
        busy.remove(place)
        jobs[number].finish(rank, index)
        for job in jobs:
            job.tick(rng.choice([0, 1, RECHECK_SECONDS]))
        busy |= {(number, *given) for given in jobs[number].handed_out[before:]}
    handed_out = [index for job in jobs for _, index in job.handed_out]
    assert sorted(handed_out) == list(range(6))
    assert jobs[0].with_tables == set(range(6))
    for job in jobs:
        job.tick(RECHECK_SECONDS)
        assert job.leaving
        assert job.part() in (ExitStatus.DONE, ExitStatus.UNFINISHED)
    assert ExitStatus.DONE in [job.status for job in jobs]
    assert not jobs[0].leased
    assert Job(folder).status == ExitStatus.DONE


def pair(folder, clock):
    """One job has a network under way; the other has trained all others."""
    first = Job(folder, clock=clock).begin()
    second = Job(folder, clock=clock).begin()
    return first, second, first.handed_out[0][1]


def train_the_rest(job):
    while len(job.with_tables) < 5:
        job.finish(*job.handed_out[-1])


def test_a_job_with_nothing_left_while_another_lives_ends_unfinished_and_says_who_has_it(
    tmp_path, clock
):
    first, second, index = pair(tmp_path, clock)
    train_the_rest(second)
    assert second.leased == {first.id(index)}  # what is finished is nobody's
    assert second.leaving
    assert index not in [i for _, i in second.handed_out]
    assert second.part() == ExitStatus.UNFINISHED
    told = next(text for text in second.progress.messages if "nothing is left to start" in text)
    assert "1 network under way in a job on " in told
    assert "(process " in told
    first.finish(0, index)
    first.tick(RECHECK_SECONDS)
    assert first.part() == ExitStatus.DONE  # the tables of the other count
    assert "all 6 tables are in" in first.progress.messages[-1]


def test_a_network_of_another_job_is_counted_done_when_its_table_comes(tmp_path, clock):
    first, second, index = pair(tmp_path, clock)
    while len(second.with_tables) < 4:
        second.finish(*second.handed_out[-1])
    first.finish(0, index, idle=False)
    second.tick(RECHECK_SECONDS)
    second.finish(*second.handed_out[-1])
    second.tick(RECHECK_SECONDS)
    assert not second.leased  # it had the lease for as long as it looked
    assert second.part() == ExitStatus.DONE
    assert index not in [i for _, i in second.handed_out]


def test_a_network_that_another_job_gives_back_is_taken(tmp_path, clock):
    first, second, index = pair(tmp_path, clock)
    while len(second.with_tables) < 4:
        second.finish(*second.handed_out[-1])
    first.say(0, kind="notice", signal="SIGTERM")
    first.part()
    clock.now += RECHECK_SECONDS
    second.finish(*second.handed_out[-1])
    assert second.handed_out[-1] == (0, index)
    second.finish(0, index)
    assert second.part() == ExitStatus.DONE


def test_a_network_that_ended_badly_is_free_for_another_job(tmp_path, clock):
    first = Job(tmp_path, clock=clock).begin()
    bad = first.handed_out[0][1]
    first.fail(0, bad)
    assert Job(tmp_path, clock=clock).begin().handed_out == [(0, bad)]


def test_a_network_is_taken_over_when_its_job_dies_and_not_before(tmp_path, clock):
    first = Job(tmp_path, clock=clock).begin()
    index = first.handed_out[0][1]
    second = Job(tmp_path, 2, clock=clock).begin()
    while len(second.with_tables) < 4:
        second.finish(1, second.last_given[1])
    before = second.handed_out  # rank 0 has the last one, and rank 1 nothing
    for _ in range(EXPIRY_SECONDS // 5 - 1):  # the first is silent from now on
        second.tick(5)
    assert second.handed_out == before
    second.tick(5)
    assert second.handed_out == [*before, (1, index)]
    second.finish(1, index)
    second.finish(0, second.last_given[0])
    assert second.part() == ExitStatus.DONE
    first.finish(0, index)  # it had only been asleep
    assert first.part() == ExitStatus.DONE


def test_a_job_that_lives_keeps_its_network_however_long_that_takes(tmp_path, clock):
    first = Job(tmp_path, clock=clock).begin()
    second = Job(tmp_path, 6, clock=clock).begin()
    before = second.handed_out
    assert len(before) == 5
    for _ in range(10 * EXPIRY_SECONDS // 5):
        first.tick()
        second.tick(5)
    assert second.handed_out == before


class Elsewhere:
    """A job on another machine, of which only its files are to be seen."""

    def __init__(self, job, index):
        folder = job.results.leases_folder
        self._path, self._beats = folder / "elsewhere-7-abcd.job", 0
        self.renew()
        lease = folder / f"{job.id(index)}.lease"
        lease.mkdir()
        (lease / "elsewhere-7-abcd").touch()

    def renew(self):
        self._beats += 1
        self._path.write_text(json.dumps({"host": "elsewhere", "beats": self._beats}))


@pytest.mark.parametrize("lives", [True, False])
def test_a_job_waits_for_one_that_may_be_dead_until_that_shows(tmp_path, clock, lives):
    job = Job(tmp_path, clock=clock)
    other = Elsewhere(job, 3)
    job.begin()
    train_the_rest(job)
    for _ in range(5):
        job.tick(5)
    assert not job.leaving
    if lives:
        other.renew()
    for _ in range(10):
        job.tick(5)
    if lives:
        assert job.part() == ExitStatus.UNFINISHED
        assert "in a job on elsewhere (process 7)" in job.progress.messages[-1]
    else:
        assert job.handed_out[-1] == (0, 3)
        assert job.train_all() == ExitStatus.DONE
