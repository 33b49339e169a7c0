"""Campaigns on a real Slurm of four virtual nodes: arrays, walltimes, dead nodes, cancellation."""

import json
import shlex
import sys
import time
from pathlib import Path

import pytest
from limits import HANG_SECONDS, same_length, wait_until
from slurm_cluster import SlurmCluster
from typer.testing import CliRunner
from worker_jobs import accounted, events, meddling, slow_steps, steps_done, tables

from nnlc.cli import app
from nnlc.launching import render
from nnlc.launching import submit as submitting
from nnlc.results.spent import job_times
from nnlc.schedulers.slurm import Slurm

pytestmark = pytest.mark.needs("Slurm", "root")

SITE = """
extends = "slurm"
name = "virtual"
device = "cpu"
gpus_per_node = 1
cores_per_rank = 1
max_nodes = 4
notice = {{ signal = "URG", minutes = {minutes} }}
launcher_options = ["--mpi=pmi2"]
setup = [{setup}]
rank_setup = ['export ROCR_VISIBLE_DEVICES="$SLURM_LOCALID"', 'export SEEN="of $SLURM_PROCID"']
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slurm")
    with SlurmCluster(folder, nodes=4, gpus_per_node=1, KillWait=30) as running:
        yield running


NOTICE_MINUTES = 10


class Campaign:
    """The tiny campaign at the virtual site, its commands and its jobs."""

    def __init__(self, cluster, campaign: Path, folder: Path, **environment: str) -> None:
        self.cluster, self.campaign = cluster, campaign
        self.results = folder / "r"
        self.site = folder / "virtual.toml"
        lines = [json.dumps(f"export {key}={shlex.quote(v)}") for key, v in environment.items()]
        self.site.write_text(SITE.format(setup=", ".join(lines), minutes=NOTICE_MINUTES))

    def nnlc(self, *words: object, status: int = 0) -> str:
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == status, f"{done.output}\n{done.exception!r}"
        return done.output

    def submit(self, *words: object, nodes: int = 2) -> str:
        place = ["--site", self.site, "--results", self.results, "--python", sys.executable]
        size = ["--nodes", nodes, "--minutes", 60]
        said = self.nnlc("submit", self.campaign, *place, *size, *words)
        return said.split("job ")[1].split(":")[0]

    def told(self, job: str) -> dict[str, str]:
        [told] = self.cluster.jobs(job)
        return told

    def limit(self, job: str, minutes: int) -> None:
        """Change how long a job may run, as an administrator can."""
        self.cluster.run(["scontrol", "update", f"JobId={job}", f"TimeLimit={minutes}"])

    def wait(self, job: str) -> str:
        return self.cluster.wait_for_job(job)

    def wait_for(self, kind: str, count: int = 1) -> None:
        wait_until(lambda: len(self.events(kind)) >= count, lambda: f"no {kind}: {self.log()}")

    def events(self, kind: str) -> list[dict]:
        return events(self.results, kind) if (self.results / "journal").is_dir() else []

    def log(self) -> str:
        logs = [*sorted((self.results / "logs").glob("*.out")), *Path().glob("tiny-*.out")]
        return "\n".join(path.read_text() for path in logs)


@pytest.fixture
def campaign(cluster, alone, tmp_path, monkeypatch):
    for key, value in cluster.environment.items():
        monkeypatch.setenv(key, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(render, "LEAST_SECONDS", 0)  # a job that ended quickly starts again
    monkeypatch.setattr(submitting, "LEAVE_SECONDS", HANG_SECONDS)

    def make(**environment: str) -> Campaign:
        return Campaign(cluster, alone[0], tmp_path, **environment)

    return make


SAYS_WHAT_IT_SEES = """
import os
name = "-".join(os.environ[key] for key in ("SLURM_ARRAY_TASK_ID", "SLURM_PROCID"))
with open(f"{FOLDER}/{name}", "x") as file:
    file.write(os.environ["ROCR_VISIBLE_DEVICES"] + " " + os.environ["SEEN"])
"""
"""Code for agents: what the site file's lines for each rank have set."""


