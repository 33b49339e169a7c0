"""Leases: who works on which network, when several jobs share one results folder.

What is guaranteed: of those that race for a lease, free or a dead job's, exactly one gets it; and
two jobs have one network only where one of them stood still, or the disk failed, for long.
"""

import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import lease_jobs
import pytest
from gatherer_jobs import Clock
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from lease_jobs import ID, IDS, claims, pass_time, tell
from limits import HANG_SECONDS

from nnlc.ranks.leases import Leases

no_power_cuts, clock, folder = lease_jobs.no_power_cuts, lease_jobs.clock, lease_jobs.folder
begin, start = lease_jobs.begin, lease_jobs.start


def test_a_network_is_one_jobs_until_it_lets_go(begin):
    one, other = begin(), begin()
    assert one.claim(ID)
    assert one.claim(ID)
    assert not other.claim(ID)
    other.release(ID)
    assert not other.claim(ID)
    one.release(ID)
    assert other.claim(ID)
    assert not one.claim(ID)


def test_networks_are_leased_each_by_itself(begin):
    one, other = begin(), begin()
    assert one.claim(IDS[0])
    assert other.claim(IDS[1])


def test_whoever_is_refused_is_told_by_whom(begin, start):
    job, mine = start([ID]), begin()
    tell(job)
    assert claims(job) == [ID]
    assert mine.holder(ID) is None
    assert not mine.seen_alive(ID)
    assert not mine.claim(ID)
    assert mine.holder(ID) == f"a job on {os.uname().nodename} (process {job.pid})"


def test_networks_of_other_jobs_are_elsewhere_until_these_let_go_or_are_seen_to_be_dead(
    begin, start, folder
):
    job, other, mine = start(IDS[:1]), begin(), begin()
    tell(job)
    assert claims(job) == IDS[:1]
    assert other.claim(IDS[1])
    assert mine.claim(IDS[2])
    assert mine.held_by_others(IDS) == set(IDS[:2])
    other.release(IDS[1])
    assert mine.held_by_others(IDS) == {IDS[0]}
    job.kill()
    job.wait()
    assert mine.held_by_others(IDS) == set()


@pytest.mark.parametrize("bad", ["", "a/b", "/a", "../a"])
def test_an_id_that_is_a_path_is_refused(begin, bad):
    with pytest.raises(ValueError, match="ID of a network"):
        begin().claim(bad)


def test_a_folder_that_cannot_be_made_is_an_error_at_the_beginning(tmp_path):
    (tmp_path / "leases").write_text("in the way")
    with pytest.raises(OSError, match="is a file where a folder is expected"):
        Leases(tmp_path / "leases").begin()


def test_nothing_is_left_after_the_end(begin, folder):
    one, other = begin(), begin()
    for network in IDS:
        assert one.claim(network)
        assert not other.claim(network)
    one.release(IDS[0])
    one.end()
    other.end()
    assert list(folder.iterdir()) == []


def test_what_one_job_leaves_at_its_end_others_may_have_at_once(begin):
    one, other = begin(), begin()
    assert one.claim(ID)
    one.end()
    assert other.claim(ID)


# Races


@pytest.mark.parametrize("dead", [False, True])
def test_of_many_that_race_for_a_lease_exactly_one_gets_it(start, dead):
    if dead:
        job = start(IDS)
        tell(job)
        assert claims(job) == IDS
        job.kill()
        job.wait()
    jobs = [start(random.Random(i).sample(IDS, len(IDS))) for i in range(6)]
    for job in jobs:
        assert job.stdout.readline() == "ready\n"
    for job in jobs:
        job.stdin.write("\n")
        job.stdin.flush()
    got = [network for job in jobs for network in claims(job)]
    assert sorted(got) == IDS


STORM = """
import sys
from pathlib import Path
from nnlc.ranks.leases import Leases

folder, guard, *ids = sys.argv[1:]
leases = Leases(Path(folder))
leases.begin()
print("ready", flush=True)
sys.stdin.readline()
won = 0
for _ in range(40):
    for id in ids:
        if leases.claim(id):
            alone = Path(guard) / id
            alone.touch(exist_ok=False)  # fails when another has it too
            won += 1
            alone.unlink()
            leases.release(id)
leases.end()
print(won, flush=True)
"""


