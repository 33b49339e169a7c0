"""Leases: who works on which network, when several jobs share one results folder.

What is guaranteed: of those that race for a lease, free or a dead job's, exactly one gets it; and
two jobs have one network only where one of them stood still, or the disk failed, for long.
"""

import contextlib
import errno
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from limits import HANG_SECONDS

from nnlc.files import TEMPORARY_SUFFIX
from nnlc.ranks.leases import RETRY_SECONDS, Leases

ID = "2026_11_24_00_00_00_000001"
IDS = [f"2026_11_24_00_00_00_{i:06}" for i in range(50)]
TROUBLES = [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES]

JOB = """
import sys
from pathlib import Path
from nnlc.ranks.leases import Leases

folder, name, *ids = sys.argv[1:]
if name:
    Path("/proc/self/comm").write_text(name)
leases = Leases(Path(folder))
leases.begin()
print("ready", flush=True)
sys.stdin.readline()
print(*[id for id in ids if leases.claim(id)], flush=True)
sys.stdin.readline()
"""


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture(autouse=True)
def no_power_cuts(monkeypatch):
    """Syncing takes most of the time on a busy disk, and nothing here depends on it."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "leases"


@pytest.fixture
def begin(folder, clock):
    """Jobs of this process on one folder."""

    def begin_job(clock=clock):
        leases = Leases(folder, clock=clock)
        leases.begin()
        return leases

    return begin_job


@pytest.fixture
def start(folder):
    """Jobs that are processes of their own: each claims when told to, then lives on."""
    jobs = []

    def start_job(ids=(), name=""):
        command = [sys.executable, "-c", JOB, folder, name, *ids]
        pipe = subprocess.PIPE
        jobs.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True))
        return jobs[-1]

    yield start_job
    for job in jobs:
        job.kill()
        job.communicate()


def tell(job):
    assert job.stdout.readline() == "ready\n"
    job.stdin.write("\n")
    job.stdin.flush()


def claims(job):
    return job.stdout.readline().split()


def pass_time(clock, seconds, *living):
    """Time passes as in a job: those that live beat."""
    for _ in range(seconds):
        clock.now += 1
        for leases in living:
            leases.beat()


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir())


def heartbeat(folder, pid):
    [path] = folder.glob(f"*-{pid}-*.job")
    return path


def rewrite(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


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


# Dead or alive


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


@pytest.fixture
def elsewhere(folder, begin):
    """A job that seems to be on another machine: only its heartbeat shows that it lives."""
    leases = begin()
    path = heartbeat(folder, os.getpid())
    leases._me["boot"] = "another"
    rewrite(path, boot="another")
    return leases, path


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
    mine.beat()
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
    other.beat()
    assert path.exists()
    assert not mine.claim(IDS[1])
    assert not other.claim(IDS[0])
    other.release(IDS[0])
    other.end()
    third = begin()
    assert not third.claim(IDS[0])
    assert third.claim(IDS[1])


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
TestSharedFolder.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


# Disk trouble and what is left lying about


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
        one.beat()
        assert one.claim(ID)
    clock.now += RETRY_SECONDS
    one.beat()
    assert not other.claim(ID)
    one.release(ID)
    assert other.claim(ID)


def test_a_lease_that_was_not_written_in_time_is_not_taken_from_another(begin, monkeypatch):
    one, other = begin(), begin()
    with trouble(monkeypatch, errno.ENOSPC, "mkdir"):
        assert one.claim(ID)
    assert other.claim(ID)
    one.beat()
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
    one.beat()
    assert other.claim(ID)


@pytest.mark.parametrize("number", TROUBLES)
def test_a_heartbeat_that_failed_is_tried_again_at_the_next_beat(
    begin, clock, monkeypatch, elsewhere, number
):
    leases, path = elsewhere
    before = path.read_bytes()
    clock.now += 10
    with trouble(monkeypatch, number, "open", "fsync"):
        leases.beat()
    assert path.read_bytes() == before
    leases.beat()
    assert path.read_bytes() == before  # a disk in trouble is left alone for a moment
    clock.now += RETRY_SECONDS
    leases.beat()
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