def test_an_array_over_several_nodes_leaves_the_tables_of_a_local_job(campaign, alone, tmp_path):
    seen = tmp_path / "seen"
    seen.mkdir()
    job = campaign(**meddling(tmp_path, "", SAYS_WHAT_IT_SEES.replace("{FOLDER}", str(seen))))
    number = job.submit("--elements", 2)
    assert "in the queue already" in str(
        CliRunner()
        .invoke(app, ["submit", str(job.campaign), "--site", str(job.site), "--results",
                      str(job.results), "--nodes", "1"])
        .exception
    )  # fmt: skip
    assert job.wait(number) == "COMPLETED", job.log()
    assert tables(job.results) == tables(alone[1])
    begun = [event["id"] for event in job.events("start")]
    assert len(begun) == len(set(begun)) == 6
    logs = [job.results / "logs" / f"{number}_{element}.out" for element in (0, 1)]
    assert all("job script: status" in log.read_text() for log in logs)
    assert f"log: {logs[1]} and 1 more" in job.nnlc("status", job.results)
    hosts = [len(event["ranks"]) for event in job.events("job")]
    assert hosts == [2, 2]
    assert "but not elements of arrays" in job.nnlc("spent", job.results)
    ranks = {f"{element}-{rank}": f"0 of {rank}" for element in (0, 1) for rank in (0, 1)}
    assert {path.name: path.read_text() for path in seen.iterdir()} == ranks


def first_start_slow(folder):
    """An environment in which no network gets further than a step before the job is requeued."""
    return slow_steps(folder, HANG_SECONDS, when="'SLURM_RESTART_COUNT' not in os.environ")


def test_a_walltime_that_is_too_short_ends_in_a_checkpoint_a_requeue_and_the_same_bytes(
    campaign, alone, tmp_path
):
    job = campaign(**first_start_slow(tmp_path))
    number = job.submit()
    wait_until(lambda: steps_done(tmp_path) == 2, job.log)  # there is something to save
    hours, minutes, _ = map(int, job.told(number)["RunTime"].split(":"))
    job.limit(number, 60 * hours + minutes + 1 + NOTICE_MINUTES)  # it is warned within a minute
    wait_until(lambda: job.told(number)["Restarts"] == "1", job.log, pause=0.3)
    job.limit(number, 60)
    assert job.wait(number) == "COMPLETED", job.log()
    assert [event["status"] for event in job.events("end")] == ["UNFINISHED", "DONE"], job.log()
    assert job.events("resume")
    assert job.told(number)["Restarts"] == "1"
    assert tables(job.results) == tables(alone[1])


def test_a_node_that_dies_costs_a_requeue_and_no_byte(campaign, alone, tmp_path):
    job = campaign(**first_start_slow(tmp_path))
    number = job.submit()
    job.wait_for("start", 2)
    node = job.cluster.run(
        ["scontrol", "show", "hostnames", job.told(number)["NodeList"]]
    ).stdout.split()[-1]
    job.cluster.kill_node(node)
    try:
        assert job.wait(number) == "COMPLETED", job.log()
    finally:
        job.cluster.start_node(node)
    assert job.told(number)["Restarts"] == "1"
    assert tables(job.results) == tables(alone[1])


def test_a_cancelled_job_is_gone_and_submitted_again_it_finishes_with_the_same_bytes(
    campaign, alone, tmp_path
):
    over = tmp_path / "over"
    when = f"not os.path.exists({str(over)!r})"
    job = campaign(**slow_steps(tmp_path, HANG_SECONDS, when=when))
    number = job.submit()
    job.wait_for("start", 2)
    wait_until(lambda: steps_done(tmp_path) == 2, job.log)  # there is something to save
    assert number in job.nnlc("cancel", job.results)
    assert job.wait(number) == "CANCELLED", job.log()
    assert "no job is in the queue" in job.nnlc("cancel", job.results)
    over.touch()
    again = job.submit()
    assert job.wait(again) == "COMPLETED", job.log()
    assert job.events("resume"), "what was under way was saved"
    assert tables(job.results) == tables(alone[1])


KILLS_TRAINERS = """
import os
with open(BAD, "a+") as file:
    file.seek(0)
    bad = file.read()
    if not bad and os.environ["SLURM_PROCID"] == "1":
        bad = os.environ["SLURMD_NODENAME"]
        file.write(bad)
if bad == os.environ["SLURMD_NODENAME"]:
    os.kill(os.getpid(), 9)
"""
"""Code for trainers: none lives on the node that had rank 1 first."""