def test_jobs_that_claim_and_release_as_fast_as_they_can_never_have_one_network_at_once(
    folder, tmp_path
):
    guard = tmp_path / "guard"
    guard.mkdir()
    command = [sys.executable, "-c", STORM, folder, guard, *IDS[:3]]
    pipe = subprocess.PIPE
    jobs = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(4)]
    for job in jobs:
        tell(job)
    wins = [job.communicate(timeout=HANG_SECONDS)[0] for job in jobs]
    assert [job.returncode for job in jobs] == [0] * 4
    assert sum(map(int, wins)) > 0
    assert list(folder.iterdir()) == []


def test_a_lease_that_is_released_in_the_instant_of_asking_is_one_jobs_alone(begin, monkeypatch):
    fast, slow, rename = begin(), begin(), Path.rename

    def meet(source, target):
        """The other job has it when it is asked for, and no longer when its owner is looked for."""
        monkeypatch.setattr(Path, "rename", rename)
        assert fast.claim(ID)
        try:
            return rename(source, target)
        finally:
            fast.release(ID)

    monkeypatch.setattr(Path, "rename", meet)
    assert slow.claim(ID)
    assert not fast.claim(ID)


def test_a_late_taker_over_does_not_take_from_the_one_that_was_faster(
    begin, start, monkeypatch, folder
):
    job = start([ID])
    slow, fast, third = begin(), begin(), begin()
    tell(job)
    assert claims(job) == [ID]
    job.kill()
    job.wait()
    judge = slow._is_dead

    def judge_and_stand_still(token):
        verdict = judge(token)
        assert fast.claim(ID)
        return verdict

    monkeypatch.setattr(slow, "_is_dead", judge_and_stand_still)
    assert not slow.claim(ID)
    assert fast.claim(ID)
    assert not third.claim(ID)
    for leases in (slow, fast, third, begin()):  # the last sweeps what the killed one left
        leases.end()
    assert list(folder.iterdir()) == []


def test_a_rename_whose_answer_was_lost_and_that_was_asked_for_again_is_known_for_done(
    begin, monkeypatch
):
    rename = os.rename

    def twice(*paths):
        rename(*paths)
        rename(*paths)

    one, other = begin(), begin()
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", twice)
        assert one.claim(ID)
    assert not one._unwritten
    assert not other.claim(ID)


def test_what_a_release_that_was_cut_off_leaves_is_free(begin, folder):
    (folder / f"{ID}.lease").mkdir(parents=True)
    assert begin().claim(ID)
    assert not begin().claim(ID)


class SharedFolder(RuleBasedStateMachine):
    """Jobs come, claim, release, stand still for good and end, in any order."""

    def __init__(self):
        super().__init__()
        self.place = tempfile.TemporaryDirectory()
        self.folder = Path(self.place.name) / "leases"
        self.clock = Clock()
        self.living, self.silent = [], []  # a job and what it has
        self.join()

    def teardown(self):
        for leases, _ in self.living:
            leases.end()
        self.living = []
        self.join()
        last, _ = self.living[0]
        pass_time(self.clock, 80, last)
        last.end()
        assert list(self.folder.iterdir()) == []
        self.place.cleanup()

    def pick(self, number):
        return self.living[number % len(self.living)]

    @precondition(lambda self: len(self.living) < 4)
    @rule()
    def join(self):
        leases = Leases(self.folder, clock=self.clock)
        leases.begin()
        self.living.append((leases, set()))

    @rule(job=st.integers(0, 3), network=st.sampled_from("abc"))
    def claim(self, job, network):
        leases, has = self.pick(job)
        free = not any(network in theirs for _, theirs in self.living + self.silent)
        if leases.claim(network):
            has.add(network)
        else:
            assert not free
            assert network not in has

    @rule(job=st.integers(0, 3), network=st.sampled_from("abc"))
    def release(self, job, network):
        leases, has = self.pick(job)
        leases.release(network)
        has.discard(network)

    @precondition(lambda self: len(self.living) > 1)
    @rule(job=st.integers(0, 3), ends=st.booleans())
    def leave(self, job, ends):
        leaving = self.pick(job)
        self.living.remove(leaving)
        if ends:
            leaving[0].end()
        else:
            self.silent.append(leaving)

    @rule(seconds=st.sampled_from([1, 30, 75]))
    def wait(self, seconds):
        pass_time(self.clock, seconds, *(leases for leases, _ in self.living))
        if seconds > 70:
            self.silent = []

    @invariant()
    def no_network_has_two_living_holders(self):
        held = [network for _, has in self.living for network in has]
        assert len(held) == len(set(held))
        for leases, has in self.living:
            assert all(leases.claim(network) for network in has)


TestSharedFolder = SharedFolder.TestCase
TestSharedFolder.settings = settings(max_examples=40, stateful_step_count=30)
