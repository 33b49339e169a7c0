"""Jobs that lease networks, in this process and in others, for the tests of leases."""

import json
import os
import subprocess
import sys

import pytest
from gatherer_jobs import Clock

from nnlc.ranks.leases import Leases

ID = "2026_11_24_00_00_00_000001"
IDS = [f"2026_11_24_00_00_00_{i:06}" for i in range(50)]

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
            leases.renew()


def heartbeat(folder, pid):
    [path] = folder.glob(f"*-{pid}-*.job")
    return path


def rewrite(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture
def elsewhere(folder, begin):
    """A job that seems to be on another machine: only its heartbeat shows that it lives."""
    leases = begin()
    path = heartbeat(folder, os.getpid())
    leases._me["boot"] = "another"
    rewrite(path, boot="another")
    return leases, path