def test_a_node_that_kills_every_trainer_is_left_out_by_the_next_link(
    campaign, alone, tmp_path, monkeypatch
):
    monkeypatch.setattr(render, "LEAST_SECONDS", 3600)  # no other job of its age starts again
    file = tmp_path / "bad"
    job = campaign(**meddling(tmp_path, KILLS_TRAINERS.replace("BAD", repr(str(file)))))
    number = job.submit()
    assert job.wait(number) == "COMPLETED", job.log()
    bad = file.read_text()
    told = job.told(number)
    assert (told["Restarts"], told["ExcNodeList"]) == ("1", bad)
    assert [event["host"] for event in job.events("node")] == [bad]
    assert [event["status"] for event in job.events("end")] == ["UNFINISHED", "DONE"], job.log()
    assert tables(job.results) == tables(alone[1])
    assert f"bad node {bad} of virtual: " in job.nnlc("status", job.results)
    # What was spent, beside what Slurm recorded of both links in whole seconds.
    runs = sorted(Slurm().accounting([number]), key=lambda run: run.began)
    links = job_times(job.results / "journal", (), time.time())
    for run, link in zip(runs, links, strict=True):
        assert (run.job, run.nodes) == (link.job, link.nodes) == (number, 2)
        assert run.began <= link.began + 1
        assert link.ended <= run.began + run.seconds + 1
    told = accounted(job.nnlc("spent", job.results))
    assert [(id_, state) for id_, _, _, state in told] == [
        (number, "REQUEUED"),
        (number, "COMPLETED"),
    ]
    assert all(same_length(ours, theirs) for _, ours, theirs, _ in told), told


OF_THE_USER = {
    "SBATCH_TIMELIMIT": "3",
    "SBATCH_ACCOUNT": "other",
    "SBATCH_NO_REQUEUE": "1",
    "SQUEUE_PARTITION": "gpu",
    "SQUEUE_STATES": "COMPLETED",
    "SQUEUE_FORMAT": "%T",
    "SCANCEL_STATE": "PENDING",
    "SCANCEL_PARTITION": "gpu",
    "SRUN_EXPORT_ENV": "NONE",
    "SLURM_CPU_BIND": "mask_cpu:zzz",
    "SLURM_TIMELIMIT": "0:01",
    "SLURM_JOB_ID": "1",
}


def test_what_a_user_has_exported_for_slurm_s_commands_changes_and_hides_nothing(
    campaign, alone, tmp_path, monkeypatch
):
    for name, value in OF_THE_USER.items():
        monkeypatch.setenv(name, value)
    job = campaign(**slow_steps(tmp_path, HANG_SECONDS))
    number = job.submit("--account", "mine")
    job.wait_for("start", 2)
    told = job.told(number)
    assert (told["TimeLimit"], told["Account"], told["Requeue"]) == ("01:00:00", "mine", "1")
    assert f"job {number}: 1 RUNNING" in job.nnlc("status", job.results)
    place = ["--site", job.site, "--results", job.results, "--account", "mine"]
    job.nnlc("submit", job.campaign, *place, status=1)
    assert f"cancelled {number}" in job.nnlc("cancel", job.results)
    assert job.wait(number) == "CANCELLED", job.log()


def test_a_script_submitted_by_hand_warns_its_ranks_whatever_was_exported(
    campaign, alone, tmp_path, monkeypatch
):
    job = campaign(**slow_steps(tmp_path, HANG_SECONDS))
    script = tmp_path / "job.sh"
    place = ["--site", job.site, "--results", job.results, "--python", sys.executable]
    asked = ["submit", job.campaign, *place, "--nodes", 2, "--minutes", 60, "--dry-run"]
    script.write_text(CliRunner().invoke(app, [str(word) for word in asked]).stdout)
    with monkeypatch.context() as patch:
        for name, value in OF_THE_USER.items():
            if not name.startswith("SBATCH"):
                patch.setenv(name, value)
        number = job.cluster.run(["sbatch", "--parsable", "--no-requeue", script]).stdout.strip()
    job.wait_for("start", 2)
    wait_until(lambda: steps_done(tmp_path) == 2, job.log)  # there is something to save
    job.cluster.run(["scancel", "--batch", "--signal=URG", number])
    job.wait_for("end")
    assert [event["status"] for event in job.events("end")] == ["UNFINISHED"], job.log()
    assert job.wait(number) == "FAILED", job.log()
